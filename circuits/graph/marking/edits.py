"""An edit of a graph's marks asked for in plain values, as a page or another program does, and what was done in words.

    after, words = edited(graph, marks, {"op": "pin", "nodes": [17]})

What each edit does says `marks.py` here; in this file its request is checked. `history.py` takes it back.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import top_units
from circuits.graph.marking.marks import MOST, Marks, clean, group, label, pin, rename, ungroup, unpin
from probe.artifacts.json import Json
from probe.errors import BadInput


def edited(graph: CircuitGraph, marks: Marks, request: Json) -> tuple[Marks, str]:
    """The marks after a request, and what was done in words. BadInput for what cannot be done."""
    op = str(request.get("op"))
    nodes = _nodes(graph, request.get("nodes", []))
    name, text = str(request.get("name", "")), str(request.get("text", ""))
    if op == "toggle" and nodes:
        op = "unpin" if nodes[0] in marks.chosen else "pin"
    if op == "pin":
        return pin(marks, nodes), f"pinned {_count(graph, nodes)}"
    if op == "unpin":
        return unpin(marks, nodes), f"unpinned {_count(graph, nodes)}"
    if op == "clear":
        return replace(marks, pinned=(), groups={}), "unpinned everything"
    if op == "top":
        chosen = top_units(graph, _number(request.get("n")))
        return pin(marks, chosen), f"pinned the {len(chosen)} most influential units"
    if op == "group":
        made = name or next(n for i in range(1, len(marks.groups) + 2) if (n := f"group {i}") not in marks.groups)
        return group(marks, nodes, made), f"grouped {_count(graph, nodes)} as '{clean(made)}'"
    if op == "prune":
        chosen = kept_units(graph, _share(request.get("keep")), _share(request.get("edges")))
        return pin(marks, chosen), f"pinned {_count(graph, chosen)} that the sliders keep"
    if op == "ungroup":
        name = name or _group_of(marks, nodes)
        return ungroup(marks, name), f"ungrouped '{name}'"
    if op == "rename":
        return rename(marks, name, text), f"renamed '{name}' to '{clean(text)}'"
    if op == "label" and nodes:
        what = graph.name(nodes[0]).split("@")[0]
        words = f"labelled {what} '{clean(text)}'" if text.strip() else f"took the label of {what} away"
        return label(graph, marks, nodes[0], text), words
    raise BadInput(f"'{op[:40]}' is no edit of a graph.")


def _nodes(graph: CircuitGraph, nodes: object) -> list[int]:
    n = len(graph.nodes)
    if not isinstance(nodes, list) or not all(type(i) is int and 0 <= i < n for i in nodes):
        raise BadInput(f"These are no nodes of this graph, which has {n}. Load it again.")
    return nodes


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MOST:
        raise BadInput(f"Give how many to pin, from 1 to {MOST}.")
    return int(value)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInput("How much is kept is a share from 0 to 1. Move a slider and try again.")
    return float(value)


def _group_of(marks: Marks, nodes: Sequence[int]) -> str:
    """The group of the first node, which is the one that is selected."""
    if not nodes or (found := marks.group_of(nodes[0])) is None:
        raise BadInput("The selected node is in no group. Select a member of the group first.")
    return found


def kept_units(graph: CircuitGraph, keep: float, edges: float) -> list[int]:
    """The units that are left when nodes and edges of less influence go; where they are too many to pin, `pin` says so."""
    return np.flatnonzero(graph.prune(keep, edges).nodes & graph.nodes.where(*UNITS)).tolist()


def _count(graph: CircuitGraph, nodes: Sequence[int]) -> str:
    return graph.name(nodes[0]) if len(nodes) == 1 else f"{len(nodes)} nodes"
