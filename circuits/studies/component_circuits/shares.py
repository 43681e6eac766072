"""Shares of a whole over pairs: mean of the one over mean of the other, and where 95% lie when pairs are drawn again and again.

Pairs differ in how much there is to lose, so a share is no mean of each pair's: parts and wholes are summed over the same pairs.
Where the whole cannot be told from 0 on pairs drawn again, a share of it has no interval.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from circuits.studies.claim import Measured
from probe.statistics import DRAWS, Interval

Each = Float[np.ndarray, " pair"]


def drawn_again(n: int) -> Float[np.ndarray, "sample pair"]:
    """How often each of n pairs is drawn, as shares."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=DRAWS) / n


def share(part: Each, whole: Each) -> float:
    """What the part is of the whole."""
    return float(part.mean() / (whole.mean() or np.nan))


def measured_share(part: Each, whole: Each, draws: Sequence[float] | np.ndarray, seed: int) -> Measured:
    """A share as a claim's number. draws: the shares of its control sets."""
    return measured_of(part[:, None], whole, lambda f: f[0], draws, seed)


def measured_of(
    parts: Float[np.ndarray, "pair some"],
    whole: Each,
    number: Callable[[np.ndarray], np.ndarray],
    draws: Sequence[float] | np.ndarray,
    seed: int,
) -> Measured:
    """A number made of several shares (some, by sample) as a claim's."""
    again = drawn_again(len(whole))
    of_all = again @ whole
    ends = np.quantile(of_all, [0.025, 0.975])
    low = high = np.nan
    if ends[0] * ends[1] > 0:
        low, high = np.quantile(number((again @ parts).T / of_all), [0.025, 0.975])
    mean = float(number(parts.mean(0)[:, None] / (whole.mean() or np.nan))[0])
    return Measured(
        interval=Interval(mean, float(low), float(high)),
        n=len(whole),
        over="pairs",
        draws=np.asarray(draws, float),
        seed=seed,
    )
