"""Which nodes are tested, in the graph they were chosen in and in other prompts' graphs. Pure arrays; no model."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import ChosenNodes, nodes_named, top_of, top_units
from probe.errors import BadInput


def chosen_nodes(graph: CircuitGraph, chosen: ChosenNodes) -> Int[np.ndarray, " node"]:
    """Node numbers, sorted, each once. None: the pinned nodes, or else the pruned graph's units."""
    if chosen is None:
        found = graph.pinned or np.flatnonzero(graph.prune().nodes & graph.nodes.where(*UNITS)).tolist()
    elif callable(chosen):
        found = list(chosen(graph))
    else:
        found = nodes_named(graph, chosen)
    if not len(found):
        how = "The rule chose no node" if callable(chosen) else "No node was given"
        raise BadInput(
            f"{how}, and changing nothing says nothing. Name nodes like L5N120@3, or use most_influential(20)."
        )
    return np.unique(np.asarray(found, np.int64))


def as_rule(chosen: ChosenNodes) -> ChosenNodes:
    """`top:20` as the rule it is, which chooses anew in every graph; anything else as it is."""
    alone = chosen[0] if isinstance(chosen, list | tuple) and len(chosen) == 1 else chosen
    n = top_of(alone)
    return chosen if n is None else most_influential(n)


def most_influential(n: int) -> Callable[[CircuitGraph], list[int]]:
    """The rule that takes the n units with the largest influence.

    >>> len(ow.most_influential(3)(graph))
    3
    """
    if n < 1:
        raise BadInput(f"The number of units to test is {n}; it must be at least 1.")

    def rule(graph: CircuitGraph) -> list[int]:
        return top_units(graph, n)

    rule.written = f"top:{n}"  # type: ignore[attr-defined]  # how a call tells of it
    return rule


def carried_over(
    graph: CircuitGraph, nodes: Int[np.ndarray, " node"], other: CircuitGraph
) -> Int[np.ndarray, " found"]:
    """The same nodes in another prompt's graph: same kind, layer and unit, at the same distance from the end.

    Tokens are matched by place, whatever they are. Nodes the other graph lacks are left out.
    """
    keys = _keys(other)
    known = {key: i for i, key in enumerate(keys)}
    wanted = [_keys(graph)[i] for i in nodes]
    return np.array(sorted({known[k] for k in wanted if k in known}), np.int64)


def _keys(graph: CircuitGraph) -> list[tuple[int, int, int, int]]:
    nodes, named = graph.nodes, ~graph.nodes.where("token")
    unit = np.where(named, nodes.unit, -1)
    back = nodes.pos - len(graph.tokens)
    return list(zip(nodes.kind.tolist(), nodes.layer.tolist(), back.tolist(), unit.tolist(), strict=True))
