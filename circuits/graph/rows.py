"""The edges of one node, and nodes that are looked for, as rows of a table. Sums are always over all edges.

What is too weak to be listed is given as one row, so that every list still adds up to the node's value.
"""

from typing import Any, Literal

import numpy as np

from circuits.graph.graph import CircuitGraph
from circuits.graph.naming import label, short, titled, word
from circuits.graph.nodes import KINDS, Edges
from probe.artifacts.json import finite

MAX_LISTED = 60
Row = dict[str, Any]


def edge_rows(graph: CircuitGraph, node: int, direction: Literal["in", "out"] = "in", k: int = MAX_LISTED) -> list[Row]:
    """The k strongest edges into or out of a node, and the others as one row; into a node, with the constant, they add up to its
    value. pushes: the weight, above 0 where it pushes the target the way that went. share: of the sum of |weight|."""
    into = direction == "in"
    edges = graph.incoming(node) if into else graph.outgoing(node)
    ends = edges.source if into else edges.target
    total = float(np.abs(edges.weight).sum()) or 1.0
    rows = [
        {
            "node": int(i),
            "unit": titled(graph, int(i), 34),
            "label": label(graph, int(i)),
            "token": token_of(graph, int(i)),
            "pushes": float(w * graph.way[t]),
            "weight": float(w),
            "share": abs(float(w)) / total,
        }
        for i, t, w in zip(ends[:k], edges.target[:k], edges.weight[:k], strict=True)
    ]
    if len(edges) > k:
        others = edges.weight[k:].astype(np.float64)
        rows.append(_sum(f"{len(others):,} weaker edges", float(others.sum()), float(np.abs(others).sum()) / total))
    return [*rows, *(_closing(graph, node, edges) if into and graph.explained[node] else [])]


def _closing(graph: CircuitGraph, node: int, edges: Edges) -> list[Row]:
    """Constant and value below the edges; where a file did not hold the constant, the sum of the edges alone."""
    constant, inside = float(graph.constant[node]), float(edges.weight.astype(np.float64).sum())
    if np.isnan(constant):
        return [_sum("sum of edges", inside)]
    total, value = constant + inside, float(graph.nodes.value[node])
    if np.isnan(graph.residual) and abs(value - total) > 1e-6 * max(
        1.0, abs(total)
    ):  # pruned, so what is lacking is known
        return [_sum("constant", constant), _sum("edges left out", value - total), _sum("sum = value", value)]
    return [_sum("constant", constant), _sum("sum = value", total)]


def _sum(text: str, weight: float, share: float | None = None) -> Row:
    empty = {"node": None, "label": "", "token": None, "pushes": None}
    return {**empty, "unit": text, "weight": weight, "share": share}


def node_row(graph: CircuitGraph, node: int) -> Row:
    """One node: what it is, where, and its numbers; of a root its probability in place of an activation."""
    root = bool(graph.roots[node])
    return {
        "node": node,
        "unit": titled(graph, node, 60),
        "label": label(graph, node),
        "token": token_of(graph, node),
        "kind": word(KINDS[graph.nodes.kind[node]]),
        "position": int(graph.nodes.pos[node]),
        "influence": None if root else float(graph.influence[node]),
        "activation": float(graph.probability[node]) if root else finite(graph.nodes.activation[node]),
    }


def token_of(graph: CircuitGraph, node: int) -> str:
    """What a root explains; of every other node the token it stands at."""
    return graph.unit_tokens[node] if graph.roots[node] else graph.tokens[graph.nodes.pos[node]]


def looked_for(graph: CircuitGraph, text: str) -> list[int]:
    """Nodes whose name, label or token holds `text`, whatever its case, most influential first."""
    wanted = text.strip().casefold()
    at_token = [wanted in t.casefold() for t in graph.tokens]
    return [
        i
        for i in np.argsort(-(graph.influence + graph.probability), kind="stable").tolist()
        if at_token[graph.nodes.pos[i]]
        or any(wanted in t.casefold() for t in (short(graph, i), graph.name(i), graph.unit_tokens[i]))
    ]
