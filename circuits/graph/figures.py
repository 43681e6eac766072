"""Pictures of circuits: records to plotly figures. No model, no callbacks.

The link graph holds the nodes that are shown and the strongest edges of one of them (or of all): a graph has millions. Its first
traces are the edges and the ring around the chosen node, so that who shows another node exchanges no more than those.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Int

from circuits.graph.component_graph import FOR, OPPOSED
from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph
from circuits.graph.naming import described, word
from circuits.graph.node_positions import Arrangement, arranged
from probe.show.beside import draws
from probe.show.labels import _finish, token_axis

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
    "input": "square",
    "kv": "diamond-wide",
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
    "input": "#56B4E9",
    "kv": "#E69F00",
}
"Okabe-Ito colours, told apart by symbol too."
POSITIVE, NEGATIVE = "#0072B2", "#D55E00"
WITH, AGAINST = "pushes it the way it went", "pushes against it"
_INK = {False: ("#0a6ebd", "#c8561b", "#2f5d8c", "#b07a1e"), True: ("#5aaef0", "#f08a52", "#e4e7ec", "#d9a441")}
"On a light and on a dark ground: edges with and against, the chosen node's ring, the rings of pins."
_NAMED = 120
"Components that have their names beside them, at most."
_BESIDE = {"mlp": "middle right", "kv": "middle left", "input": "bottom center"}
"Where a component's name stands, away from its edges; elsewhere above it."
_WIDTHS = (1.0, 2.2, 4.0)
N_EDGE_TRACES = 2 * len(_WIDTHS)
Ends = Float[np.ndarray, "line 2"]
Bent = Float[np.ndarray, "line 3"]
Lines = tuple[Int[np.ndarray, " line"], Int[np.ndarray, " line"], Float[np.ndarray, " line"]]
"""Source, target, and strength, above 0 where it pushes its target the way that went."""


@draws
def graph_figure(
    graph: CircuitGraph,
    *,
    shown: Bool[np.ndarray, " node"] | Arrangement | None = None,
    node: int | None = None,
    n_edges: int = 200,
    height: int = 620,
    dark: bool = False,
) -> go.Figure:
    """Link graph: position across, layer upwards, size by influence; `node`'s strongest edges, or the strongest of all.

    shown: nodes to draw, by default the pruned graph's. n_edges: of a node in each direction. Solid edges push their target the
    way it went, dashed ones against it (`CircuitGraph.pushes`). Rings are pins.
    """
    if not isinstance(shown, Arrangement):
        shown = arranged(graph, graph.first_shown if shown is None else shown)
    figure = go.Figure(link_traces(graph, shown, node, n_edges, dark))
    figure.add_trace(_ring(shown, graph.chosen, _INK[dark][3], 17, 1.6, "pinned"))
    sizes = _sizes(graph, shown.nodes)
    kinds = graph.nodes.kind[shown.nodes]
    for kind in [k for k in KINDS if (kinds == KINDS.index(k)).any()]:
        figure.add_trace(_nodes(graph, shown, kind, sizes, dark))
    layers = list(range(0, graph.n_layers, 5 if graph.n_layers > 16 else 2 if graph.n_layers > 8 else 1))
    axis = token_axis(graph.tokens)
    axis["tickvals"] = [round(float(shown.centres[i]), 2) for i in axis["tickvals"]]
    _finish(figure, height)
    figure.update_xaxes(**axis, range=[-0.5, float(shown.columns[-1]) + 0.5], showgrid=False, zeroline=False)
    figure.update_yaxes(
        tickvals=[-1, *layers, graph.n_layers],
        ticktext=["input" if graph.of_task else "tokens", *(f"L{i}" for i in layers), "logits"],
        range=[-1.8, graph.n_layers + 0.9],
        zeroline=False,
    )
    return figure.update_layout(legend={"orientation": "h", "y": 1.06, "itemsizing": "constant"}, hovermode="closest")


@draws
def pruned_figure(pruned: "Pruned", **options: Any) -> go.Figure:
    """Link graph of the nodes that pruning kept; options as for a whole graph."""
    return graph_figure(pruned.graph, shown=pruned.nodes, **options)


def link_traces(
    graph: CircuitGraph, shown: Arrangement, node: int | None, n_edges: int, dark: bool = False
) -> list[go.Scatter]:
    """The traces that change with the node: `N_EDGE_TRACES` of lines, three widths each for edges that push their target the way
    it went and for those against it (dashed, so that colour is never the only mark), and the ring around the node."""
    source, target, strength = strongest_edges(graph, shown, node, n_edges)
    at = np.searchsorted(shown.nodes, (source, target))
    x, y = (np.stack([c[at[0]], c[at[1]]], 1) for c in (shown.x, shown.y))
    if graph.of_task:
        x, y = _bowed(x, y, float(shown.columns[-1]) / 2)
    shape, names = ("spline", (FOR, OPPOSED)) if graph.of_task else ("linear", (WITH, AGAINST))
    top = float(np.abs(strength).max(initial=0.0)) or 1.0
    share = np.abs(strength) / top
    share = (
        np.sqrt(share) if graph.of_task else share
    )  # scores of a whole circuit, not of one node: a few are far above the others
    place = np.minimum((share * len(_WIDTHS)).astype(int), len(_WIDTHS) - 1)
    traces = []
    for i in range(N_EDGE_TRACES):
        with_it, width = i < len(_WIDTHS), i % len(_WIDTHS)
        mine = np.flatnonzero((place == width) & ((strength > 0) == with_it))
        line = {
            "width": _WIDTHS[width],
            "color": _INK[dark][not with_it],
            "dash": "solid" if with_it else "4px,3px",
            "shape": shape,
        }
        traces.append(
            go.Scatter(
                x=_with_gaps(x[mine]),
                y=_with_gaps(y[mine]),
                mode="lines",
                name=names[not with_it],
                line=line,
                opacity=0.65 if node is not None or graph.of_task else 0.4,
                hoverinfo="skip",
                showlegend=False,
            )
        )
    return [*traces, _ring(shown, [] if node is None else [node], _INK[dark][2], 22, 2.2)]


def _bowed(x: Ends, y: Ends, middle: float) -> tuple[Bent, Bent]:
    """Lines with a bend in the middle, the more the longer they are: components stand in columns, and straight lines through
    those between them could not be told apart."""
    rise = y[:, 1] - y[:, 0]
    inside = np.where(
        x[:, 0] > middle, -1, 1
    )  # within one column towards the middle of the picture, so that none leaves it
    way = np.where(x[:, 1] == x[:, 0], inside, np.sign(x[:, 0] - x[:, 1]))
    bend = 0.11 * way * np.minimum(rise, 12)
    return np.stack([x[:, 0], x.mean(1) + bend, x[:, 1]], 1), np.stack([y[:, 0], y.mean(1), y[:, 1]], 1)


def _with_gaps(ends: Float[np.ndarray, "line point"]) -> list[float | None]:
    """Lines end to end as plotly takes them: nothing between one and the next."""
    return [value for pair in ends.round(3).tolist() for value in (*pair, None)]


def strongest_edges(graph: CircuitGraph, shown: Arrangement, node: int | None, n_edges: int) -> Lines:
    """The edges that are drawn between shown nodes: a node's strongest in each direction; of all those whose ends matter most,
    since what is strong in itself is not strong in the graph."""
    e, there = graph.edges, np.zeros(len(graph.nodes), bool)
    there[shown.nodes] = True
    if node is None or (graph.of_task and graph.roots[node]):  # all of a circuit runs into its logits
        drawn = there[e.source] & there[e.target]
        rows = np.flatnonzero(drawn if shown.edges is None else drawn & shown.edges)
        n_edges = n_edges if shown.edges is None else len(rows)
        flow = graph.flow(rows)
        order = np.argsort(-flow, kind="stable")[:n_edges]
        rows, size = rows[order], flow[order]
    else:
        ways = [(np.flatnonzero(ends == node), others) for ends, others in ((e.target, e.source), (e.source, e.target))]
        ways = [rows[there[others[rows]]] for rows, others in ways] if there[node] else []
        ways = ways if shown.edges is None else [rows[shown.edges[rows]] for rows in ways]
        rows = np.array([i for r in ways for i in r[np.argsort(-np.abs(e.weight[r]), kind="stable")[:n_edges]]], int)
        size = np.abs(e.weight[rows])
    return e.source[rows], e.target[rows], size * np.sign(graph.pushes[rows])


def _sizes(graph: CircuitGraph, nodes: Int[np.ndarray, " shown"]) -> Float[np.ndarray, " shown"]:
    """Marker sizes in pixels: area grows with influence; roots by probability."""
    weight = np.where(graph.roots[nodes], graph.probability[nodes], graph.influence[nodes])
    top = float(graph.influence[graph.nodes.where(*UNITS)].max(initial=0)) or 1.0
    return 6 + 12 * np.sqrt(np.clip(weight / top, 0, 1))


def _nodes(graph: CircuitGraph, shown: Arrangement, kind: str, sizes: np.ndarray, dark: bool) -> go.Scatter:
    where = graph.nodes.kind[shown.nodes] == KINDS.index(kind)
    named = graph.of_task and len(shown.nodes) <= _NAMED
    written = (
        {
            "text": [graph.name(i) for i in shown.nodes[where].tolist()],
            "textposition": _BESIDE.get(kind, "top center"),
            "textfont": {"size": 10},
        }
        if named
        else {}
    )
    hollow, edge = "open" in SYMBOLS[kind], "rgba(18,21,26,.7)" if dark else "rgba(255,255,255,.6)"
    return go.Scatter(
        x=np.round(shown.x[where], 3),
        y=np.round(shown.y[where], 3),
        mode="markers+text" if named else "markers",
        **written,
        name="logits" if graph.of_task and kind in ROOTS else word(kind),
        marker={
            "symbol": SYMBOLS[kind],
            "size": np.full(int(where.sum()), 11.0) if kind == "token" else np.round(sizes[where], 1),
            "color": COLOURS[kind],
            "opacity": 0.9,
            "line": {"width": 1.4 if hollow else 0.8, "color": COLOURS[kind] if hollow else edge},
        },
        customdata=shown.nodes[where].tolist(),  # a list: dcc.Graph cannot look into packed arrays
        hovertext=[described(graph, int(i)) for i in shown.nodes[where]],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _ring(
    shown: Arrangement, nodes: list[int], colour: str, size: int, width: float, name: str | None = None
) -> go.Scatter:
    """Rings around some nodes; with a name, the legend says what they are."""
    at = np.flatnonzero(np.isin(shown.nodes, nodes))
    marker = {"symbol": "circle-open", "size": size, "color": colour, "line": {"width": width}}
    return go.Scatter(
        x=shown.x[at].tolist(),
        y=shown.y[at].tolist(),
        mode="markers",
        marker=marker,
        hoverinfo="skip",
        name=name,
        showlegend=bool(name and len(at)),
    )
