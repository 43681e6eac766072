"""A circuit of edges drawn: its heads and MLPs by layer, its edges between them, blue for the right answer and red against it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from circuits.search.circuit import ComponentCircuit
from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from circuits.edge_attribution.layout import Layout

_COLOURS = {"for the right answer": "#2166AC", "against it": "#B2182B", "kept": "#777777"}
MOST = 1000
"""Edges that are drawn: those of largest score."""


@draws
def circuit_figure(circuit: ComponentCircuit, *, height: int | None = None) -> go.Figure:
    """Layers from below, in each its heads and, on the right, its MLP; the input below and the logits above them."""
    senders, receivers = _places(circuit.layout)
    edges, score = np.argwhere(circuit.kept), circuit.scores_kept
    order = np.argsort(-np.abs(np.nan_to_num(score)), kind="stable")[:MOST]
    edges, score = edges[order], score[order]
    figure = go.Figure()
    sides = {"for the right answer": score < 0, "against it": score > 0, "kept": ~(score < 0) & ~(score > 0)}
    for name, mine in sides.items():
        if mine.any():
            figure.add_trace(_lines(senders[edges[mine, 0]], receivers[edges[mine, 1]], name))
    figure.add_trace(_points(circuit, senders, receivers[-1]))
    n = circuit.layout.n_layers
    named = {"tickvals": [-1, *range(n), n], "ticktext": ["input", *map(str, range(n)), "logits"]}
    figure.update_yaxes(title="layer", range=[-1.6, n + 0.6], **named)
    width = max(circuit.layout.heads)
    figure.update_xaxes(title="head", tickvals=list(range(width + 1)), ticktext=[*map(str, range(width)), "MLP"])
    return _finish(figure, height or int(np.clip(140 + 26 * n, 300, 900)))


def _lines(start: np.ndarray, end: np.ndarray, name: str) -> Any:
    gap = np.full(len(start), np.nan)
    x, y = (np.stack([start[:, i], end[:, i], gap], 1).ravel() for i in (0, 1))
    line = {"color": _COLOURS[name], "width": 1}
    return go.Scatter(x=x, y=y, mode="lines", name=name, line=line, opacity=0.5, hoverinfo="skip")


def _points(circuit: ComponentCircuit, senders: np.ndarray, logits: np.ndarray) -> Any:
    """Every component; those of the circuit filled."""
    layout = circuit.layout
    inside = circuit.kept.any(1) | (layout.components & circuit.kept.any(0)).any(1)
    at = np.concatenate([senders, logits[None]])
    colour = np.where([*inside, True], "#333333", "#DDDDDD")
    marker = {"size": 8, "color": list(colour), "line": {"width": 1, "color": "#999999"}}
    names = [*layout.senders, "logits"]
    return go.Scatter(
        x=at[:, 0], y=at[:, 1], mode="markers", marker=marker, text=names, hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )  # fmt: skip


def _places(layout: "Layout") -> tuple[np.ndarray, np.ndarray]:
    """Where each sender and each receiver stands: keys and values that heads share, between them."""
    width = max(layout.heads)
    senders = np.zeros((len(layout.senders), 2))
    senders[: len(layout.inputs)] = [(width / 2 + i, -1) for i in range(len(layout.inputs))]
    for layer, heads in enumerate(layout.heads):
        senders[layout.heads_of(layer)] = [(head, layer) for head in range(heads)]
        senders[layout.mlp_of(layer)] = (width, layer)
    owners = layout.components[:, :-1]
    receivers = np.array([senders[owners[:, v]].mean(0) for v in range(owners.shape[1])])
    return senders, np.concatenate([receivers, [[width / 2, layout.n_layers]]])
