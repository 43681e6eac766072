"""Targets carried down the model together: how much what each reads changes with the residual stream, position by position."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.sources import MID, POST, Slot, Targets
from circuits.replacement import points
from circuits.replacement.frozen import FrozenLayer, FrozenModel
from circuits.replacement.units import Latents


class Cotangents:
    """Targets that are carried together, those of later points first, and their cotangents.

    G[row, p] is how target `row` changes with the stream at position p, at the point that the walk down has reached. Positions
    after the last target are not held: attention looks back, so nothing there can be read.
    """

    def __init__(self, frozen: FrozenModel, targets: Targets):
        """targets: in descending order of their points."""
        self.frozen, self.targets, self.active = frozen, targets, 0
        self.length = int(targets.pos.max()) + 1
        self.G = frozen.embed.new_zeros(len(targets), self.length, frozen.embed.shape[1])  # row pos d_model
        self._points = (-targets.point).cpu().numpy()  # ascending, as searchsorted wants them

    @property
    def reached(self) -> Float[Tensor, "active pos d_model"]:
        """Cotangents of the targets that the walk has reached; the others read below and are zero still."""
        return self.G[: self.active]

    def add(self, back: Float[Tensor, "first pos d_model"] | None) -> None:
        """Add to the cotangents of the rows that were reached when `back` was made: the first ones."""
        if back is not None:
            self.G[: len(back)] += back

    def join(self, point: int) -> None:
        """Set the cotangents of the targets that read at `point`."""
        count = int(self._points.searchsorted(-point, side="right"))
        new = torch.arange(self.active, count, device=self.G.device)
        self.active = count
        if not len(new):
            return
        heads = self.targets.head[new] >= 0
        plain = new[~heads]
        self.G[plain, self.targets.pos[plain]] = self.targets.reader[plain]
        if heads.any():
            self._join_heads(new[heads], self.frozen.layers[points.layer_of(point)])

    def _join_heads(self, new: Tensor, layer: FrozenLayer) -> None:
        """A head reads at every key, weighed by its pattern."""
        weights = layer.attn.pattern[self.targets.head[new], self.targets.pos[new], : self.length]  # row k_pos
        seen = weights[:, :, None] * self.targets.reader[new][:, None]  # row k_pos d_model
        self.G[new] = seen if layer.ln1 is None else layer.ln1.adjoint(seen)


def carry_down(
    group: Cotangents,
    at_sae: Callable[[Slot, Latents | None], None],
    through_mlp: Callable[[int], Tensor | None],
    through_attention: Callable[[int], Tensor | None],
) -> None:
    """Walk from the final norm to the embeddings, point by point; at each, targets that read there join.

    at_sae: what an SAE in the stream (None where there is none) does to the cotangents. through_mlp, through_attention: what a
    layer's MLP and attention add to the cotangent of what they read.
    """
    layers = group.frozen.layers
    group.join(points.final(len(layers)))
    for i in reversed(range(len(layers))):
        layer = layers[i]
        at_sae(Slot(i, POST), layer.post)
        group.join(points.mlp_writes(i))
        from_mlp = through_mlp(i)
        if not layer.parallel:
            group.add(from_mlp)
            group.join(points.mlp_reads(i, False))
            at_sae(Slot(i, MID), layer.mid)
            group.join(points.mid(i))
        from_attention = through_attention(i)
        group.add(from_attention)
        if layer.parallel:  # both read the block's input, so attention must not see what comes back through the MLP
            group.add(from_mlp)
        group.join(points.attention_reads(i))
