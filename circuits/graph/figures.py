"""Pictures of circuits: records to plotly figures. No model, no callbacks."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool

from circuits.graph.graph import KINDS, ROOTS, CircuitGraph
from probe.show.beside import draws
from probe.show.labels import label_text, token_axis

if TYPE_CHECKING:
    from circuits.graph.influence import Pruned

SYMBOLS = {
    "token": "square",
    "position": "square-open",
    "bias": "diamond-open",
    "neuron": "circle",
    "latent": "hexagon",
    "rest": "diamond-tall",
    "error": "x",
    "logit": "triangle-up",
    "first": "star-square",
    "mlp": "square-dot",
    "head": "triangle-right",
    "direction": "triangle-up-open",
}
COLOURS = {
    "token": "#56B4E9",
    "position": "#56B4E9",
    "bias": "#999999",
    "neuron": "#0072B2",
    "latent": "#E69F00",
    "rest": "#999999",
    "error": "#D55E00",
    "logit": "#009E73",
    "first": "#56B4E9",
    "mlp": "#0072B2",
    "head": "#CC79A7",
    "direction": "#009E73",
}
"Okabe-Ito colours, told apart by symbol too."
POSITIVE, NEGATIVE = "#0072B2", "#D55E00"
WITH, AGAINST = "pushes it the way it went", "pushes against it"
PUSHES = "Solid edges push a node the way it went (up; a unit below zero, further down), dashed ones push against it."
"""What every picture of edges says of its lines. See `CircuitGraph.pushes`."""


def layout(graph: CircuitGraph, shown: Bool[np.ndarray, " node"]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of every node: its position and layer, with the nodes of one cell spread side by side, stronger ones inside."""
    x, y = graph.nodes.pos.astype(float), graph.nodes.layer.astype(float)
    cell = (graph.nodes.layer.astype(np.int64) + 1) * (len(graph.tokens) + 1) + graph.nodes.pos
    order = np.lexsort((-graph.influence, cell))
    order = order[shown[order]]
    starts = np.flatnonzero(np.r_[True, np.diff(cell[order]) != 0]) if len(order) else np.array([], int)
    sizes = np.diff(np.r_[starts, len(order)])
    for start, size in zip(starts, sizes, strict=True):
        spread = np.arange(size) - (size - 1) / 2
        x[order[start : start + size]] += spread * min(0.11, 0.84 / max(size - 1, 1))
    return x, y


@draws
def graph_figure(
    graph: CircuitGraph,
    *,
    shown: Bool[np.ndarray, " node"] | None = None,
    node: int | None = None,
    n_edges: int = 200,
    height: int = 620,
) -> go.Figure:
    """Link graph: position across, layer upwards, size by influence; `node`'s strongest edges, or the strongest kept ones.

    shown: nodes to draw, by default the pruned graph's. Solid blue edges push their target the way it went, dashed vermilion
    ones against it (`CircuitGraph.pushes`).
    """
    pruned = graph.prune()
    shown = pruned.nodes if shown is None else shown
    x, y = layout(graph, shown)
    figure = go.Figure()
    for trace in _edge_traces(graph, shown, node, n_edges, x, y):
        figure.add_trace(trace)
    for kind in KINDS:
        mine = np.flatnonzero(graph.nodes.where(kind) & shown)
        if len(mine):
            figure.add_trace(_node_trace(graph, kind, mine, x, y))
    ticks = list(range(-1, graph.n_layers + 1))
    ticks = [-1, *ticks[1 : -1 : max(1, graph.n_layers // 12)], graph.n_layers]
    names = {-1: "embed", graph.n_layers: "logits"}
    figure.update_yaxes(tickvals=ticks, ticktext=[names.get(t, str(t)) for t in ticks], title="layer", zeroline=False)
    figure.update_xaxes(**token_axis(graph.tokens), zeroline=False, range=[-0.6, len(graph.tokens) - 0.4])
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "y": 1.06},
        hovermode="closest",
    )
    return figure


@draws
def pruned_figure(pruned: "Pruned", **options: Any) -> go.Figure:
    """Link graph of the nodes that pruning kept; options as for a whole graph."""
    return graph_figure(pruned.graph, shown=pruned.nodes, **options)


def _node_trace(graph: CircuitGraph, kind: str, mine: np.ndarray, x: np.ndarray, y: np.ndarray) -> go.Scatter:
    found = graph.influence
    most = max(float(found.max()), 1e-30)
    size = 6 + 16 * np.sqrt(found[mine] / most) if kind not in ROOTS else 8 + 14 * np.sqrt(graph.probability[mine])
    hover = [f"{label_text(graph.name(int(i)), 60)}<br>influence {found[i]:.4f}" for i in mine]
    return go.Scatter(
        x=x[mine],
        y=y[mine],
        mode="markers",
        name=kind,
        customdata=mine,
        text=hover,
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": SYMBOLS[kind],
            "size": size,
            "color": COLOURS[kind],
            "opacity": 0.85,
            "line": {"width": 0.5, "color": "#fff"},
        },
    )


def _edge_traces(
    graph: CircuitGraph, shown: np.ndarray, node: int | None, n_edges: int, x: np.ndarray, y: np.ndarray
) -> list[go.Scatter]:
    """One line trace for edges that push their target the way it went, and one for those that push against it."""
    e = graph.edges
    both = shown[e.source] & shown[e.target]
    mine = both & ((e.source == node) | (e.target == node)) if node is not None else both
    rows = np.flatnonzero(mine)
    if node is None:  # strong in itself is not strong in the graph: rank by the share of the target's influence
        from circuits.graph.influence import normalised

        strength = normalised(graph)[rows] * (graph.influence + graph.probability)[e.target[rows]]
    else:
        strength = np.abs(e.weight[rows])
    rows = rows[np.argsort(-strength, kind="stable")[:n_edges]]
    traces = []
    for sign, colour, dash, name in ((1, POSITIVE, "solid", WITH), (-1, NEGATIVE, "dash", AGAINST)):
        some = rows[np.sign(graph.pushes[rows]) == sign]
        ends = np.full((len(some), 3), np.nan)
        heights = ends.copy()
        ends[:, 0], ends[:, 1], heights[:, 0], heights[:, 1] = (
            x[e.source[some]],
            x[e.target[some]],
            y[e.source[some]],
            y[e.target[some]],
        )
        line = {"color": colour, "width": 1 if node is None else 1.5, "dash": dash}
        traces.append(
            go.Scatter(
                x=ends.ravel(),
                y=heights.ravel(),
                mode="lines",
                name=name,
                line=line,
                opacity=0.3 if node is None else 0.6,
                hoverinfo="skip",
            )
        )
    return traces
