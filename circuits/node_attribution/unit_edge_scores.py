"""What was found of the edges from and to single neurons or latents."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from probe.artifacts.json import finite
from probe.errors import BadInput, brief
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import bootstrap_each
from probe.words import counted, figures, strongest

RESAMPLES = 1000
_KINDS: dict[str, Literal["token", "share", "name"]] = {"pairs of this sign": "share"}


@dataclass(frozen=True, kw_only=True)
class UnitEdgeScores(Record, figure=True):
    """Scores of the edges from and to some units.

    units: their names, by layer. senders, receivers: of every edge. by_pair: of each pair and edge, what the metric changes by
    when the edge carries what its sender writes in the corrupted run: below 0 where the edge speaks for the right answer. clean,
    corrupted: the metric of each pair's two runs. convention: every choice that changes a number.

    >>> scores = ow.unit_edges(model, "greater-than", n=2, k=4)
    >>> scores.by_pair.shape == (2, len(scores.senders)), len(scores.senders) == len(scores.receivers)
    (True, True)
    """

    task: str
    units: list[str]
    senders: list[str]
    receivers: list[str]
    by_pair: Float[np.ndarray, "pair edge"]
    clean: Float[np.ndarray, " pair"]
    corrupted: Float[np.ndarray, " pair"]
    examples: list[str]
    seed: int = 0
    convention: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def score(self) -> Float[np.ndarray, " edge"]:
        """Mean over pairs."""
        return self.by_pair.mean(0)

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {ends: i for i, ends in enumerate(zip(self.senders, self.receivers, strict=True))}

    def edge(self, i: int) -> str:
        """An edge's name, like `L3N5->L7N9` or `L7N9->logits`."""
        return f"{self.senders[i]}->{self.receivers[i]}"

    def of(self, name: str) -> float:
        """The mean score of one edge by its name. BadInput for one there is not."""
        sender, _, receiver = name.partition("->")
        if (sender, receiver) not in self._places:
            raise BadInput(f"There is no edge {brief(name)}; they are named like {self.edge(0)}.")
        return float(self.score[self._places[sender, receiver]])

    def rows(self, k: int | None = 50, *, between: bool = False) -> list[dict[str, Any]]:
        """The `k` edges of largest score (all: None). between: only those from unit to unit."""
        order = np.argsort(-np.abs(self.score), kind="stable")
        if between:
            inside = set(self.units)
            order = np.array([i for i in order if self.senders[i] in inside and self.receivers[i] in inside], int)
        order = order[:k]
        told = bootstrap_each(self.by_pair[:, order], RESAMPLES, self.seed)
        return [
            {
                "edge": self.edge(i),
                "score": float(self.score[i]),
                "low": finite(told.low[at]),
                "high": finite(told.high[at]),
                "pairs of this sign": float((np.sign(self.by_pair[:, i]) == np.sign(self.score[i])).mean()),
            }
            for at, i in enumerate(order)
        ]

    def panels(self) -> list[Panel]:
        """The units with each other and the logits, the strongest edges between units, and of all."""
        rows = self.rows()
        title = strongest(len(rows), len(self.score), "edges from and to these units")
        return [
            Figure("Edges from unit to unit, and to the logits", self.figure),
            Rows("The strongest edges from unit to unit", self.rows(between=True), kinds=_KINDS),
            Rows(title, rows, kinds=_KINDS),
            Sentence(self.summary()),
        ]

    def summary(self) -> str:
        """One sentence: how many edges, of which units, and the strongest."""
        first = int(np.abs(self.score).argmax())
        return (
            f"{counted(len(self.senders), 'edge')} from and to {counted(len(self.units), 'unit')} on "
            f"{counted(len(self.by_pair), 'pair')} of {self.task}; the strongest is {self.edge(first)}, "
            f"{figures(float(self.score[first]))}."
        )
