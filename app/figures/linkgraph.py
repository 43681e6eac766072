"""The link graph of a circuit: where nodes stand, which are shown, and the edges of the one that was clicked.

A circuit has millions of edges. The browser gets nodes, and the strongest edges of one node; sums are always over all
edges, and what is not listed is given as one number, so that every list still adds up to the node's value.
"""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from app.figures.dress import TEMPLATES
from app.figures.lens import tilt
from app.figures.node_words import describe, word
from circuits.graph.figures import COLOURS, SYMBOLS
from circuits.graph.graph import KINDS, UNITS, CircuitGraph
from circuits.graph.influence import fewest
from probe.artifacts.json import Json
from probe.show.labels import token_axis

MAX_SHOWN = 1200
_LINE = 9  # nodes side by side
_WHOLE = 7  # tokens; the picture of more may be wider than its frame, and is first seen at its right end
MAX_EDGES = 60  # drawn in each direction
POSITIVE, NEGATIVE = {"light": "#0a6ebd", "dark": "#5aaef0"}, {"light": "#c8561b", "dark": "#f08a52"}
_WIDTHS = (1.0, 2.2, 4.0)
N_EDGE_TRACES = 2 * len(_WIDTHS)


@dataclass(frozen=True)
class Arrangement:
    """Shown nodes (indices) with their coordinates, the borders of the columns, and the share of influence they hold."""

    nodes: Int[np.ndarray, " shown"]
    x: Float[np.ndarray, " shown"]
    y: Float[np.ndarray, " shown"]
    columns: Float[np.ndarray, " edge"]
    held: float

    @property
    def centres(self) -> Float[np.ndarray, " pos"]:
        """The middle of each position's column."""
        return (self.columns[1:] + self.columns[:-1]) / 2


def arrange(graph: CircuitGraph, keep: float) -> Arrangement:
    """The fewest nodes that hold `keep` of the influence, at most `MAX_SHOWN`; tokens, roots and what is pinned always."""
    found = graph.influence
    order = np.argsort(-found, kind="stable")
    total = max(float(found.sum()), 1e-30)
    enough = fewest(found, keep)
    wanted = np.zeros(len(found), dtype=bool)
    wanted[order[: min(enough, MAX_SHOWN)]] = True
    wanted &= found > 0
    wanted |= graph.nodes.where("token") | graph.roots
    wanted[marked(graph)] = True
    nodes = np.flatnonzero(wanted)
    x, y, columns = _places(graph, nodes)
    return Arrangement(nodes, x, y, columns, float(found[nodes].sum() / total))


def marked(graph: CircuitGraph) -> list[int]:
    """Pinned nodes and members of groups."""
    return list(dict.fromkeys([*graph.pinned, *(i for members in graph.supernodes.values() for i in members)]))


def first_keep(graph: CircuitGraph, most: int = 350) -> float:
    """The share of influence to begin with: 80 %, less when that would crowd the picture."""
    found = np.sort(graph.influence)[::-1]
    share = np.cumsum(found[:most])[-1] / max(float(found.sum()), 1e-30)
    return float(np.floor(100 * np.clip(share, 0.3, 0.8)) / 100)


def _places(
    graph: CircuitGraph, nodes: Int[np.ndarray, " shown"]
) -> tuple[Float[np.ndarray, " shown"], Float[np.ndarray, " shown"], Float[np.ndarray, " edge"]]:
    """x and y of the nodes, and the borders of the positions' columns.

    Nodes of one (position, layer) stand side by side, the most influential in the middle, in lines of up to `_LINE`. A
    column is as wide as its longest line, because most nodes stand at few positions.
    """
    cells: dict[tuple[int, int], list[int]] = {}
    for i in np.argsort(-graph.influence[nodes], kind="stable"):
        at = (int(graph.nodes.pos[nodes[i]]), int(graph.nodes.layer[nodes[i]]))
        cells.setdefault(at, []).append(int(i))
    widths = np.full(len(graph.tokens), 3.0 if len(graph.tokens) <= 8 else 1.0)
    for (pos, _), members in cells.items():
        widths[pos] = max(widths[pos], min(len(members), _LINE))
    columns = np.concatenate([[0.0], np.cumsum(widths + 1)])
    centres = (columns[1:] + columns[:-1]) / 2
    x, y = np.zeros(len(nodes)), np.zeros(len(nodes))
    for (pos, layer), members in cells.items():
        lines = -(-len(members) // _LINE)
        for line in range(lines):
            for place, i in enumerate(members[line::lines]):
                x[i] = centres[pos] + (place + 1) // 2 * (-1 if place % 2 else 1)
                y[i] = layer + (((line + 0.5) / lines - 0.5) * 0.75 if lines > 1 else 0.0)
    return x, y, columns


def node_sizes(graph: CircuitGraph, nodes: Int[np.ndarray, " shown"]) -> Float[np.ndarray, " shown"]:
    """Marker sizes in pixels: area grows with influence; roots by probability."""
    weight = np.where(graph.roots[nodes], graph.probability[nodes], graph.influence[nodes])
    units = graph.influence[graph.nodes.where(*UNITS)]
    top = float(units.max(initial=0)) or 1.0
    return 6 + 12 * np.sqrt(np.clip(weight / top, 0, 1))


def graph_figure(
    graph: CircuitGraph, shown: Arrangement, selected: int | None = None, scheme: str = "light"
) -> go.Figure:
    """Position across, layer upwards; the first traces hold the edges of the selected node, the next its ring."""
    rings = [ring_trace(graph, shown, selected, scheme), pin_trace(graph, shown, scheme)]
    figure = go.Figure([*edge_traces(graph, shown, selected, scheme), *rings], _layout(graph, shown, scheme))
    sizes = node_sizes(graph, shown.nodes)
    kinds = graph.nodes.kind[shown.nodes]
    for kind in [k for k in KINDS if (kinds == KINDS.index(k)).any()]:
        where = kinds == KINDS.index(kind)
        symbol, colour = SYMBOLS[kind], COLOURS[kind]
        size = np.full(int(where.sum()), 11.0) if kind == "token" else sizes[where]
        line = {
            "width": 1.4 if "open" in symbol else 0.8,
            "color": colour
            if "open" in symbol
            else "rgba(255,255,255,.6)"
            if scheme == "light"
            else "rgba(18,21,26,.7)",
        }
        figure.add_scatter(
            x=np.round(shown.x[where], 3),
            y=np.round(shown.y[where], 3),
            mode="markers",
            name=word(kind),
            marker={"symbol": symbol, "size": np.round(size, 1), "color": colour, "opacity": 0.9, "line": line},
            customdata=shown.nodes[where].tolist(),  # a list: dcc.Graph cannot look into packed arrays
            hovertext=[describe(graph, int(i)) for i in shown.nodes[where]],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    return figure


def _layout(graph: CircuitGraph, shown: Arrangement, scheme: str) -> Json:
    every = 5 if graph.n_layers > 16 else 2 if graph.n_layers > 8 else 1
    layers = list(range(0, graph.n_layers, every))
    axis = token_axis(graph.tokens)
    axis["tickvals"] = [round(float(shown.centres[i]), 2) for i in axis["tickvals"]]
    long = len(graph.tokens) > _WHOLE
    return {
        "template": TEMPLATES[scheme],
        "xaxis": {
            **axis,
            **tilt(len(graph.tokens) > 12),
            "showgrid": False,
            "tickfont": {"family": "JetBrains Mono, monospace", "size": 11},
            "range": [-0.5, float(shown.columns[-1]) + 0.5],
        },
        "yaxis": {
            "tickvals": [-1, *layers, graph.n_layers],
            "ticktext": ["tokens", *(f"L{i}" for i in layers), "logits"],
            "range": [-1.8, graph.n_layers + 0.9],
            "showgrid": True,
            "side": "right" if long else "left",
        },
        "margin": {"l": 8 if long else 58, "r": 58 if long else 8, "t": 8, "b": 62 if len(graph.tokens) > 12 else 34},
        "hovermode": "closest",
        "dragmode": "pan",
        "uirevision": "keep",
        "legend": {
            "itemsizing": "constant",
            "yref": "container",
            "y": 1,
            "yanchor": "top",
            **({"x": 1, "xanchor": "right"} if long else {}),
        },
    }


def edge_traces(graph: CircuitGraph, shown: Arrangement, selected: int | None, scheme: str) -> list[go.Scatter]:
    """Six line traces: three widths each for edges that push their target the way it went and for those that push against it,
    which are dashed too, so that colour is never the only mark."""
    x, y = (
        {int(i): a for i, a in zip(shown.nodes, shown.x, strict=True)},
        {int(i): b for i, b in zip(shown.nodes, shown.y, strict=True)},
    )
    lines = [] if selected is None or selected not in x else _lines(graph, selected, x)
    top = max((abs(w) for _, _, w in lines), default=1.0)
    buckets: list[tuple[list[float | None], list[float | None]]] = [([], []) for _ in range(N_EDGE_TRACES)]
    for source, target, weight in lines:
        place = min(int(abs(weight) / top * len(_WIDTHS)), len(_WIDTHS) - 1) + (0 if weight > 0 else len(_WIDTHS))
        buckets[place][0].extend([round(x[source], 3), round(x[target], 3), None])
        buckets[place][1].extend([round(y[source], 3), round(y[target], 3), None])
    traces = []
    for i, (xs, ys) in enumerate(buckets):
        negative = i >= len(_WIDTHS)
        colour = (NEGATIVE if negative else POSITIVE)[scheme]
        line = {"width": _WIDTHS[i % len(_WIDTHS)], "color": colour, "dash": "4px,3px" if negative else "solid"}
        traces.append(go.Scatter(x=xs, y=ys, mode="lines", line=line, opacity=0.65, hoverinfo="skip", showlegend=False))
    return traces


def _lines(graph: CircuitGraph, node: int, shown: dict[int, float]) -> list[tuple[int, int, float]]:
    """Shown edges of a node: both ends, and the weight as `CircuitGraph.pushes` signs it."""
    into, out = graph.incoming(node), graph.outgoing(node)
    both = []
    for e in (into, out):
        ends = [
            (int(s), int(t), float(w * graph.way[t]))
            for s, t, w in zip(e.source[:400], e.target[:400], e.weight[:400], strict=True)
        ]
        both += [(s, t, w) for s, t, w in ends if s in shown and t in shown][:MAX_EDGES]
    return both


def ring_trace(graph: CircuitGraph, shown: Arrangement, selected: int | None, scheme: str) -> go.Scatter:
    """A ring around the selected node."""
    at = np.flatnonzero(shown.nodes == selected) if selected is not None else np.array([], dtype=int)
    colour = "#2f5d8c" if scheme == "light" else "#e4e7ec"
    marker = {"symbol": "circle-open", "size": 22, "color": colour, "line": {"width": 2.2}}
    return go.Scatter(x=shown.x[at], y=shown.y[at], mode="markers", marker=marker, hoverinfo="skip", showlegend=False)


def pin_trace(graph: CircuitGraph, shown: Arrangement, scheme: str) -> go.Scatter:
    """Thin rings around what is pinned."""
    at = np.flatnonzero(np.isin(shown.nodes, marked(graph)))
    marker = {
        "symbol": "circle-open",
        "size": 17,
        "color": {"light": "#b07a1e", "dark": "#d9a441"}[scheme],
        "line": {"width": 1.6},
    }
    return go.Scatter(
        x=shown.x[at],
        y=shown.y[at],
        mode="markers",
        marker=marker,
        hoverinfo="skip",
        name="pinned",
        showlegend=bool(len(at)),
    )
