"""A learned subspace, how often interchanging it changes the answer as it should, and what stands beside that."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import Interval
from probe.words import counted, decimals, percent

NAMES = {
    "learned": "learned",
    "fitted": "learned, on the pairs it was learned from",
    "whole": "the whole site",
    "means": "difference of means",
    "arbitrary": "learned from arbitrary answers, on others as arbitrary",
    "arbitrary_fitted": "the same, on those it was learned from",
    "untrained": "learned in a model of random weights",
    "untrained_fitted": "the same, on the pairs it was learned from",
    "untrained_still": "nothing interchanged in the model of random weights",
    "read": "learned, without what nothing reads",
}


@dataclass(frozen=True, kw_only=True)
class LearnedSubspace(Record, figure=True):
    """What distributed alignment search found. basis: orthonormal. losses: by epoch. right: of each subspace and interchange
    whether the answer came out as it should (names: `NAMES`). random, placebo: accuracies of random subspaces of this size, and
    of those that move the activation as far as the learned one does. unread: share of the basis that nothing reads, NaN where
    all of the site is read. moved: how far prompts differ along it, 1 for a random subspace."""

    task: str
    site: str
    position: int
    rank: int
    width: int
    basis: Float[np.ndarray, "width rank"]
    losses: list[float]
    right: dict[str, Bool[np.ndarray, " interchange"]]
    random: Float[np.ndarray, " draw"]
    placebo: Float[np.ndarray, " draw"]
    unread: float
    moved: float
    examples: list[str]
    convention: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def accuracy(self, which: str = "learned") -> Interval:
        """The share of interchanges that come out as they should, of one subspace, with Wilson's 95% interval."""
        return self.accuracies[which]

    @cached_property
    def accuracies(self) -> dict[str, Interval]:
        """Of every subspace in `right`."""
        return {name: _share(one) for name, one in self.right.items()}

    def rows(self) -> list[dict[str, Any]]:
        """One row a subspace."""
        found = [
            {
                "subspace": NAMES[name],
                "accuracy": one.mean,
                "low": one.low,
                "high": one.high,
                "interchanges": len(self.right[name]),
            }
            for name, one in self.accuracies.items()
        ]
        for name, drawn in (("random, as large", self.random), ("random, moved as far", self.placebo)):
            if len(drawn):
                ends = {
                    "low": float(drawn.min()),
                    "high": float(drawn.max()),
                    "interchanges": len(self.right["learned"]),
                }
                found.append({"subspace": name, "accuracy": float(drawn.mean()), **ends})
        return found

    def panels(self) -> list[Panel]:
        """The sentence, every subspace, whether it is dormant, how it was learned."""
        shares: Any = dict.fromkeys(("accuracy", "low", "high"), "share")
        return [
            Sentence(self.summary()),
            Figure("Interchange accuracy", self.figure),
            Rows("Every subspace", self.rows(), kinds=shares),
            Sentence(self.dormancy()),
        ]

    def dormancy(self) -> str:
        """Whether it may work through a path that is dormant otherwise."""
        far = f"Prompts differ along it {decimals(self.moved, 2)} times as far as along a random subspace of its size"
        low = ", which is little: it may be dormant otherwise" if self.moved < 0.5 else ""
        if np.isnan(self.unread):
            return f"{far}{low}. All of this site is read by what follows, so it has no null space to look at."
        read = self.accuracy("read")
        return (
            f"{far}{low}. {percent(self.unread)} of it lies where the MLP's output matrix reads nothing; without that part its "
            f"accuracy is {percent(read.mean)}"
            + (
                ": much of its effect needs what nothing reads, so it is no place where the model keeps the variable."
                if read.mean < 0.5 * self.accuracy().mean
                else "."
            )
        )

    def summary(self) -> str:
        """One sentence: held-out accuracy beside the controls."""
        own, other = self.accuracy(), self.accuracy("arbitrary")
        drawn = f", random {percent(float(self.random.mean()))}" if len(self.random) else ""
        if "untrained" in self.accuracies:
            drawn = f", in a model of random weights {percent(self.accuracy('untrained').mean)}{drawn}"
        return (
            f"Interchanging {counted(self.rank, 'learned dimension')} of {self.width:,} at {self.site}, position "
            f"{self.position}, gives the source's answer in {percent(own.mean)} of "
            f"{counted(len(self.right['learned']), 'held-out interchange')} ({percent(own.low)} to {percent(own.high)}); with "
            f"arbitrary answers {percent(other.mean)}{drawn}, the whole site {percent(self.accuracy('whole').mean)}."
        )


def _share(right: Bool[np.ndarray, " interchange"]) -> Interval:
    from scipy.stats import binomtest  # takes a while to import

    low, high = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return Interval(float(right.mean()), float(low), float(high))
