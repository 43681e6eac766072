"""Targets carried down the model together: how much what each reads changes with the residual stream, position by position."""

import torch
from torch import Tensor

from circuits.attribution.sources import Targets
from circuits.replacement.frozen import FrozenLayer, FrozenModel


class Cotangents:
    """Targets that are carried together, those of later points first, and their cotangents."""

    def __init__(self, frozen: FrozenModel, targets: Targets):
        """targets: in descending order of their points."""
        self.frozen, self.targets, self.active = frozen, targets, 0
        self.length = int(targets.pos.max()) + 1
        self.G = frozen.embed.new_zeros(len(targets), self.length, frozen.embed.shape[1])
        self._points = (-targets.point).cpu().numpy()

    @property
    def live(self) -> Tensor:
        """Cotangents of the targets that the sweep has reached."""
        return self.G[: self.active]

    def add(self, back: Tensor | None) -> None:
        """Add to the cotangents of the rows that were live when `back` was made: the first ones."""
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
            self._join_heads(new[heads], self.frozen.layers[point // 4])

    def _join_heads(self, new: Tensor, layer: FrozenLayer) -> None:
        """A head reads at every key, weighed by its pattern."""
        weights = layer.attn.pattern[self.targets.head[new], self.targets.pos[new], : self.length]
        seen = weights[:, :, None] * self.targets.reader[new][:, None]
        self.G[new] = seen if layer.ln1 is None else layer.ln1.adjoint(seen)
