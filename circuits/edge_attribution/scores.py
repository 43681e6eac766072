"""What was found of every edge: its score for each pair, and what that says of the task."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from circuits.edge_attribution.layout import Layout
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, figures, strongest

if TYPE_CHECKING:
    from probe.tasks.pairs import Pairs

SIGN = "change of the metric when the edge carries what its sender writes in the corrupted run"


@dataclass(frozen=True, kw_only=True)
class EdgeScores(Record, figure=True):
    """Scores of every edge of a model on a task.

    by_pair: of each pair, in the order of `Layout.edges` read row by row. A score is what the metric changes by when the edge
    carries what its sender writes in the corrupted run: below 0 where the edge speaks for the right answer. clean, corrupted: the
    metric of each pair's two runs. convention: every choice that changes a number. signed: whether that is what a score is;
    otherwise it says how much an edge carries, neither for nor against.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> scores.of("input->logits") == float(scores.matrix[0, -1])
    True
    """

    method: str
    task: str
    layout: Layout
    by_pair: Float[np.ndarray, "pair edge"]
    clean: Float[np.ndarray, " pair"]
    corrupted: Float[np.ndarray, " pair"]
    examples: list[str]
    convention: dict[str, Any] = field(default_factory=dict)
    signed: bool = True

    @cached_property
    def edges(self) -> Int[np.ndarray, "edge 2"]:
        """Sender and receiver of every edge."""
        return np.argwhere(self.layout.edges)

    @cached_property
    def score(self) -> Float[np.ndarray, " edge"]:
        """Mean over pairs."""
        return self.by_pair.mean(0)

    @cached_property
    def error(self) -> Float[np.ndarray, " edge"]:
        """Standard error of the mean; NaN for one pair."""
        n = len(self.by_pair)
        return self.by_pair.std(0, ddof=1) / np.sqrt(n) if n > 1 else np.full(self.by_pair.shape[1], np.nan)

    @cached_property
    def matrix(self) -> Float[np.ndarray, "sender receiver"]:
        """Mean scores as a matrix; NaN where there is no edge."""
        found = np.full(self.layout.edges.shape, np.nan)
        found[self.layout.edges] = self.score
        return found

    def of(self, name: str) -> float:
        """The mean score of one edge by its name, like `a0.h1->a1.h2<q>`. BadInput for one there is not."""
        return float(self.matrix[self.layout.edge(name)])

    def senders(self) -> Float[np.ndarray, " sender"]:
        """What each sender's edges come to: the metric's change if all of them carried the corrupted run, to first order."""
        return np.nansum(self.matrix, 1)

    def rows(self, k: int | None = 50) -> list[dict[str, Any]]:
        """The `k` edges of largest score (all: None), with the error of the mean over pairs."""
        order = np.argsort(-np.abs(self.score), kind="stable")
        order = order[np.isfinite(self.score[order])][:k]
        return [
            {
                "edge": self.layout.name(*map(int, self.edges[i])),
                "score": float(self.score[i]),
                "error": float(self.error[i]),
                "pairs of this sign": float((np.sign(self.by_pair[:, i]) == np.sign(self.score[i])).mean()),
            }
            for i in order
        ]

    def panels(self) -> list[Panel]:
        """The components, the strongest edges, what they are scores of."""
        rows = self.rows()
        return [
            Figure("What each component's edges come to", self.figure),
            Rows(strongest(len(rows), len(self.edges), "edges"), rows, kinds={"pairs of this sign": "share"}),
            Sentence(self.summary()),
        ]

    def summary(self) -> str:
        """One sentence: how many edges, of what, and the strongest."""
        first = self.rows(1)[0]
        gap = f"{figures(float(self.clean.mean()))} clean, {figures(float(self.corrupted.mean()))} corrupted"
        return (
            f"{counted(len(self.edges), 'edge')} by {self.method} on {counted(len(self.by_pair), 'pair')} of {self.task} "
            f"({gap}); the strongest is {first['edge']}, {figures(first['score'])}."
        )


def record_of(
    layout: Layout,
    pairs: "Pairs",
    says: tuple[str, dict[str, Any]],
    by_pair: Float[np.ndarray, "pair edge"],
    ends: Float[np.ndarray, "2 pair"],
    *,
    signed: bool = True,
) -> EdgeScores:
    """What was found of every pair, by what is called so and made these choices. ends: the metric, clean and corrupted."""
    from probe.tasks.pairs import METRICS  # needs torch; what is stored is read without

    corrupted = "runs of the task's corrupted prompts"
    return EdgeScores(
        method=says[0],
        task=pairs.task,
        layout=layout,
        by_pair=by_pair,
        clean=ends[0],
        corrupted=ends[1],
        examples=[e.clean for e in pairs.examples],
        convention={"metric": METRICS[pairs.measure], "corrupted": corrupted, "seed": pairs.seed, **says[1]},
        signed=signed,
    )
