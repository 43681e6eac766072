"""The edges of one node, and the nodes of a graph, as rows. Sums are always over all edges.

What is too weak to be listed is given as one number, so that every list still adds up to the node's value.
"""

import numpy as np

from app.components.drawn import Drawn
from app.figures import linkgraph, node_words
from circuits.graph.graph import KINDS, CircuitGraph, Edges
from probe.artifacts.json import Json
from probe.show.glossary import meaning

BELOW = "This unit is below zero: what has a negative weight pushes it further down, the way it went. Bars show that."
BELOW_SOME = (
    "Some of these are below zero: a negative weight pushes them further down, the way they went. Bars show that."
)
MAX_LISTED = 60  # edges in each direction
NODE_COLUMNS = [
    {"key": "unit", "label": "node", "kind": "unit"},
    {"key": "kind", "label": "kind", "kind": "text"},
    {"key": "token", "label": "token", "kind": "token"},
    {"key": "pos", "label": "position", "kind": "text"},
    {"key": "influence", "label": "influence", "kind": "num", "title": meaning("influence")},
    {"key": "activation", "label": "activation or probability", "kind": "num"},
]


def connection_rows(graph: CircuitGraph, node: int, direction: str) -> Drawn:
    """The strongest edges in one direction as rows; into a node, with the rest and the constant, they add up to its value."""
    into = direction == "in"
    edges = graph.incoming(node) if into else graph.outgoing(node)
    ends = edges.source if into else edges.target
    total = float(np.abs(edges.weight).sum()) or 1.0
    rows = [
        {**_connection(graph, int(i), float(w), abs(float(w)) / total), "weight": float(w * graph.way[t])}
        for i, t, w in zip(ends[:MAX_LISTED], edges.target[:MAX_LISTED], edges.weight[:MAX_LISTED], strict=True)
    ]
    turned = bool((graph.way[edges.target[:MAX_LISTED]] < 0).any())
    if len(edges) > MAX_LISTED:
        others = edges.weight[MAX_LISTED:].astype(np.float64)
        rows.append(_plain(f"{len(others):,} weaker edges", float(others.sum()), float(np.abs(others).sum()) / total))
    if into and graph.explained[node]:
        rows += _closing(graph, node, edges)
    columns = [
        {"key": "unit", "label": "from" if into else "to", "kind": "unit"},
        {"key": "token", "label": "at", "kind": "token"},
        {"key": "weight", "label": "", "kind": "signed", "title": "to the right: pushes it the way it went"},
        {"key": "amount", "label": "weight", "kind": "num"},
        {
            "key": "share",
            "label": "share",
            "kind": "share",
            "wide": True,
            "title": "share of the sum of |weight| in this direction",
        },
    ]
    return {
        "columns": columns,
        "rows": rows,
        "note": (BELOW if into else BELOW_SOME) if turned else "",
        "label": f"Edges {'into' if into else 'out of'} {node_words.short(graph, node)}",
    }


def _closing(graph: CircuitGraph, node: int, edges: Edges) -> list[Json]:
    """Constant and value below the edges; where a file did not hold the constant, the sum of the edges alone."""
    if np.isnan(graph.constant[node]):
        return [_plain("sum of edges", float(edges.weight.astype(np.float64).sum()), None)]
    constant, total = float(graph.constant[node]), value_of(graph, node, edges)
    missing = float(graph.nodes.value[node]) - total
    left_out = np.isnan(graph.residual) and abs(missing) > 1e-6 * max(1.0, abs(total))
    rows = [_plain("constant", constant, None)]
    if left_out:  # the file was pruned, so what its edges lack is known
        return [*rows, _plain("edges left out", missing, None), _plain("sum = value", total + missing, None)]
    return [*rows, _plain("sum = value", total, None)]


def _connection(graph: CircuitGraph, other: int, weight: float, share: float, width: int = 34) -> Json:
    token = graph.unit_tokens[other] if graph.roots[other] else graph.tokens[graph.nodes.pos[other]]
    return {
        "unit": node_words.titled(graph, other, width),
        "title": node_words.label(graph, other) or None,
        "token": token,
        "weight": weight,
        "amount": weight,
        "share": share,
        "pick": {"node": other},
    }


def _plain(text: str, amount: float, share: float | None) -> Json:
    return {"unit": text, "token": None, "weight": None, "amount": amount, "share": share, "quiet": True}


def value_of(graph: CircuitGraph, node: int, edges: Edges) -> float:
    """Constant plus all incoming edges, summed in double precision."""
    return float(graph.constant[node] + edges.weight.astype(np.float64).sum())


def node_row(graph: CircuitGraph, node: int) -> Json:
    """One node as a row: what it is, where, and its numbers."""
    root, activation = bool(graph.roots[node]), float(graph.nodes.activation[node])
    row = _connection(graph, node, 0.0, 0.0, 60)
    return {
        "unit": row["unit"],
        "title": row["title"],
        "token": row["token"],
        "kind": node_words.word(KINDS[graph.nodes.kind[node]]),
        "pos": str(graph.nodes.pos[node]),
        "influence": None if root else float(graph.influence[node]),
        "activation": float(graph.probability[node]) if root else None if np.isnan(activation) else activation,
        "pick": {"node": node},
    }


def found_rows(graph: CircuitGraph, text: str, limit: int = 40) -> Drawn:
    """Nodes whose name, label or token holds `text`, whatever its case, most influential first."""
    wanted = text.strip().casefold()
    tokens = [wanted in t.casefold() for t in graph.tokens]
    hits = [
        i
        for i in np.argsort(-(graph.influence + graph.probability), kind="stable").tolist()
        if wanted in node_words.short(graph, i).casefold()
        or wanted in graph.name(i).casefold()
        or wanted in (graph.unit_tokens[i] or node_words.label(graph, i)).casefold()
        or tokens[graph.nodes.pos[i]]
    ]
    words = (
        f"The first {limit} of {len(hits):,} nodes."
        if len(hits) > limit
        else ""
        if hits
        else "No node has this name, label or token."
    )
    return {
        "columns": NODE_COLUMNS,
        "rows": [node_row(graph, i) for i in hits[:limit]],
        "note": words,
        "label": "Nodes found",
    }


def node_rows(
    graph: CircuitGraph, shown: linkgraph.Arrangement, position: int | None = None, limit: int = 200
) -> Drawn:
    """The shown nodes, most influential first, as the table beside the plot; of one position when one is selected."""
    nodes = shown.nodes if position is None else shown.nodes[graph.nodes.pos[shown.nodes] == position]
    first = nodes[np.argsort(-graph.influence[nodes], kind="stable")]
    roots = first[graph.roots[first]]
    top = float(graph.influence[shown.nodes].max(initial=0)) or 1.0
    rows = []
    for node in [*first[~graph.roots[first]][:limit], *roots[np.argsort(-graph.probability[roots])]]:
        row = node_row(graph, int(node))
        rows.append({**row, "bar": None if graph.roots[node] else row["influence"] / top})
    columns = [*NODE_COLUMNS[:4], {"key": "bar", "label": "influence", "kind": "meter"}, *NODE_COLUMNS[4:]]
    columns[5] = {"key": "influence", "label": "", "kind": "num"}
    note = f"The first {limit} of {len(first):,} nodes." if len(first) > limit else ""
    return {"columns": columns, "rows": rows, "note": note, "label": "Nodes of the graph"}
