"""The best affine map from inputs to targets: the baseline a transcoder has to beat.

Ridge regression in closed form from sums gathered in float64, so any number of tokens passes through in one pass:

    W = C_yx (C_xx + ridge * tr(C_xx) / d_in * I)^-1        b = mean_y - W mean_x

On a gated MLP it explains a good third of the variance; a sparse dictionary that does not beat it has found nothing nonlinear.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput


class AffineMap:
    """targets = inputs @ weight_.T + bias_, fitted by least squares with a small ridge (relative to the mean input variance)."""

    def __init__(self, ridge: float = 1e-4):
        self.ridge = ridge

    def fit(self, batches: Iterable[tuple[Float[Tensor, "row d_in"], Float[Tensor, "row d_out"]]]) -> "AffineMap":
        """Learn from batches of (inputs, targets); BadInput if there are none."""
        sums: list[Tensor] = []
        n = 0
        for inputs, targets in batches:
            x, y = inputs.double(), targets.double()
            parts = [x.sum(0), y.sum(0), x.T @ x, y.T @ x]
            sums = parts if not sums else [a.add_(b) for a, b in zip(sums, parts, strict=True)]
            n += len(x)
        if not n:
            raise BadInput("An affine map cannot be fitted on no tokens.")
        mean_x, mean_y = sums[0] / n, sums[1] / n
        self.weight_ = self._solve(sums[2] / n - mean_x.outer(mean_x), sums[3] / n - mean_y.outer(mean_x))
        self.bias_ = mean_y - self.weight_ @ mean_x
        self.n_tokens_ = n
        return self

    def _solve(
        self, cov_xx: Float[Tensor, "d_in d_in"], cov_yx: Float[Tensor, "d_out d_in"]
    ) -> Float[Tensor, "d_out d_in"]:
        eye = torch.eye(len(cov_xx), dtype=cov_xx.dtype, device=cov_xx.device)
        strength = self.ridge * cov_xx.diagonal().mean().clamp_min(1e-30)
        return torch.linalg.solve(cov_xx + strength * eye, cov_yx.T).T

    def predict(self, inputs: Float[Tensor, "row d_in"]) -> Float[Tensor, "row d_out"]:
        """The map's targets, in the inputs' dtype."""
        return inputs @ self.weight_.T.to(inputs) + self.bias_.to(inputs)
