"""The tables of a circuit's page: a graph's own rows (`circuits.graph.rows`), each of which leads to its node."""

import numpy as np

from app.components.drawn import Drawn
from circuits.graph.arrangement import Arrangement
from circuits.graph.graph import CircuitGraph
from circuits.graph.marks import Marks
from circuits.graph.naming import short
from circuits.graph.rows import Row, edge_rows, looked_for, node_row
from probe.artifacts.json import Json
from probe.show.columns import column

BELOW = "This unit is below zero: what has a negative weight pushes it further down, the way it went. Bars show that."
BELOW_SOME = (
    "Some of these are below zero: a negative weight pushes them further down, the way they went. Bars show that."
)
FOUND, LISTED = 40, 200  # nodes that answer a search, nodes of the graph
_NODE, _TOKEN = column("unit", "node", "unit"), column("token", kind="token")
_KIND, _POSITION, _GROUP = column("kind"), column("position"), column("group")
_INFLUENCE, _METER = column("influence", kind="num"), column("bar", "influence", "meter")
_ACTIVATION = column("activation", "activation or probability", "num")


def picked(row: Row) -> Json:
    """A row for the page: a press selects its node, what stands for several nodes is quiet."""
    at = row["node"]
    leads = {"quiet": True} if at is None else {"pick": {"node": at}, "title": row["label"] or None}
    return {**{k: v for k, v in row.items() if k not in ("node", "label")}, **leads}


def connection_rows(graph: CircuitGraph, node: int, direction: str) -> Drawn:
    """The strongest edges in one direction; into a node, with the rest and the constant, they add up to its value."""
    into = direction == "in"
    rows = edge_rows(graph, node, "in" if into else "out")
    turned = any(r["pushes"] is not None and r["pushes"] * r["weight"] < 0 for r in rows)
    columns = [
        column("unit", "from" if into else "to", "unit"),
        column("token", "at", "token"),
        column("pushes", "", "signed", title="to the right: pushes it the way it went"),
        column("weight", kind="num"),
        column("share", kind="share", wide=True, title="share of the sum of |weight| in this direction"),
    ]
    note = (BELOW if into else BELOW_SOME) if turned else ""
    label = f"Edges {'into' if into else 'out of'} {short(graph, node)}"
    return {"columns": columns, "rows": [picked(r) for r in rows], "note": note, "label": label}


def found_rows(graph: CircuitGraph, text: str) -> Drawn:
    """Nodes whose name, label or token holds `text`."""
    hits = looked_for(graph, text)
    more = f"The first {FOUND} of {len(hits):,} nodes." if len(hits) > FOUND else ""
    return {
        "columns": [_NODE, _KIND, _TOKEN, _POSITION, _INFLUENCE, _ACTIVATION],
        "rows": [picked(node_row(graph, i)) for i in hits[:FOUND]],
        "note": more if hits else "No node has this name, label or token.",
        "label": "Nodes found",
    }


def node_rows(graph: CircuitGraph, shown: Arrangement, position: int | None = None) -> Drawn:
    """The shown nodes, most influential first, as the table beside the plot; of one position when one is selected."""
    nodes = shown.nodes if position is None else shown.nodes[graph.nodes.pos[shown.nodes] == position]
    first = nodes[np.argsort(-graph.influence[nodes], kind="stable")]
    roots = first[graph.roots[first]]
    top = float(graph.influence[shown.nodes].max(initial=0)) or 1.0
    listed = [*first[~graph.roots[first]][:LISTED], *roots[np.argsort(-graph.probability[roots])]]
    rows = [picked(node_row(graph, int(i))) for i in listed]
    return {
        "columns": [_NODE, _KIND, _TOKEN, _POSITION, _METER, {**_INFLUENCE, "label": ""}, _ACTIVATION],
        "rows": [{**r, "bar": None if r["influence"] is None else r["influence"] / top} for r in rows],
        "note": f"The first {LISTED} of {len(first):,} nodes." if len(first) > LISTED else "",
        "label": "Nodes of the graph",
    }


def pin_rows(graph: CircuitGraph, marks: Marks) -> Drawn:
    """What is pinned, group by group."""
    order = sorted(marks.chosen, key=lambda i: (marks.group_of(i) or "\uffff", -graph.influence[i]))
    return {
        "columns": [_NODE, _GROUP, _KIND, _TOKEN, _POSITION, _INFLUENCE, _ACTIVATION],
        "rows": [{**picked(node_row(graph, i)), "group": marks.group_of(i) or ""} for i in order],
        "note": "" if order else "Nothing is pinned.",
        "label": "Pinned nodes",
        "sorts": True,
    }
