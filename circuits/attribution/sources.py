"""Which parts are nodes (`Sources`), and what is explained (`Targets`): index arrays, no weights.

Every source has a `Slot`, its layer and its role there, and slots are ordered as the forward pass is.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.replacement import points
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.units import Latents

ROLES = HEADS, MID, MLP, POST = 1, 2, 3, 4
"""The four roles of a layer, in the order of the forward pass: attention heads, latents of an SAE of resid_mid, the MLP (neurons,
latents, or the whole MLP), latents of an SAE of resid_post."""
_POSITIONS = 1 << 32
"""More than any prompt has: slot and position make one number that sorts by slot first."""


class Slot(NamedTuple):
    """Where in a forward pass units stand side by side: `Slot(5, MLP)`. Compares as the forward pass goes."""

    layer: int
    role: int

    @property
    def number(self) -> int:
        """The slot as one number, for index arrays; it grows as the forward pass goes."""
        return len(ROLES) * self.layer + self.role

    @classmethod
    def of(cls, number: int) -> "Slot":
        """The slot of a `number`. Roles begin at 1, so the number is lowered by 1 before it is taken apart."""
        layer, role = divmod(number - 1, len(ROLES))
        return cls(layer, role + 1)


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
    """Columns: parallel arrays of the units that are nodes, sorted by (slot, pos, unit). slot: its number. A whole MLP has unit
    -1."""

    slot: Int[Tensor, " unit"]
    pos: Int[Tensor, " unit"]
    unit: Int[Tensor, " unit"]

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def layer(self) -> Int[Tensor, " unit"]:
        """The layer of each unit, as in `Slot.of`."""
        return (self.slot - 1) // len(ROLES)

    @property
    def role(self) -> Int[Tensor, " unit"]:
        """HEADS, MID, MLP or POST."""
        return (self.slot - 1) % len(ROLES) + 1

    @property
    def slots(self) -> list[Slot]:
        """The slots that have nodes, in order."""
        return [Slot.of(number) for number in self.slot.unique().tolist()]

    @cached_property
    def _keys(self) -> np.ndarray:
        return (self.slot * _POSITIONS + self.pos).cpu().numpy()

    def at(self, slot: Slot, pos: int | None = None) -> slice:
        """The columns of a slot, or of one position in it: neighbours, since columns are sorted."""
        start = slot.number * _POSITIONS
        first, last = (start, start + _POSITIONS - 1) if pos is None else (start + pos, start + pos)
        ends = np.searchsorted(self._keys, [first, last + 1])
        return slice(int(ends[0]), int(ends[1]))

    def taken(self, layer: int, shape: tuple[int, int]) -> Tensor | None:
        """Mask (head, pos) of a layer's heads that are nodes, or None if none is."""
        mine = self.at(Slot(layer, HEADS))
        if mine.start == mine.stop:
            return None
        mask = torch.zeros(shape, dtype=torch.bool, device=self.slot.device)
        mask[self.unit[mine], self.pos[mine]] = True
        return mask


def slot_units(frozen: FrozenModel, slot: Slot) -> Latents | None:
    """The latents of a slot in the stream (MID or POST), if an SAE stands there."""
    layer = frozen.layers[slot.layer]
    return layer.mid if slot.role == MID else layer.post if slot.role == POST else None


def read_points(frozen: FrozenModel, sources: Sources) -> Int[Tensor, " unit"]:
    """The point where each source, as a target, reads."""
    parallel = frozen.layers[0].parallel
    by_role = {
        HEADS: points.attention_reads(0),
        MID: points.mid(0),
        MLP: points.mlp_reads(0, parallel),
        POST: points.mlp_writes(0),
    }
    in_block = torch.tensor([0, *(by_role[role] for role in ROLES)]).to(sources.slot.device)
    return points.PLACES * sources.layer + in_block[sources.role]
