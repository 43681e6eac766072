"""What splitting edges over attention heads gives: a record with a table and a picture."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.model.unit_names import unit_name
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go


SHOWN = 2
"""Edges that get a figure each."""


@dataclass(frozen=True, kw_only=True)
class HeadLoadings(Record, figure=True):
    """Parallel over edges. weight: the edge as this computed it; bypass, heads: its split at every layer; keys: each head's
    part by the position it was read from; skip: what goes through each layer's dictionary skip; between: which layers lie
    between source and target. gap: largest |bypass + heads - weight|, relative to the size of the sum."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    names: list[tuple[str, str]]
    tokens: list[str]
    weight: Float[np.ndarray, " edge"]
    bypass: Float[np.ndarray, "edge layer"]
    heads: Float[np.ndarray, "edge layer head"]
    keys: Float[np.ndarray, "edge layer head k_pos"] | None
    skip: Float[np.ndarray, "edge layer"]
    between: Bool[np.ndarray, "edge layer"]
    gap: float
    convention: dict[str, Any] = field(default_factory=dict)

    if TYPE_CHECKING:

        def figure(self, edge: int = 0, height: int = 520) -> go.Figure: ...

    def __len__(self) -> int:
        return len(self.weight)

    def rows(self, k: int | None = 10) -> list[dict[str, Any]]:
        """The k heads that carry most, over all edges."""
        order = np.argsort(-np.abs(self.heads), axis=None, kind="stable")[:k]
        found = [tuple(int(i) for i in np.unravel_index(o, self.heads.shape)) for o in order]
        return [self._row(*at) for at in found if self.heads[at] != 0]

    def _row(self, edge: int, layer: int, head: int) -> dict[str, Any]:
        loading, weight = float(self.heads[edge, layer, head]), float(self.weight[edge])
        row = {
            "edge": " → ".join(self.names[edge]),
            "head": unit_name("head", layer, head),
            "loading": loading,
            "share": loading / weight if weight else float("nan"),
        }
        if self.keys is not None:
            k = int(np.abs(self.keys[edge, layer, head]).argmax())
            row |= {"from": f"{k} {self.tokens[k]!r}", "from_loading": float(self.keys[edge, layer, head, k])}
        return row

    def edge_rows(self) -> list[dict[str, Any]]:
        """Of each edge what passes the layer whose heads carry most of it."""
        rows = []
        for e in range(len(self)):
            through = self.heads[e].sum(-1)
            most = int(np.abs(through).argmax())
            row = {"edge": " → ".join(self.names[e]), "weight": float(self.weight[e]), "most through layer": most}
            row |= {"by its heads": float(through[most]), "past them": float(self.bypass[e, most])}
            rows.append({**row, "layers between": int(self.between[e].sum())})
        return rows

    def panels(self) -> list[Panel]:
        """The heads that carry most, and each edge: layers by heads, and where most of it passes."""
        figures = [
            Figure(f"Edge {' → '.join(self.names[e])}", partial(self.figure, edge=e))
            for e in range(min(len(self), SHOWN))
        ]
        exact = f"Heads and bypass sum to the edge at every layer within {self.gap:.1e}."
        return [
            *figures,
            *[Rows("Heads that carry the edges", rows) for rows in [self.rows(20)] if rows],
            Rows("Where each edge passes", self.edge_rows()),
            Sentence(self.summary()),
            Sentence(exact),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the split over keys is left out for its size, but for the strongest heads."""
        edges = [
            {
                "source": {"node": int(self.source[e]), "name": self.names[e][0]},
                "target": {"node": int(self.target[e]), "name": self.names[e][1]},
                "weight": float(self.weight[e]),
                "between": np.flatnonzero(self.between[e]).tolist(),
                "bypass": self.bypass[e].tolist(),
                "heads": self.heads[e].tolist(),
                "skip": self.skip[e].tolist(),
            }
            for e in range(len(self))
        ]
        return {"edges": edges, "top_heads": self.rows(), "gap": self.gap, "convention": self.convention}

    def summary(self) -> str:
        """One sentence: how many edges, and the head that carries most."""
        top = self.rows(1)
        most = f", most {top[0]['head']} ({percent(top[0]['share'])} of {top[0]['edge']})" if top else ""
        return f"Heads that carry {counted(len(self), 'edge')}{most}; each layer sums to the edge."
