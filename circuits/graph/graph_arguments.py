"""How a method is asked of a graph: one in memory, or a stored one by name; the dictionaries it was traced with; some of its
nodes.

Nodes are named one by one (`L5N120@3`, `L5N120` for every position, a number), or by what they are to the graph: `top:20`, its
most influential units, and `pinned`.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from circuits.graph.graph import UNITS, CircuitGraph
from probe.errors import BadInput, brief
from probe.methods.graph_kinds import node_list
from probe.model.unit_names import as_text
from probe.show.opening import origin

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

GraphName = CircuitGraph | str | Path
"""A graph, or the name or folder of a stored one."""
Rule = Callable[[CircuitGraph], Sequence[int]]
ChosenNodes = Sequence[int | str] | int | str | Rule | None
"""Nodes by number, name or `top:20` and `pinned`; or a rule that chooses in any graph; what None means each function says."""


def read_graph(graph: GraphName, *, of_task: bool = False) -> CircuitGraph:
    """The graph itself. of_task: whether a circuit of components on a task will do. BadInput for what is none, or no such one."""
    if not isinstance(graph, CircuitGraph):
        if not isinstance(graph, str | Path):
            raise BadInput(f"A graph is one of trace(), or the name of a stored one; {brief(graph)} came.")
        from circuits.graph.store import load_graph

        graph = load_graph(graph)
    if graph.of_task and not of_task:
        raise BadInput(
            f"This is a circuit of components ({brief(graph.prompt)}): it has no prompt, and its scores do not sum to what they "
            "run into. This is asked of the graph of one prompt, of trace(); such a circuit is tested by `faithfulness`."
        )
    return graph


def stored_in(graph: CircuitGraph) -> Path | None:
    """The folder that a graph was read from; None for one that was traced, or read from another program's file."""
    folder = origin(graph)
    return Path(folder) if isinstance(folder, str) else None


def own_dictionaries(model: "TransformerBridge", graph: CircuitGraph, given: Sequence[Any] = ()) -> list[Any]:
    """The dictionaries given, by name or loaded; or those that the graph names, where none are. BadInput for one not stored."""
    if given or not graph.dictionaries:
        return list(given)
    names = list(dict.fromkeys(graph.dictionaries.values()))
    if lost := [n for n in names if n.startswith("unstored")]:
        raise BadInput(
            f"The graph was traced with dictionaries that were never stored ({lost[0]}); give them as `dictionaries`."
        )
    from probe.dictionaries import load_dictionary

    return [load_dictionary(name, model) for name in names]


def nodes_named(graph: CircuitGraph, chosen: "Sequence[int | str] | int | str") -> list[int]:
    """Numbers of the nodes that names, numbers, `top:20` and `pinned` stand for, as often as they are named."""
    alone = isinstance(chosen, str | int | np.integer) or not isinstance(chosen, Sequence | np.ndarray)
    each = node_list(chosen) if isinstance(chosen, str) else [chosen] if alone else list(chosen)
    return [node for one in each for node in _named(graph, as_text(one))]


def names_to_ask(graph: CircuitGraph, nodes: Sequence[int]) -> list[str]:
    """Numbers of nodes as `nodes_named` reads them: by name and position; a root by its number, since its name quotes its token.
    BadInput for what are none."""
    if not isinstance(nodes, list) or not all(type(i) is int and 0 <= i < len(graph.nodes) for i in nodes):
        raise BadInput(f"These are no nodes of the graph, which has {len(graph.nodes):,}: {brief(nodes)}.")
    what = [graph.name(i).split("@")[0] for i in nodes]
    return [str(i) if graph.roots[i] else f"{w}@{graph.nodes.pos[i]}" for i, w in zip(nodes, what, strict=True)]


def _named(graph: CircuitGraph, one: Any) -> Sequence[int]:
    if one == "pinned":
        if not graph.pinned:
            raise BadInput("Nothing is pinned in this graph; pin nodes, or name them like L5N120@3.")
        return graph.pinned
    return graph.find(one) if (n := top_of(one)) is None else top_units(graph, n)


def top_of(one: object) -> int | None:
    """20 of `top:20`; None for anything else."""
    found = re.fullmatch(r"top[: ]?(\d{1,9})", one.strip()) if isinstance(one, str) else None
    return int(found[1]) if found else None


def top_units(graph: CircuitGraph, n: int) -> list[int]:
    """The n units with the largest influence."""
    units = np.flatnonzero(graph.nodes.where(*UNITS))
    return units[np.argsort(-graph.influence[units], kind="stable")[:n]].tolist()
