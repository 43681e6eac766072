"""Which parts are nodes (`Sources`), and what is explained (`Targets`): index arrays, no weights.

A source has a slot, which orders them as the forward pass does. Block l has four: 4l + 1 attention heads, 4l + 2 latents of
an SAE of resid_mid, 4l + 3 the MLP (neurons, latents, or the whole MLP), 4l + 4 latents of an SAE of resid_post.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.replacement import points
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.units import Latents

HEADS, MID, MLP, POST = 1, 2, 3, 4
"""The four roles; slot = 4 * layer + role."""


@dataclass(frozen=True)
class Targets:
    """Rows to explain. point: where it reads the residual stream. pos: the (last) position it reads. reader: in the stream's
    own coordinates; for a head (head >= 0) in what its keys hold after the norm, to be weighed by its pattern."""

    point: Int[Tensor, " row"]
    pos: Int[Tensor, " row"]
    reader: Float[Tensor, "row d_model"]
    head: Int[Tensor, " row"]

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: Tensor) -> "Targets":
        """A subset of rows."""
        return Targets(self.point[rows], self.pos[rows], self.reader[rows], self.head[rows])

    def join(self, other: "Targets") -> "Targets":
        """These rows, then others."""
        names = ("point", "pos", "reader", "head")
        return Targets(*(torch.cat([getattr(self, n), getattr(other, n)]) for n in names))


@dataclass(frozen=True)
class Sources:
    """Columns: parallel arrays of the units that are nodes, sorted by (slot, pos, unit). A whole MLP has unit -1."""

    slot: Int[Tensor, " unit"]
    pos: Int[Tensor, " unit"]
    unit: Int[Tensor, " unit"]

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def layer(self) -> Int[Tensor, " unit"]:
        """The layer of each unit."""
        return (self.slot - 1) // 4

    @property
    def role(self) -> Int[Tensor, " unit"]:
        """HEADS, MID, MLP or POST."""
        return (self.slot - 1) % 4 + 1

    @cached_property
    def _keys(self) -> np.ndarray:
        return (self.slot * (1 << 32) + self.pos).cpu().numpy()

    def at(self, slot: int, pos: int | None = None) -> slice:
        """The columns of a slot, or of one position in it."""
        first, last = (0, (1 << 32) - 1) if pos is None else (pos, pos)
        ends = np.searchsorted(self._keys, [slot * (1 << 32) + first, slot * (1 << 32) + last + 1])
        return slice(int(ends[0]), int(ends[1]))

    def taken(self, layer: int, shape: tuple[int, int]) -> Tensor | None:
        """Mask (head, pos) of a layer's heads that are nodes, or None if none is."""
        mine = self.at(4 * layer + HEADS)
        if mine.start == mine.stop:
            return None
        mask = torch.zeros(shape, dtype=torch.bool, device=self.slot.device)
        mask[self.unit[mine], self.pos[mine]] = True
        return mask


def slot_units(frozen: FrozenModel, slot: int) -> Latents | None:
    """The latents of a slot in the stream (MID or POST), if an SAE stands there."""
    layer, role = (slot - 1) // 4, (slot - 1) % 4 + 1
    return frozen.layers[layer].mid if role == MID else frozen.layers[layer].post if role == POST else None


def read_points(frozen: FrozenModel, sources: Sources) -> Int[Tensor, " unit"]:
    """The point where each source, as a target, reads."""
    parallel = frozen.layers[0].parallel
    offset = torch.tensor([0, 0, points.mid(0), points.mlp_reads(0, parallel), points.mlp_writes(0)])
    return 4 * sources.layer + offset.to(sources.slot.device)[sources.role]
