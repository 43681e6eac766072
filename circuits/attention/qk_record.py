"""One attention score as a sum over pairs of sources: what the split found, its tables and its sentence."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from circuits.attention.pairs import Pairs
from probe.model.unit_names import unit_name
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted


@dataclass(frozen=True, kw_only=True)
class QKAttribution(Record, figure=True):
    """One score, split. score: before any soft-cap (a difference where there is an `against`). probability: what the head pays
    this key. a_query, a_key: by source, each sums to the score. pairs: the strongest, by index into names.
    kinds, nodes: by source; nodes are the graph's, -1 for units taken out of a `rest` node and for the head's own biases.
    block: all pairs of the `shown_query` and `shown_key` sources. gap: |sum - score| relative to the size of the sum."""

    layer: int
    head: int
    query: int
    key: int
    against: int | str | None
    tokens: list[str]
    score: float
    probability: float
    names: list[str]
    kinds: list[str]
    nodes: Int[np.ndarray, " source"]
    a_query: Float[np.ndarray, " source"]
    a_key: Float[np.ndarray, " source"]
    pairs: Pairs
    shown_query: Int[np.ndarray, " row"]
    shown_key: Int[np.ndarray, " column"]
    block: Float[np.ndarray, "row column"]
    gap: float
    convention: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`L5H3, query 4 ' is', key 2 ' France'`."""
        other = "" if self.against is None else f" against {self.against}"
        other += f" {self.tokens[self.against]!r}" if isinstance(self.against, int) else ""
        key = f"key {self.key} {self.tokens[self.key]!r}{other}"
        return f"{unit_name('head', self.layer, self.head)}, query {self.query} {self.tokens[self.query]!r}, {key}"

    def rows(self, k: int | None = 10) -> list[dict[str, Any]]:
        """The strongest pairs."""
        found = zip(self.pairs.query[:k], self.pairs.key[:k], self.pairs.weight[:k], strict=True)
        return [{"query side": self.names[s], "key side": self.names[t], "score": float(w)} for s, t, w in found]

    def sources(self, side: str = "query", k: int = 10) -> list[dict[str, Any]]:
        """The sources that matter most on one side, whatever they meet on the other."""
        values = {"query": self.a_query, "key": self.a_key}[side]
        order = np.argsort(-np.abs(values), kind="stable")[:k]
        return [{"source": self.names[i], "kind": self.kinds[i], "score": float(values[i])} for i in order]

    def panels(self) -> list[Panel]:
        """The strongest pairs, then each side whatever it meets on the other, and how exactly all of it adds up."""
        cap = self.convention.get("score", "")
        exact = f"{counted(len(self.names), 'source')} sum to the score, {cap}, within {self.gap:.1e}."
        return [
            Figure("Sources of the query and of the key", self.figure),
            Rows("Pairs of sources that make the score", self.rows(20)),
            *[
                Rows(f"{side} side, whatever it meets on the other".capitalize(), self.sources(side))
                for side in ("query", "key")
            ],
            Sentence(self.summary()),
            Sentence(exact),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            **{
                n: getattr(self, n) for n in ("layer", "head", "query", "key", "against", "score", "probability", "gap")
            },
            "n_sources": len(self.names),
            "top_pairs": self.rows(50),
            "query_side": self.sources("query", 50),
            "key_side": self.sources("key", 50),
            "convention": self.convention,
        }

    def summary(self) -> str:
        """One sentence: which score is split."""
        return f"Why {self.title}: pairs that make the score {self.score:.3f} (attention {self.probability:.3f})."
