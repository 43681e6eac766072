"""What was found of every node: its score for each pair, and what that says of the task."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from circuits.node_attribution.nodes import Nodes
from probe.artifacts.json import finite
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import bootstrap, bootstrap_each
from probe.words import counted, figures, strongest

SIGN = "change of the metric when the node takes the value that it has in the corrupted run"
UNSIGNED = "size of that change, mean over layers left out of the gradient: it has no sign"
RESAMPLES = 1000
_MEANINGS = {
    "low": "2.5th percentile of the mean over pairs drawn again and again.",
    "high": "97.5th percentile of the mean over pairs drawn again and again.",
    "random direction": "The root mean square of the score, had the node moved as far in a random direction.",
}


@dataclass(frozen=True, kw_only=True)
class NodeScores(Record, figure=True):
    """Scores of the nodes of a model on a task.

    by_pair: of each pair and node. A score is what the metric changes by when the node takes the value that it has in the
    corrupted run: below 0 where the node speaks for the right answer; NaN where it was not measured, or no prompt has it there.
    Of GradDrop it is the size of that, without a sign. chance: the root mean square of the mean score if each move had a random
    direction of the same length; NaN where scores are no products with one gradient. clean, corrupted: the metric of each pair's
    two runs. convention: every choice that changes a number.

    >>> scores = ow.atp(model, "greater-than", n=2)
    >>> scores.of("L1H0") == float(scores.score[scores.nodes.find("L1H0")])
    True
    """

    method: str
    task: str
    nodes: Nodes
    by_pair: Float[np.ndarray, "pair node"]
    chance: Float[np.ndarray, " node"]
    clean: Float[np.ndarray, " pair"]
    corrupted: Float[np.ndarray, " pair"]
    examples: list[str]
    signed: bool = True
    seed: int = 0
    convention: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def score(self) -> Float[np.ndarray, " node"]:
        """Mean over the pairs that have the node; NaN where none has."""
        known = np.isfinite(self.by_pair)
        total = np.where(known, self.by_pair, 0).sum(0, dtype=np.float64)
        return np.divide(total, known.sum(0), out=np.full(len(total), np.nan), where=known.any(0))

    def of(self, name: str) -> float:
        """The mean score of one node by its name, like `L5H3`, `L5MLP`, `L5H3<q>@-1`. BadInput for one there is not."""
        return float(self.score[self.nodes.find(name)])

    def ranking(self) -> Int[np.ndarray, " node"]:
        """The nodes that have a score, those of largest size first."""
        order = np.argsort(-np.abs(self.score), kind="stable")
        return order[np.isfinite(self.score[order])]

    def names(self, k: int | None = None) -> list[str]:
        """Names of the `k` nodes of largest score (all: None), first first."""
        return [self.nodes.name(int(i)) for i in self.ranking()[:k]]

    def rows(self, k: int | None = 50) -> list[dict[str, Any]]:
        """The `k` nodes of largest score (all: None). low, high: 95% of the mean over pairs drawn again and again."""
        order = self.ranking()[:k]
        whole = self.by_pair[:, order]
        told = bootstrap_each(whole, RESAMPLES, self.seed)
        return [self._row(int(i), whole[:, at], told.low[at], told.high[at]) for at, i in enumerate(order)]

    def _row(self, i: int, values: Float[np.ndarray, " pair"], low: float, high: float) -> dict[str, Any]:
        known = values[np.isfinite(values)]
        if len(known) < len(values):  # of the pairs that have this position alone
            told = bootstrap(known, self.seed)
            low, high = told.low, told.high
        return {
            "node": self.nodes.name(i),
            "score": float(self.score[i]),
            "low": finite(low),
            "high": finite(high),
            "random direction": finite(self.chance[i]),
            "pairs of this sign": float((np.sign(known) == np.sign(self.score[i])).mean()),
        }

    def by_layer(self) -> list[dict[str, Any]]:
        """Of each layer, what its nodes come to: for and against the right answer, and the strongest."""
        found = []
        for layer in np.unique(self.nodes.layer):
            here = np.flatnonzero((self.nodes.layer == layer) & np.isfinite(self.score))
            if not len(here):
                continue
            value = self.score[here]
            first = int(here[np.abs(value).argmax()])
            found.append(
                {
                    "layer": int(layer),
                    "nodes": len(here),
                    "below 0": float(value[value < 0].sum()),
                    "above 0": float(value[value > 0].sum()),
                    "strongest": self.nodes.name(first),
                    "score": float(self.score[first]),
                }
            )
        return found

    def panels(self) -> list[Panel]:
        """The nodes by layer and head or position, the strongest, what layers come to, what they are scores of."""
        turned = {"across": ["unit", "position"]} if self.nodes.by_position else {}
        rows, known = self.rows(), int(np.isfinite(self.score).sum())
        return [
            Figure("What each node is worth", self.figure, choices=turned),
            Rows(strongest(len(rows), known, "nodes"), rows, kinds={"pairs of this sign": "share"}, meanings=_MEANINGS),
            Rows("What the nodes of each layer come to", self.by_layer(), whole=True),
            Sentence(self.summary()),
        ]

    def summary(self) -> str:
        """One sentence: how many nodes, by what, and the strongest."""
        gap = f"{figures(float(self.clean.mean()))} clean, {figures(float(self.corrupted.mean()))} corrupted"
        known = int(np.isfinite(self.score).sum())
        first = self.ranking()[:1]
        strongest = (
            f"; the strongest is {self.nodes.name(int(first[0]))}, {figures(float(self.score[first[0]]))}"
            if len(first)
            else ""
        )
        pairs = counted(len(self.by_pair), "pair")
        return f"{counted(known, 'node')} by {self.method} on {pairs} of {self.task} ({gap}){strongest}."
