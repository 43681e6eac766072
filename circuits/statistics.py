"""How well predictions agree with measurements, and how sure a mean over prompts is. Pure arrays; no model."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

DRAWS = 2000
"""Resamples of a bootstrap."""


@dataclass(frozen=True)
class Agreement:
    """Predicted against measured movements of n nodes.

    slope: measured per predicted, least squares through the origin. correlation: Pearson's. explained: 1 - sum of squared
    gaps / sum of squared measurements. worst: largest gap / largest prediction. NaN where nothing was predicted to move.
    """

    slope: float
    correlation: float
    explained: float
    worst: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def agreement(predicted: Float[np.ndarray, " n"], measured: Float[np.ndarray, " n"]) -> Agreement:
    """How well two arrays agree; nodes that were not measured (NaN) are left out."""
    known = np.isfinite(measured) & np.isfinite(predicted)
    p, m = predicted[known].astype(np.float64), measured[known].astype(np.float64)
    gap, size = m - p, float(np.abs(p).max(initial=0.0))
    if not size:
        return Agreement(np.nan, np.nan, np.nan, 0.0 if not m.any() else np.inf, len(p))
    both = p.std() * m.std()
    return Agreement(
        float(p @ m / (p @ p)),
        float(np.mean((p - p.mean()) * (m - m.mean())) / both) if both > 0 else np.nan,
        float(1 - gap @ gap / max(m @ m, 1e-300)),
        float(np.abs(gap).max() / size),
        len(p),
    )


@dataclass(frozen=True)
class Interval:
    """A mean with an interval that holds 95% (`low` to `high`); NaN where there is nothing to make one from."""

    mean: float
    low: float = np.nan
    high: float = np.nan

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def bootstrap(values: Float[np.ndarray, " prompt"], seed: int = 0) -> Interval:
    """Mean over prompts; its interval from resampling them with replacement. One prompt has none."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else np.nan)
    picks = np.random.default_rng(seed).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(values[picks].mean(1), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


def spread(values: Float[np.ndarray, " draw"]) -> Interval:
    """Mean over random sets, and the range that holds 95% of them."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(np.nan)
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) > 1 else (np.nan, np.nan)
    return Interval(float(values.mean()), float(low), float(high))


def share_as_large(value: float, draws: Float[np.ndarray, " draw"]) -> float:
    """The p-value of a random set moving at least as much: (1 + how many do) / (1 + how many there are). NaN where a draw is not
    known: it compares as neither smaller nor larger, so it would count as having done less."""
    if not len(draws) or np.isnan(value) or np.isnan(draws).any():
        return np.nan
    return float((1 + (np.abs(draws) >= abs(value)).sum()) / (1 + len(draws)))
