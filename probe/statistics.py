"""How well predictions agree with measurements, and how sure a mean over prompts is. Pure arrays; no model.

The one bootstrap is here: whole prompts are resampled with replacement (Efron, 1979), and the percentiles of the means are the
interval. A resample is how often each prompt was drawn, so that means of many items are one product of matrices;
scipy.stats.bootstrap would index `resamples` copies of the data.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.artifacts.json import finite
from probe.show.record import Record

DRAWS = 2000
"""Resamples of a bootstrap."""
_ITEMS = 2000
"""Items whose resampled means are held at a time."""


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
    low, high = _bootstrap_ends(values[:, None], DRAWS, seed)[:, 0]
    return Interval(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class Intervals(Record):
    """Of many items: mean, standard deviation and 95% bootstrap interval over prompts; the last three NaN for a single prompt."""

    mean: Float[np.ndarray, " item"]
    sd: Float[np.ndarray, " item"]
    low: Float[np.ndarray, " item"]
    high: Float[np.ndarray, " item"]

    def row(self, i: int, name: str) -> dict[str, float | None]:
        """One item's four numbers under `name`."""
        found = {name: self.mean[i], f"{name}_sd": self.sd[i], "low": self.low[i], "high": self.high[i]}
        return {k: finite(v) for k, v in found.items()}


def bootstrap_each(values: Float[np.ndarray, "prompt item"], resamples: int, seed: int) -> Intervals:
    """`bootstrap` of each column, all from the same resamples, with standard deviations."""
    mean, none = values.mean(0), np.full(values.shape[1], np.nan)
    if len(values) < 2:
        return Intervals(mean=mean, sd=none, low=none, high=none)
    low, high = _bootstrap_ends(values, resamples, seed)
    return Intervals(mean=mean, sd=values.std(0, ddof=1), low=low, high=high)


def _bootstrap_ends(
    values: Float[np.ndarray, "prompt item"], resamples: int, seed: int
) -> Float[np.ndarray, "end item"]:
    """The 2.5th and 97.5th percentile of each item's resampled means."""
    n, items = values.shape
    # how often each prompt is drawn in n draws with replacement, as a share: resample prompt
    shares = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n
    parts = [values[:, i : i + _ITEMS] for i in range(0, items, _ITEMS)]
    ends = [np.quantile(shares @ part, [0.025, 0.975], axis=0) for part in parts]
    return np.concatenate(ends, 1) if ends else np.zeros((2, 0))


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


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Spearman's rank correlation of n pairs. low, high: 95% over resampled pairs. chance_low, chance_high: 95% of what random
    orders of one side give. p: the share of random orders at least as far from 0, this one counted. NaN where a side is
    constant, or there are fewer than 3 pairs."""

    rho: float
    low: float
    high: float
    chance_low: float
    chance_high: float
    p: float
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {name: finite(value) for name, value in asdict(self).items()}


def rank_correlation(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], seed: int = 0, draws: int = DRAWS
) -> RankCorrelation:
    """How far two lists rise together (Spearman, 1904), ties sharing their mean rank; pairs that are not finite are left out.

    The interval resamples pairs (Efron, 1979), the control orders one side at random. scipy.stats.spearmanr gives the same number
    with a p that holds for many pairs alone; a model has a dozen layers.
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y, rng = np.asarray(x, float)[known], np.asarray(y, float)[known], np.random.default_rng(seed)
    n = len(x)
    rho = float(_rho(x[None], y[None])[0]) if n > 2 else np.nan
    if np.isnan(rho):
        return RankCorrelation(
            rho=np.nan, low=np.nan, high=np.nan, chance_low=np.nan, chance_high=np.nan, p=np.nan, n=n
        )
    drawn = rng.integers(0, n, (draws, n))
    again = _rho(x[drawn], y[drawn])
    chance = _rho(np.broadcast_to(x, (draws, n)), np.array([rng.permutation(y) for _ in range(draws)]))
    low, high = np.nanpercentile(again, [2.5, 97.5])
    span = spread(chance)
    return RankCorrelation(
        rho=rho,
        low=float(low),
        high=float(high),
        chance_low=span.low,
        chance_high=span.high,
        p=share_as_large(abs(rho) - 1e-9, chance),  # equal ranks give equal sums, but for rounding
        n=n,
    )


def _rho(x: Float[np.ndarray, "list n"], y: Float[np.ndarray, "list n"]) -> Float[np.ndarray, " list"]:
    """Pearson's correlation of the ranks of each list of x and of y; NaN where one side is constant."""
    a, b = _ranks(x), _ranks(y)
    size = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.clip(np.divide((a * b).sum(-1), size, out=np.full_like(size, np.nan), where=size > 0), -1, 1)


def _ranks(values: Float[np.ndarray, "list n"]) -> Float[np.ndarray, "list n"]:
    """Ranks about their mean in each list, equal values at the mean of theirs."""
    from scipy.stats import rankdata  # takes a while to import

    ranks = rankdata(values, axis=-1)
    return ranks - ranks.mean(-1, keepdims=True)


def mean_and_error(sums: Float[np.ndarray, " group"], counts: Float[np.ndarray, " group"]) -> tuple[float, float]:
    """Mean per item over groups of items (documents), and its standard error from the spread between groups.

    The ratio estimator: items of one document are not independent, documents nearly are. NaN error for fewer than 2 groups.
    """
    total = counts.sum()
    mean = float(sums.sum() / total)
    if len(sums) < 2:
        return mean, float("nan")
    spread = ((sums - mean * counts) ** 2).sum() * len(sums) / (len(sums) - 1)
    return mean, float(np.sqrt(spread) / total)
