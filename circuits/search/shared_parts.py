"""What two circuits share, as it is told: parts in both, beside those that circuits of their sizes share by chance."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from circuits.comparison.two_rows import states_of
from probe.artifacts.json import finite
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import RankCorrelation, spread
from probe.words import decimals

LISTED = 500
"""Parts of the table."""


@dataclass(frozen=True, kw_only=True)
class Alike(Record):
    """How much two circuits share of one sort of part. random: Jaccard indices of random pairs of their sizes."""

    what: str
    both: int
    only_a: int
    only_b: int
    random: Float[np.ndarray, " draw"]

    @property
    def jaccard(self) -> float:
        """Parts in both, of those in either; NaN where there are none."""
        either = self.both + self.only_a + self.only_b
        return self.both / either if either else float("nan")

    @property
    def p(self) -> float:
        """The share of random pairs that are as much alike; NaN without any."""
        if not len(self.random) or np.isnan(self.jaccard):
            return float("nan")
        return float((1 + (self.random >= self.jaccard - 1e-12).sum()) / (1 + len(self.random)))

    def rows(self) -> list[dict[str, Any]]:
        """In one row."""
        by_chance = spread(self.random)
        told = {
            "Jaccard index": self.jaccard,
            "random": by_chance.mean,
            "random from": by_chance.low,
            "random to": by_chance.high,
            "p": self.p,
        }
        counts = {"in both": self.both, "only in a": self.only_a, "only in b": self.only_b}
        return [{"what": self.what, **counts, **{name: finite(value) for name, value in told.items()}}]


@dataclass(frozen=True, kw_only=True)
class ComparedCircuits(Record, figure=True):
    """Two circuits of one model. of: what each is, in words. kind: what they are made of; parts: the names of all that either
    has; held: which of the two has each; score: theirs, NaN without one. alike: of each sort of part. ranks: how far the scores
    agree, by which parts; empty where not both have some. convention: what random pairs are, and by what scores are ranked."""

    of: tuple[str, str]
    kind: str
    parts: list[str]
    held: Bool[np.ndarray, "circuit part"]
    score: Float[np.ndarray, "circuit part"]
    alike: list[Alike]
    ranks: dict[str, RankCorrelation] = field(default_factory=dict)
    convention: dict[str, Any] = field(default_factory=dict)

    def rows(self, k: int | None = LISTED, *, where: str = "") -> list[dict[str, Any]]:
        """A row a part, those in both first, then by score. where: only those in `both`, in `a` or in `b`."""
        states = states_of(self.held)
        size = np.nan_to_num(np.abs(self.score)).max(0, initial=0.0)
        order = sorted(range(len(self.parts)), key=lambda i: (["both", "a", "b"].index(states[i]), -size[i]))
        scored = {f"score {side}": values for side, values in zip("ab", self.score) if np.isfinite(values).any()}
        word = self.kind.removesuffix("s")
        return [
            {
                word: self.parts[i],
                "in": states[i],
                **{name: finite(float(values[i])) for name, values in scored.items()},
            }
            for i in order
            if where in ("", states[i])
        ][:k]

    def panels(self) -> list[Panel]:
        """How much they share, beside chance; whether their scores agree; every part."""
        shared = [row for one in self.alike for row in one.rows()]
        ranked = [{"parts": name, **one.to_dict()} for name, one in self.ranks.items()]
        kinds: dict[str, Any] = {} if self.kind == "edges" else {self.kind.removesuffix("s"): "name"}
        return [
            Sentence(self.summary()),
            Figure("What they share, beside random circuits of their sizes", self.figure),
            Rows("What is in both", shared),
            *([Rows("Rank correlation of their scores", ranked)] if ranked else []),
            Rows(f"Their {self.kind}", self.rows(), kinds=kinds),
        ]

    def summary(self) -> str:
        """One sentence."""
        first = self.alike[0]
        counts = f"{first.both:,} {self.kind} in both, {first.only_a:,} only in a, {first.only_b:,} only in b"
        by_chance = spread(first.random)
        random = f" (random pairs {decimals(by_chance.mean)}, p {first.p:.2g})" if len(first.random) else ""
        told = f"{self.of[0]} (a) and {self.of[1]} (b): {counts}; Jaccard index {decimals(first.jaccard)}{random}"
        ranks = [f"; their scores' ranks correlate by {decimals(one.rho)}" for one in list(self.ranks.values())[:1]]
        return f"{told}{''.join(ranks)}."
