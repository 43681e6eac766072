"""The gap that is allowed between a node and the sum of its edges."""

import torch

from circuits.replacement.frozen import FrozenModel
from probe.errors import OpenworkError


def require_conservation(excess: float, allowed: float) -> None:
    """OpenworkError for a larger gap: no graph is better than one that does not add up."""
    if not excess <= allowed:
        raise OpenworkError(
            f"The edges do not sum to the nodes they explain: the largest gap is {excess:.1e} of what is added up, {allowed:g} "
            "allowed. No graph was made. Load the model in a higher precision (float32, float64), or raise the tolerance."
        )


def allowed_gap(frozen: FrozenModel) -> float:
    """1e-5 in float32. In float64 1e-10, or a hundred times the model's own rounding where it computes parts in float32, but
    never more than in float32."""
    if frozen.embed.dtype == torch.float64:
        return min(1e-5, max(1e-10, 100 * max(frozen.check.values(), default=0.0)))
    return 1e-5
