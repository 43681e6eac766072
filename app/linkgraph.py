"""The link graph of a circuit: where nodes stand, which are shown, and the edges of the one that was clicked.

A circuit has millions of edges. The browser gets nodes, and the strongest edges of one node; sums are always over all
edges, and what is not listed is given as one number, so that every list still adds up to the node's value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from app.figures import TEMPLATES
from circuits.figures import COLOURS, SYMBOLS
from circuits.graph import KINDS, CircuitGraph, Edges
from probe.figures import plain, token_axis

MAX_SHOWN = 1200
MAX_EDGES = 60  # drawn and listed in each direction
POSITIVE, NEGATIVE = {"light": "#0a6ebd", "dark": "#5aaef0"}, {"light": "#c8561b", "dark": "#f08a52"}
_WORDS = {"bias": "biases", "rest": "other units", "error": "reconstruction error"}
_WIDTHS = (1.0, 2.2, 4.0)
N_EDGE_TRACES = 2 * len(_WIDTHS)


@dataclass(frozen=True)
class Arrangement:
    """Shown nodes (indices) with their coordinates, and the share of all influence they hold."""

    nodes: Int[np.ndarray, " shown"]
    x: Float[np.ndarray, " shown"]
    y: Float[np.ndarray, " shown"]
    held: float


def arrange(graph: CircuitGraph, keep: float) -> Arrangement:
    """The fewest nodes that hold `keep` of the influence, tokens and logits always, at most `MAX_SHOWN`; no model, no pruning of edges."""
    found = graph.influence
    order = np.argsort(-found, kind="stable")
    total = max(float(found.sum()), 1e-30)
    enough = int(np.searchsorted(np.cumsum(found[order]), min(keep, 1.0) * total * (1 - 1e-9))) + 1
    wanted = np.zeros(len(found), dtype=bool)
    wanted[order[: min(enough, MAX_SHOWN)]] = True
    wanted &= found > 0
    wanted |= graph.nodes.where("token", "logit")
    nodes = np.flatnonzero(wanted)
    x, y = _places(graph, nodes)
    return Arrangement(nodes, x, y, float(found[nodes].sum() / total))


def first_keep(graph: CircuitGraph, most: int = 350) -> float:
    """The share of influence to begin with: 80 %, less when that would crowd the picture."""
    found = np.sort(graph.influence)[::-1]
    share = np.cumsum(found[:most])[-1] / max(float(found.sum()), 1e-30)
    return float(np.floor(100 * np.clip(share, 0.3, 0.8)) / 100)


def _places(graph: CircuitGraph, nodes: Int[np.ndarray, " shown"]) -> tuple[Float[np.ndarray, " shown"], Float[np.ndarray, " shown"]]:
    """Nodes of one (position, layer) stand side by side, the most influential in the middle, in rows of up to nine."""
    x, y = graph.nodes.pos[nodes].astype(float), graph.nodes.layer[nodes].astype(float)
    cells: dict[tuple[float, float], list[int]] = {}
    for i in np.argsort(-graph.influence[nodes], kind="stable"):
        cells.setdefault((x[i], y[i]), []).append(int(i))
    for members in cells.values():
        lines = -(-len(members) // 9)
        for line in range(lines):
            row = members[line::lines]
            for place, i in enumerate(row):
                side = (place + 1) // 2 * (-1 if place % 2 else 1)
                x[i] += side * min(0.16, 0.86 / max(len(row), 1))
                y[i] += ((line + 0.5) / lines - 0.5) * 0.7 if lines > 1 else 0.0
    return x, y


def node_sizes(graph: CircuitGraph, nodes: Int[np.ndarray, " shown"]) -> Float[np.ndarray, " shown"]:
    """Marker sizes in pixels: area grows with influence; logits by probability."""
    weight = np.where(graph.nodes.where("logit")[nodes], graph.probability[nodes], graph.influence[nodes])
    units = graph.influence[graph.nodes.where("neuron", "latent")]
    top = float(units.max(initial=0)) or 1.0
    return 6 + 12 * np.sqrt(np.clip(weight / top, 0, 1))


def describe(graph: CircuitGraph, node: int) -> str:
    """Hover text, escaped."""
    kind = KINDS[graph.nodes.kind[node]]
    parts = [f"<b>{plain(short(graph, node), 24)}</b>  {word(kind)}", f"at {plain(graph.tokens[graph.nodes.pos[node]], 20)} (position {graph.nodes.pos[node]})"]
    if kind == "logit":
        parts.append(f"{plain(graph.unit_tokens[node], 20)}, probability {graph.probability[node]:.3f}")
    if not np.isnan(graph.nodes.activation[node]):
        parts.append(f"activation {graph.nodes.activation[node]:.3g}")
    parts.append(f"influence {graph.influence[node]:.4f}")
    return "<br>".join(parts)


def word(kind: str) -> str:
    """A kind as people read it."""
    return _WORDS.get(kind, kind)


def short(graph: CircuitGraph, node: int) -> str:
    """`L5N120`, `token`, `L3 bias`, `logit`: what a node is, without where."""
    kind, layer, unit = KINDS[graph.nodes.kind[node]], int(graph.nodes.layer[node]), int(graph.nodes.unit[node])
    if kind in ("neuron", "latent"):
        return f"L{layer}{'N' if kind == 'neuron' else 'F'}{unit}"
    if kind == "rest":
        return f"L{layer} others"
    return kind if kind in ("token", "position", "logit") else f"L{layer} {kind}"


def graph_figure(graph: CircuitGraph, shown: Arrangement, selected: int | None = None, scheme: str = "light") -> go.Figure:
    """Position across, layer upwards; the first traces hold the edges of the selected node, the next its ring."""
    figure = go.Figure([*edge_traces(graph, shown, selected, scheme), ring_trace(graph, shown, selected, scheme)])
    sizes = node_sizes(graph, shown.nodes)
    kinds = graph.nodes.kind[shown.nodes]
    for kind in [k for k in KINDS if (kinds == KINDS.index(k)).any()]:
        where = kinds == KINDS.index(kind)
        symbol, colour = SYMBOLS[kind], COLOURS[kind]
        size = np.full(int(where.sum()), 11.0) if kind == "token" else sizes[where]
        line = {"width": 1.4 if "open" in symbol else 0.8, "color": colour if "open" in symbol else "rgba(255,255,255,.6)" if scheme == "light" else "rgba(18,21,26,.7)"}
        figure.add_scatter(
            x=np.round(shown.x[where], 3),
            y=np.round(shown.y[where], 3),
            mode="markers",
            name=word(kind),
            marker={"symbol": symbol, "size": np.round(size, 1), "color": colour, "opacity": 0.9, "line": line},
            customdata=shown.nodes[where],
            hovertext=[describe(graph, int(i)) for i in shown.nodes[where]],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    figure.update_layout(**_layout(graph, scheme))
    return figure


def _layout(graph: CircuitGraph, scheme: str) -> dict[str, Any]:
    every = 5 if graph.n_layers > 16 else 2 if graph.n_layers > 8 else 1
    layers = list(range(0, graph.n_layers, every))
    axis = token_axis(graph.tokens)
    return {
        "template": TEMPLATES[scheme],
        "xaxis": {**axis, "tickangle": -40 if len(graph.tokens) > 12 else 0, "showgrid": False, "tickfont": {"family": "JetBrains Mono, monospace", "size": 11}, "range": [-0.6, len(graph.tokens) - 0.4]},
        "yaxis": {
            "tickvals": [-1, *layers, graph.n_layers],
            "ticktext": ["tokens", *(f"L{i}" for i in layers), "logits"],
            "range": [-1.8, graph.n_layers + 0.9],
            "showgrid": True,
        },
        "margin": {"l": 58, "r": 8, "t": 8, "b": 62 if len(graph.tokens) > 12 else 34},
        "hovermode": "closest",
        "dragmode": "pan",
        "uirevision": "keep",
        "legend": {"itemsizing": "constant"},
    }


def edge_traces(graph: CircuitGraph, shown: Arrangement, selected: int | None, scheme: str) -> list[go.Scatter]:
    """Six line traces: three widths for each sign, negative ones dashed too, so that colour is never the only mark."""
    x, y = {int(i): a for i, a in zip(shown.nodes, shown.x, strict=True)}, {int(i): b for i, b in zip(shown.nodes, shown.y, strict=True)}
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
    into, out = graph.incoming(node), graph.outgoing(node)
    both = []
    for e in (into, out):
        ends = [(int(s), int(t), float(w)) for s, t, w in zip(e.source[:400], e.target[:400], e.weight[:400], strict=True)]
        both += [(s, t, w) for s, t, w in ends if s in shown and t in shown][:MAX_EDGES]
    return both


def ring_trace(graph: CircuitGraph, shown: Arrangement, selected: int | None, scheme: str) -> go.Scatter:
    """A ring around the selected node."""
    at = np.flatnonzero(shown.nodes == selected) if selected is not None else np.array([], dtype=int)
    colour = "#2f5d8c" if scheme == "light" else "#e4e7ec"
    marker = {"symbol": "circle-open", "size": 22, "color": colour, "line": {"width": 2.2}}
    return go.Scatter(x=shown.x[at], y=shown.y[at], mode="markers", marker=marker, hoverinfo="skip", showlegend=False)


def connection_rows(graph: CircuitGraph, node: int, direction: str) -> dict[str, Any]:
    """The strongest edges in one direction as rows; into a node, with the rest and the constant, they add up to its value."""
    into = direction == "in"
    edges = graph.incoming(node) if into else graph.outgoing(node)
    ends = edges.source if into else edges.target
    total = float(np.abs(edges.weight).sum()) or 1.0
    rows = [_connection(graph, int(i), float(w), abs(float(w)) / total) for i, w in zip(ends[:MAX_EDGES], edges.weight[:MAX_EDGES], strict=True)]
    if len(edges) > MAX_EDGES:
        others = edges.weight[MAX_EDGES:].astype(np.float64)
        rows.append(_plain(f"{len(others):,} weaker edges", float(others.sum()), float(np.abs(others).sum()) / total))
    if into and graph.explained[node]:
        rows.append(_plain("constant", float(graph.constant[node]), None))
        rows.append(_plain("sum = value", value_of(graph, node, edges), None))
    columns = [
        {"key": "unit", "label": "from" if into else "to", "kind": "unit"},
        {"key": "token", "label": "at", "kind": "token"},
        {"key": "weight", "label": "", "kind": "signed"},
        {"key": "amount", "label": "weight", "kind": "num"},
        {"key": "share", "label": "share", "kind": "share", "title": "share of the sum of |weight| in this direction"},
    ]
    return {"columns": columns, "rows": rows, "label": f"Edges {'into' if into else 'out of'} {short(graph, node)}"}


def _connection(graph: CircuitGraph, other: int, weight: float, share: float) -> dict[str, Any]:
    token = graph.unit_tokens[other] if KINDS[graph.nodes.kind[other]] == "logit" else graph.tokens[graph.nodes.pos[other]]
    return {"unit": short(graph, other), "token": token, "weight": weight, "amount": weight, "share": share, "pick": {"node": other}}


def _plain(text: str, amount: float, share: float | None) -> dict[str, Any]:
    return {"unit": text, "token": None, "weight": None, "amount": amount, "share": share, "quiet": True}


def value_of(graph: CircuitGraph, node: int, edges: Edges) -> float:
    """Constant plus all incoming edges, summed in double precision."""
    return float(graph.constant[node] + edges.weight.astype(np.float64).sum())


def node_rows(graph: CircuitGraph, shown: Arrangement, position: int | None = None, limit: int = 200) -> dict[str, Any]:
    """The shown nodes, most influential first, as the table beside the plot; of one position when one is selected."""
    nodes = shown.nodes if position is None else shown.nodes[graph.nodes.pos[shown.nodes] == position]
    first = nodes[np.argsort(-graph.influence[nodes], kind="stable")]
    logits = first[graph.nodes.where("logit")[first]]
    top = float(graph.influence[shown.nodes].max(initial=0)) or 1.0
    rows = []
    for node in [*first[~graph.nodes.where("logit")[first]][:limit], *logits[np.argsort(-graph.probability[logits])]]:
        i, activation = int(node), float(graph.nodes.activation[node])
        row = _connection(graph, i, 0.0, 0.0)
        logit = bool(graph.probability[i])
        rows.append(
            {
                "unit": row["unit"],
                "token": row["token"],
                "kind": word(KINDS[graph.nodes.kind[i]]),
                "pos": str(graph.nodes.pos[i]),
                "bar": None if logit else float(graph.influence[i]) / top,
                "influence": None if logit else float(graph.influence[i]),
                "activation": float(graph.probability[i]) if logit else None if np.isnan(activation) else activation,
                "pick": {"node": i},
            }
        )
    columns = [
        {"key": "unit", "label": "node", "kind": "unit"},
        {"key": "kind", "label": "kind", "kind": "text"},
        {"key": "token", "label": "token", "kind": "token"},
        {"key": "pos", "label": "position", "kind": "text"},
        {"key": "bar", "label": "influence", "kind": "meter"},
        {"key": "influence", "label": "", "kind": "num"},
        {"key": "activation", "label": "activation or probability", "kind": "num"},
    ]
    note = f"The first {limit} of {len(first):,} nodes." if len(first) > limit else ""
    return {"columns": columns, "rows": rows, "note": note, "label": "Nodes of the graph"}
