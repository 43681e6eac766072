"""The record of circuits by size: how faithful each is on pairs it was not found on, beside random ones."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from circuits.faithfulness.metrics import area, distance, faithfulness
from probe.artifacts.json import finite
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import Interval, spread
from probe.words import counted, decimals, percent

BOOTSTRAP = 1000
X = {
    "asked": "share asked for",
    "kept": "share kept without what dangles",
    "weighted": "share of all edges, each by the share of its sender's units that is kept",
}
"""What the area is taken over: MIB's code and leaderboard take fixed shares, its paper what circuits really keep, and of nodes
and neurons the edges that these imply."""


@dataclass(frozen=True, kw_only=True)
class FaithfulnessCurve(Record, figure=True, renamed={"edges": "kept"}):
    """Circuits by size. kind: what they are made of; total: how many of it the model has. shares: as asked; kept: how many each
    has without what dangles. values, whole, nothing: the metric of every held-out pair: of each circuit, of the model, with all
    parts removed. random: of random circuits of the same sizes. x: what areas are taken over (`X`). weighted: of each
    circuit the share of all edges that it has or implies, each by the share of its sender's units that is kept; empty where areas
    are not taken over it. jaccard: of
    circuits found on pairs drawn again and again, the share of parts that each has in common with the circuit. auroc: of the
    scores against a known circuit; None without one. unseen: the same circuits on templates that scores never saw. scored:
    how many of the pairs have a clean prompt that the scores were made on, so that they are not held out; None where scores do
    not say on what they were made."""

    method: str
    task: str
    shares: Float[np.ndarray, " size"]
    kept: Int[np.ndarray, " size"]
    values: Float[np.ndarray, "size pair"]
    whole: Float[np.ndarray, " pair"]
    nothing: Float[np.ndarray, " pair"]
    random: Float[np.ndarray, "draw size pair"]
    kind: str = "edges"
    total: int = 0
    x: str = "asked"
    weighted: Float[np.ndarray, " weighed"] = field(default_factory=lambda: np.zeros(0))
    jaccard: Float[np.ndarray, "sample size"] = field(default_factory=lambda: np.zeros((0, 0)))
    auroc: float | None = None
    unseen: "FaithfulnessCurve | None" = None
    scored: int | None = 0
    convention: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @cached_property
    def f(self) -> Float[np.ndarray, " size"]:
        """Faithfulness of each size."""
        return faithfulness(self.values.mean(-1), self.whole.mean(), self.nothing.mean())

    @cached_property
    def random_f(self) -> Float[np.ndarray, "draw size"]:
        """The same of random circuits."""
        return faithfulness(self.random.mean(-1), self.whole.mean(), self.nothing.mean())

    @cached_property
    def samples(self) -> Float[np.ndarray, "sample size"]:
        """Faithfulness on pairs drawn again and again."""
        n, draw = len(self.whole), np.random.default_rng(self.seed)
        share = draw.multinomial(n, np.full(n, 1 / n), BOOTSTRAP) / n  # sample pair
        worth = share @ (self.whole - self.nothing)
        return (share @ (self.values - self.nothing).T) / np.where(np.abs(worth) > 1e-9, worth, np.nan)[:, None]

    @cached_property
    def interval(self) -> Float[np.ndarray, "2 size"]:
        """Of 95%, by size."""
        return np.nanpercentile(self.samples, [2.5, 97.5], axis=0)

    @property
    def axis(self) -> Float[np.ndarray, " size"]:
        """What areas are taken over."""
        if self.x == "weighted":
            return self.weighted
        return self.shares if self.x == "asked" else self.kept / self.total

    @property
    def cpr(self) -> float:
        """Area under the curve; near 1 is the whole model's."""
        return float(area(self.axis, self.f))

    @property
    def cmd(self) -> float:
        """Area between the curve and 1; 0 is best."""
        return float(distance(self.axis, self.f))

    @property
    def cmd_interval(self) -> Interval:
        """Of 95%, over held-out pairs that are drawn again and again."""
        drawn = distance(self.axis, self.samples)
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        return Interval(self.cmd, float(low), float(high))

    @property
    def random_cmds(self) -> Interval:
        """Of random circuits: mean and 95% of the draws."""
        return spread(np.atleast_1d(distance(self.axis, self.random_f))) if len(self.random) else Interval(float("nan"))

    @property
    def random_cmd(self) -> float:
        """The mean of random circuits."""
        return self.random_cmds.mean

    @property
    def stability(self) -> Float[np.ndarray, " size"]:
        """The mean share of parts in common, by size; NaN where no pairs were drawn again, and of circuits without parts."""
        return self.jaccard.mean(0) if len(self.jaccard) else np.full(len(self.shares), np.nan)

    def reaches(self, f: float = 0.8) -> float:
        """The smallest share from which on every size keeps at least `f`; NaN where none does."""
        enough = self.f >= f
        from_on = np.flatnonzero(np.logical_and.accumulate(enough[::-1])[::-1])
        return float(self.shares[from_on[0]]) if len(from_on) else float("nan")

    def rows(self) -> list[dict[str, Any]]:
        """One row a size. random from, to: 95% of the random circuits of that size."""
        return [self._row(i) for i in range(len(self.shares))]

    def _row(self, i: int) -> dict[str, Any]:
        (low, high), random = self.interval[:, i], spread(self.random_f[:, i])
        unseen = {} if self.unseen is None else {"on unseen templates": float(self.unseen.f[i])}
        stable = {"stability": finite(float(self.stability[i]))} if len(self.jaccard) else {}
        return {
            "share": float(self.shares[i]),
            self.kind: int(self.kept[i]),
            **({"weighted edges": float(self.weighted[i])} if len(self.weighted) else {}),
            "faithfulness": float(self.f[i]),
            "from": float(low),
            "to": float(high),
            **unseen,
            "random": finite(random.mean),
            "random from": finite(random.low),
            "random to": finite(random.high),
            **stable,
        }

    def panels(self) -> list[Panel]:
        """The curve, its table, what it comes to."""
        return [
            Figure("Faithfulness by size", self.figure),
            Rows("Circuits by size", self.rows(), kinds={"share": "share", "weighted edges": "share"}),
            Rows("What the curves come to", self.areas()),
            Sentence(self.summary()),
        ]

    def areas(self) -> list[dict[str, Any]]:
        """CPR and CMD of the curve, of that on unseen templates and of random circuits. `convention` says how edges were chosen
        and what areas are taken over."""
        curves = {self._on: self} | ({} if self.unseen is None else {"unseen templates": self.unseen})
        return [
            {
                "on": name,
                "pairs": len(one.whole),
                "CPR": one.cpr,
                "CMD": one.cmd,
                "CMD from": finite(one.cmd_interval.low),
                "CMD to": finite(one.cmd_interval.high),
                "random CMD": finite(one.random_cmd),
                "random from": finite(one.random_cmds.low),
                "random to": finite(one.random_cmds.high),
            }
            for name, one in curves.items()
        ]

    def summary(self) -> str:
        """One sentence: CPR and CMD beside random ones, and from where on it is faithful."""
        enough = self.reaches()
        some = enough < 1  # of all of them f is 1 whatever they are
        said = (
            f"{percent(enough)} of the {self.kind} and more keep .8"
            if some
            else f"nothing less than all {self.kind} keeps .8"
        )
        own = (
            "parts that help most first, as MIB's CPR"
            if self.convention.get("signed")
            else "strongest first, as MIB's CMD"
        )
        told = [said]
        if self.auroc is not None:
            told.append(f"AUROC {decimals(self.auroc)} against the known circuit")
        if len(self.jaccard) and some:
            at = int(np.flatnonzero(self.shares == enough)[0])
            told.append(f"circuits of pairs drawn again share {decimals(float(self.stability[at]))} of that one")
        return (
            f"{self.method} on {self._pairs()}: CPR {self.cpr:.3f}, "
            f"CMD {self.cmd:.3f} (random {self.random_cmd:.3f}; {own}); {'; '.join(told)}."
        )

    @property
    def _on(self) -> str:
        return "held-out pairs" if self.scored == 0 else "pairs" if self.scored is None else "pairs that the scores saw"

    def _pairs(self) -> str:
        """How many pairs, and whether they are held out."""
        if not self.scored:
            kind = "pair" if self.scored is None else "held-out pair"
            return f"{counted(len(self.whole), kind)} of {self.task}"
        seen = "which" if self.scored == len(self.whole) else f"{self.scored} of which"
        return f"{counted(len(self.whole), 'pair')} of {self.task}, {seen} the scores were made on too"
