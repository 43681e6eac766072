"""The edges of one node, nodes that are looked for, shown or pinned: rows, and the columns of their tables.

Sums are always over all edges: what is too weak to be listed is given as one row, so that every list still adds up to the node's
value.
"""

from typing import Any, Literal

import numpy as np

from circuits.graph.component_graph import FOR, SIDES, ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.graph.marking.marks import Marks
from circuits.graph.naming import below, kind_of, label, short, titled
from circuits.graph.node_positions import Arrangement
from circuits.graph.nodes import Edges
from probe.artifacts.json import finite
from probe.show.columns import column

Row = dict[str, Any]
Table = dict[str, Any]
"""Columns and rows, with a note and what the table is called; a row that has a `pick` says which node it stands for."""
MAX_LISTED = 60
BELOW = "This unit is below zero: what has a negative weight pushes it further down, the way it went. Bars show that."
WRITES_OPPOSITE = "Below zero here, so it writes the opposite: it promotes what its direction suppresses."
BELOW_SOME = (
    "Some of these are below zero: a negative weight pushes them further down, the way they went. Bars show that."
)
SCORES = "A score is what the metric changes by when the edge carries the corrupted run: below 0 it speaks for the right answer."
FOUND, LISTED = 40, 200  # nodes that answer a search, nodes of the graph
_NODE, _TOKEN = column("unit", "node", "unit"), column("token", kind="token")
_KIND, _POSITION, _GROUP = column("kind"), column("position"), column("group")
_INFLUENCE, _METER = column("influence", kind="num"), column("bar", "influence", "meter")
_ACTIVATION = column("activation", "activation or probability", "num")


def edge_rows(graph: CircuitGraph, node: int, direction: Literal["in", "out"] = "in", k: int = MAX_LISTED) -> list[Row]:
    """The k strongest edges into or out of a node, and the others as one row; into a node, with the constant, they add up to its
    value. pushes: the weight, above 0 where it pushes the target the way that went. share: of the sum of |weight|."""
    into, numbers = direction == "in", graph.numbers_of(node, direction)
    edges = graph.edges_at(numbers)
    ends = edges.source if into else edges.target
    total = float(np.abs(edges.weight).sum()) or 1.0
    rows = [
        {
            "node": int(i),
            "unit": titled(graph, int(i), 34),
            "label": label(graph, int(i)),
            "token": token_of(graph, int(i)),
            "side": _side(graph, int(number)),
            "pushes": float(graph.pushes[number]),
            "weight": float(w),
            "share": abs(float(w)) / total,
        }
        for i, w, number in zip(ends[:k], edges.weight[:k], numbers[:k], strict=True)
    ]
    if len(edges) > k:
        others = edges.weight[k:].astype(np.float64)
        rows.append(_sum(f"{len(others):,} weaker edges", float(others.sum()), float(np.abs(others).sum()) / total))
    return [*rows, *(_closing(graph, node, edges) if into and graph.explained[node] else [])]


def _side(graph: CircuitGraph, edge: int) -> str:
    """What of its receiver an edge is read by; of a graph of one prompt that is not told."""
    return SIDES[int(graph.side[edge])] if isinstance(graph, ComponentGraph) else ""


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
    empty = {"node": None, "label": "", "token": None, "side": None, "pushes": None}
    return {**empty, "unit": text, "weight": weight, "share": share}


def node_row(graph: CircuitGraph, node: int) -> Row:
    """One node: what it is, where, and its numbers; of a root its probability in place of an activation."""
    root = bool(graph.roots[node])
    return {
        "node": node,
        "unit": titled(graph, node, 60),
        "label": label(graph, node),
        "token": token_of(graph, node),
        "kind": kind_of(graph, node),
        "position": int(graph.nodes.pos[node]),
        "influence": None if root else float(graph.influence[node]),
        "activation": float(graph.probability[node]) if root else finite(graph.nodes.activation[node]),
        **(
            {"net": float(graph.net[node]), "activation": None}
            if isinstance(graph, ComponentGraph) and graph.scored
            else {}
        ),
    }


def token_of(graph: CircuitGraph, node: int) -> str:
    """What a root explains; of every other node the token it stands at; components stand at none."""
    if graph.of_task:
        return ""
    return graph.unit_tokens[node] if graph.roots[node] else graph.tokens[graph.nodes.pos[node]]


def node_words(graph: CircuitGraph, node: int, shown: Arrangement | None = None) -> list[str]:
    """What a node is and where, in sentences; and whether it is among the shown ones."""
    place = f" {'of' if graph.roots[node] else 'at'} {token_of(graph, node)!r}, position {graph.nodes.pos[node]}"
    place = ("" if graph.explained[node] else ": embeddings") if graph.of_task else place
    lost = shown is not None and node not in shown.nodes
    return [
        f"{kind_of(graph, node)}{place}",
        *([WRITES_OPPOSITE] if below(graph, node) else []),
        *(["Not shown in the link graph: keep more nodes to see it there."] if lost else []),
    ]


def looked_for(graph: CircuitGraph, text: str) -> list[int]:
    """Nodes whose name, label or token holds `text`, whatever its case, most influential first."""
    wanted = text.strip().casefold()
    at_token = [wanted in t.casefold() and not graph.of_task for t in graph.tokens]
    return [
        i
        for i in np.argsort(-(graph.influence + graph.probability), kind="stable").tolist()
        if at_token[graph.nodes.pos[i]]
        or any(wanted in t.casefold() for t in (short(graph, i), graph.name(i), graph.unit_tokens[i]))
    ]


# -- tables ------------------------------------------------------------------------------------------------------------------


def picked(row: Row) -> Row:
    """A row of a table: a press on it chooses its node; what stands for several nodes is quiet."""
    at = row["node"]
    leads = {"quiet": True} if at is None else {"pick": {"node": at}, "title": row["label"] or None}
    return {**{k: v for k, v in row.items() if k not in ("node", "label")}, **leads}


def edge_table(graph: CircuitGraph, node: int, direction: str) -> Table:
    """The strongest edges in one direction; into a node, with the rest and the constant, they add up to its value."""
    into = direction == "in"
    rows = edge_rows(graph, node, "in" if into else "out")
    turned = any(r["pushes"] is not None and r["pushes"] * r["weight"] < 0 for r in rows)
    columns = [
        column("unit", "from" if into else "to", "unit"),
        *([] if graph.of_task else [column("token", "at", "token")]),
        *([column("side", "read as")] if any(r["side"] for r in rows) else []),
        column("pushes", "", "signed", title=f"to the right: {FOR if graph.of_task else 'pushes it the way it went'}"),
        column("weight", "score" if graph.of_task else "weight", kind="num"),
        column("share", kind="share", wide=True, title="share of the sum of sizes in this direction"),
    ]
    note = _note(graph, into, turned)
    label = f"Edges {'into' if into else 'out of'} {short(graph, node)}"
    return {"columns": columns, "rows": [picked(r) for r in rows], "note": note, "label": label}


def _note(graph: CircuitGraph, into: bool, turned: bool) -> str:
    """What the signs of a table of edges mean, where that needs words. turned: some edges push against their sign."""
    if isinstance(graph, ComponentGraph):
        return SCORES if graph.signed and not graph.searched else ""
    return "" if not turned else BELOW if into else BELOW_SOME


def _columns(graph: CircuitGraph, *columns: Row) -> list[Row]:
    """Of components no token, position or activation, but what their edges come to."""
    if not graph.of_task:
        return list(columns)
    named = {"bar": "size", "influence": "sum of |score|"}
    kept = [one for one in columns if one["key"] not in ("token", "position", "activation")]
    kept = [{**one, "label": named[one["key"]] if one["label"] else ""} if one["key"] in named else one for one in kept]
    return [*kept, column("net", "net score", "num", title="what the scores of its edges come to together")]


def found_table(graph: CircuitGraph, text: str) -> Table:
    """Nodes whose name, label or token holds `text`."""
    hits = looked_for(graph, text)
    more = f"The first {FOUND} of {len(hits):,} nodes." if len(hits) > FOUND else ""
    return {
        "columns": _columns(graph, _NODE, _KIND, _TOKEN, _POSITION, _INFLUENCE, _ACTIVATION),
        "rows": [picked(node_row(graph, i)) for i in hits[:FOUND]],
        "note": more if hits else "No node has this name, label or token.",
        "label": "Nodes found",
    }


def node_table(graph: CircuitGraph, shown: Arrangement, position: int | None = None) -> Table:
    """The shown nodes, most influential first, as the table beside the plot; of one position when one is selected."""
    nodes = shown.nodes if position is None else shown.nodes[graph.nodes.pos[shown.nodes] == position]
    first = nodes[np.argsort(-graph.influence[nodes], kind="stable")]
    roots = first[graph.roots[first]]
    top = float(graph.influence[shown.nodes].max(initial=0)) or 1.0
    listed = [*first[~graph.roots[first]][:LISTED], *roots[np.argsort(-graph.probability[roots])]]
    rows = [picked(node_row(graph, int(i))) for i in listed]
    return {
        "columns": _columns(graph, _NODE, _KIND, _TOKEN, _POSITION, _METER, {**_INFLUENCE, "label": ""}, _ACTIVATION),
        "rows": [{**r, "bar": None if r["influence"] is None else r["influence"] / top} for r in rows],
        "note": f"The first {LISTED} of {len(first):,} nodes." if len(first) > LISTED else "",
        "label": "Nodes of the graph",
    }


def pin_table(graph: CircuitGraph, marks: Marks) -> Table:
    """What is pinned, group by group."""
    order = sorted(marks.chosen, key=lambda i: (marks.group_of(i) or "\uffff", -graph.influence[i]))
    return {
        "columns": _columns(graph, _NODE, _GROUP, _KIND, _TOKEN, _POSITION, _INFLUENCE, _ACTIVATION),
        "rows": [{**picked(node_row(graph, i)), "group": marks.group_of(i) or ""} for i in order],
        "note": "" if order else "Nothing is pinned.",
        "label": "Pinned nodes",
        "sorts": True,
    }
