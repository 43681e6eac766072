"""The difference of two stored graphs in numbers and rows."""

from typing import TYPE_CHECKING

from app import links
from app.components.drawn import Drawn
from app.components.parts import Parts, stat
from app.library.graphs import graph_of
from circuits.graph.graph import CircuitGraph
from probe.errors import BadInput

if TYPE_CHECKING:
    from circuits.comparison.difference import GraphDifference

LISTED = 100


def stats(found: "GraphDifference") -> Parts:
    """Counts and agreement in numbers."""
    s = found.summary()
    nodes, edges, correlation = s["nodes"], s["edges"], s["edge_correlation"]
    return [
        stat("nodes in both", f"{nodes['both']:,}", f"{nodes['only_a']:,} only in a · {nodes['only_b']:,} only in b"),
        stat("edges in both", f"{edges['both']:,}", f"{edges['only_a']:,} only in a · {edges['only_b']:,} only in b"),
        stat("overlap", _share(s["overlap"]), "of influence: 1 for equal graphs, 0 for strangers"),
        stat("edges agree", _share(correlation), "correlation of the weights of edges in both"),
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def node_table(found: "GraphDifference", where: str, names: tuple[str, str]) -> Drawn:
    """Nodes in `both`, in `a` or in `b`, those that differ most first; a row opens its node."""
    rows, owner = found.rows(LISTED, where=where), names[where == "b"]
    stored = graph_of(owner)
    number = {"both": int((found.held.all(0)).sum()), "a": int((found.held[0] & ~found.held[1]).sum())}
    total = number.get(where, int((found.held[1] & ~found.held[0]).sum()))
    shown = [{**r, "href": _at(stored, owner, r["node"])} for r in rows]
    mine = [(f"influence_{where}", "influence"), (f"activation_{where}", "activation")]
    keys = [("influence_a", "influence in a"), ("influence_b", "in b")] if where == "both" else mine
    columns = [
        {"key": "node", "label": "node", "kind": "unit"},
        {"key": "kind", "label": "kind", "kind": "text"},
        *([{"key": "influence_change", "label": "change", "kind": "signed"}] if where == "both" else []),
        *({"key": k, "label": label, "kind": "num"} for k, label in keys),
    ]
    note = f"{len(rows)} of {total:,}." if total > len(rows) else "" if rows else "None."
    return {"columns": columns, "rows": shown, "note": note, "label": f"Nodes in {where}", "sorts": True}


def _at(found: CircuitGraph, name: str, node: str) -> str:
    """The graph's page at a node by its name; the page alone where positions were added up, so that no one node is meant."""
    try:
        return links.circuit_page(name, node=found.find(node)[0])
    except BadInput:
        return links.circuit_page(name)


def edge_table(found: "GraphDifference") -> Drawn:
    """Edges whose influence differs most."""
    columns = [
        {"key": "from", "label": "from", "kind": "unit"},
        {"key": "to", "label": "to", "kind": "unit"},
        {"key": "in", "label": "in", "kind": "text"},
        {"key": "weight_a", "label": "weight in a", "kind": "num"},
        {"key": "weight_b", "label": "in b", "kind": "num"},
        {"key": "flow_a", "label": "influence along it in a", "kind": "num"},
        {"key": "flow_b", "label": "in b", "kind": "num"},
    ]
    return {"columns": columns, "rows": found.edge_rows(LISTED), "note": "", "label": "Edges", "sorts": True}
