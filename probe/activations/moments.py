"""Mean and variance of a stream of vectors, in float64, by merging the moments of its parts.

Sums of squares minus the squared mean lose everything when the mean is large, which residual streams are known for.
Each part keeps its own mean and the squared deviations from it; two parts merge exactly (Chan, Golub, LeVeque 1979).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Of `count` vectors: their mean, and `m2`, the sum of squared deviations from it (both float64)."""

    count: int
    mean: Float[Tensor, "width"]
    m2: Float[Tensor, "width"]

    @staticmethod
    def nothing(width: int) -> "Moments":
        """Moments of no vectors; merging them changes nothing."""
        return Moments(0, torch.zeros(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64))

    @staticmethod
    def of(values: Float[Tensor, "token width"]) -> "Moments":
        """Moments of the rows of `values`."""
        if not len(values):
            return Moments.nothing(values.shape[1])
        wide = values.to(torch.float64, copy=True)
        mean = wide.mean(0)
        # In place and in two passes: a third of the time of torch.var_mean, which goes down columns one by one.
        return Moments(len(values), mean.cpu(), wide.sub_(mean).square_().sum(0).cpu())

    def __add__(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        if not count:
            return self
        apart, share = other.mean - self.mean, other.count / count
        return Moments(count, self.mean + apart * share, self.m2 + other.m2 + apart**2 * (self.count * share))

    @property
    def var(self) -> Float[Tensor, "width"]:
        """Population variance (divided by the count, not the count less one); NaN of nothing."""
        return self.m2 / self.count if self.count else torch.full_like(self.m2, torch.nan)
