"""The fraction of variance unexplained of one stream of tokens: a second implementation of what is computed by document."""

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput


class FVU:
    """Streaming fraction of variance unexplained, about the mean of the targets that were seen.

    Predicting that mean gives 1, predicting the targets gives 0. Targets are centred on the first batch's mean before they are
    squared, so a mean far from zero costs no precision.
    """

    def __init__(self) -> None:
        self.n, self.error = 0, 0.0
        self._origin: Tensor | None = None
        self._sum: Tensor | None = None
        self._squares = 0.0

    def update(self, targets: Float[Tensor, "row d"], recons: Float[Tensor, "row d"]) -> "FVU":
        """Add tokens."""
        wanted = targets.detach().double()
        if self._origin is None:
            self._origin, self._sum = wanted.mean(0), torch.zeros_like(wanted[0])
        about = wanted - self._origin
        self.n += len(wanted)
        self.error += float((wanted - recons.detach().double()).square().sum())
        self._sum += about.sum(0)
        self._squares += float(about.square().sum())
        return self

    @property
    def variance(self) -> float:
        """Sum of squares of the targets about their mean."""
        if self._sum is None:
            raise BadInput("No tokens were seen, so there is no variance to explain.")
        return self._squares - float(self._sum.square().sum()) / self.n

    @property
    def value(self) -> float:
        """The fraction; BadInput if the targets did not vary."""
        if not self.variance > 0:
            raise BadInput("The targets are constant, so there is no variance to explain.")
        return self.error / self.variance

    @property
    def explained_variance(self) -> float:
        """1 - FVU."""
        return 1 - self.value


def fvu(targets: Float[Tensor, "row d"], recons: Float[Tensor, "row d"]) -> float:
    """Fraction of variance unexplained of one batch."""
    return FVU().update(targets, recons).value
