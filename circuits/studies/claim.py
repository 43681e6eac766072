"""A claim of a paper, what was measured of it, and what that says, by a rule that stands in the study's file.

A measure is turned so that more speaks for the claim. Then the rule needs two numbers and a level:

    does not hold      the whole interval lies below `in_part`, or the number is no further than control sets reach (p > alpha)
    holds              the whole interval reaches `holds`
    holds in part      the whole interval reaches `in_part`, and not all of it `holds`
    cannot be told     it was not measured, on too few prompts, beside too few control sets for such a p, or the interval lies on
                       both sides of `in_part`

p is the share of all sets, the tested one among them, that reach at least as far: it cannot fall below 1 / (1 + sets).
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np
from jaxtyping import Float

from probe.errors import BadInput
from probe.statistics import Interval, bootstrap, spread

Word = Literal["holds", "holds in part", "does not hold", "cannot be told"]
WORDS: tuple[Word, ...] = ("holds", "holds in part", "does not hold", "cannot be told")


@dataclass(frozen=True)
class Rule:
    """holds, in_part: what the whole interval must reach. alpha: the largest p beside control sets. least: of prompts."""

    holds: float
    in_part: float
    alpha: float = 0.01
    least: int = 4

    def __post_init__(self) -> None:
        if not (self.in_part <= self.holds and 0 < self.alpha < 1 and self.least >= 2):
            raise BadInput(f"{self} cannot decide: in_part <= holds, 0 < alpha < 1 and least >= 2 were wanted.")

    def words(self) -> str:
        """The rule as a sentence."""
        return (
            f"Holds if the whole interval reaches {self.holds:g}, in part if it reaches {self.in_part:g}, and only if p beside "
            f"the control is at most {self.alpha:g}; with fewer than {self.least} nothing is said."
        )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """name: short, stored under it. sentence: the claim, of this model. source: the paper, in its words where they are quoted.
    measure: what the number is, so turned that more speaks for the claim. part: which part of the study measures it. control:
    beside what. rule: how the verdict follows."""

    name: str
    sentence: str
    source: str
    measure: str
    control: str
    part: str
    rule: Rule


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The number of a claim. interval: mean and 95%. n: of what it is the mean, `over` says of what. draws: the same number of
    every control set. seed: of those."""

    interval: Interval
    n: int
    over: str
    draws: Float[np.ndarray, " set"]
    seed: int = 0

    @classmethod
    def of(
        cls, values: Float[np.ndarray, " n"], draws: Float[np.ndarray, " set"], *, over: str, seed: int = 0
    ) -> "Measured":
        """From the number of each prompt; the interval is bootstrapped over them."""
        values = np.asarray(values, np.float64)
        return cls(interval=bootstrap(values), n=len(values), over=over, draws=np.asarray(draws, np.float64), seed=seed)

    @property
    def random(self) -> Interval:
        """Mean over control sets, and the range that holds 95% of them."""
        return spread(self.draws)

    @property
    def p(self) -> float:
        """The share of all sets that reach at least as far; NaN where one of them is not known."""
        if not len(self.draws) or not isfinite(self.interval.mean) or not np.isfinite(self.draws).all():
            return float("nan")
        return float((1 + (self.draws >= self.interval.mean).sum()) / (1 + len(self.draws)))

    @property
    def p_least(self) -> float:
        """What p cannot fall below with so many sets."""
        return least_p(len(self.draws))


def least_p(sets: int) -> float:
    """The smallest p that so many control sets allow."""
    return 1 / (1 + sets)


@dataclass(frozen=True)
class Verdict:
    """What is said of a claim, and why."""

    word: Word
    why: str


def verdict_of(rule: Rule, found: Measured | None, lacking: str = "") -> Verdict:
    """The rule, applied. lacking: why nothing was measured."""
    if found is None:
        return Verdict("cannot be told", lacking or "It was not measured.")
    mean, low, high = found.interval.mean, found.interval.low, found.interval.high
    if found.n < rule.least:
        return Verdict("cannot be told", f"{found.n} {found.over} are too few; {rule.least} were wanted.")
    if not all(map(isfinite, (mean, low, high))):
        return Verdict(
            "cannot be told", "It has no interval: of what it is a share cannot be told from 0, or is not known."
        )
    if high < rule.in_part:
        return Verdict("does not hold", f"The whole interval lies below {rule.in_part:g}.")
    if found.p_least > rule.alpha:
        return Verdict("cannot be told", f"{len(found.draws)} control sets allow no p below {found.p_least:.2g}.")
    if not isfinite(found.p):
        return Verdict("cannot be told", "The control is not known.")
    if found.p > rule.alpha:
        return Verdict("does not hold", f"Control sets reach as far (p = {found.p:.2g}).")
    return _reached(rule, low)


def _reached(rule: Rule, low: float) -> Verdict:
    if low >= rule.holds:
        return Verdict("holds", f"The whole interval reaches {rule.holds:g}.")
    if low >= rule.in_part:
        return Verdict(
            "holds in part", f"The whole interval reaches {rule.in_part:g}, and not all of it {rule.holds:g}."
        )
    return Verdict("cannot be told", f"The interval lies on both sides of {rule.in_part:g}.")
