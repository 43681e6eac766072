"""Whether two tensors that should be one are: equal, or in proportion, but for rounding."""

from typing import Any

import torch
from torch import Tensor


def readable(owner: Any, name: str) -> Any:
    """A weight, or None where the module refuses it."""
    try:
        return getattr(owner, name, None)
    except (AttributeError, RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return None


def written(value: Tensor, owner: Any, name: str) -> Tensor | None:
    """value W + b for a module's output matrix, or None where it has none that can be read."""
    W, b = readable(owner, f"W_{name}"), readable(owner, f"b_{name}")
    if W is None or W.numel() % max(value.shape[-1], 1) or W.numel() == 0:
        return None
    made = value.to(W.dtype) @ W.reshape(value.shape[-1], -1)
    return made if b is None else made + b


def tolerance(dtype: torch.dtype) -> float:
    """How far two ways to one number may differ, relative to the largest: what rounding makes of a layer's sums."""
    return {torch.float64: 1e-5, torch.float32: 1e-3}.get(dtype, 0.05)


def same(a: Tensor, b: Tensor) -> bool:
    """Equal but for rounding. Values that became infinite tell nothing, so nothing is refused for them."""
    if a.shape != b.shape:
        return False
    if not (bool(a.isfinite().all()) and bool(b.isfinite().all())):
        return True
    a, b = a.detach(), b.detach()
    return float((a - b).abs().max()) <= tolerance(b.dtype) * max(float(b.abs().max()), float(a.abs().max()), 1e-30)


def factor_between(a: Tensor, b: Tensor) -> float | None:
    """The number c with c a = b; 1 where it is that but for rounding, None where there is none."""
    if not (bool(a.isfinite().all()) and bool(b.isfinite().all())):
        return 1.0
    size = float((a.double() ** 2).sum())
    factor = float((a.double() * b.double()).sum()) / size if size > 0 else 1.0  # least squares
    if not same(factor * a.to(b), b):
        return None
    return (
        1.0 if abs(factor - 1) <= 0.1 * tolerance(b.dtype) else factor
    )  # a mean over all numbers is known better than each


def proportional(a: Tensor, b: Tensor) -> bool:
    """Whether b is a times one number."""
    return factor_between(a, b) is not None


def causal_softmax(scores: Tensor) -> Tensor:
    """The pattern that causal scores make, whether or not their mask is in them."""
    n = scores.shape[-1]
    mask = torch.ones(n, n, dtype=torch.bool, device=scores.device).triu(1)
    low = torch.finfo(scores.dtype).min
    masked = scores.masked_fill(mask, low) if scores.shape[-2] == n else scores
    return masked.clamp_min(low).softmax(-1)
