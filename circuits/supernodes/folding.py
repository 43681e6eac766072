"""A graph with some of its units folded into unexplained leaves; it still conserves.

What a latent writes joins the `error` node of its layer and position, what a neuron, head or whole MLP writes joins the `rest`
node, and edges into a folded unit go: every value that stays is still the sum of its edges and its constant. Leaves that a place
lacks are made. Summed, the edges into one leaf may cancel; apart, each keeps its own |weight|.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from circuits.graph.checks import conservation
from circuits.graph.graph import KINDS, UNITS, CircuitGraph, Edges, Nodes

REST, ERROR, LATENT = (KINDS.index(k) for k in ("rest", "error", "latent"))


def fold(graph: CircuitGraph, keep: Bool[np.ndarray, " node"], *, summed: bool = True) -> CircuitGraph:
    """The graph with every unit outside `keep` folded into an unexplained leaf; it still conserves.

    Leaves and roots stay whatever `keep` says; leaves with no edge left go, except tokens. summed: False keeps the edges that
    join one leaf apart (several edges between the same two nodes), so that their signs do not cancel.
    """
    gone = graph.nodes.where(*UNITS) & ~keep
    joined, extra = _leaf_of(graph, gone)
    e = graph.edges
    used = ~gone[e.target]
    source, target, weight = joined[e.source[used]], e.target[used] + len(extra[0]), e.weight[used]
    nodes = _joined(extra, graph.nodes)
    if summed:
        source, target, weight = _sum_edges(source, target, weight, len(nodes))
    old = np.r_[np.full(len(extra[0]), -1), np.arange(len(graph.nodes))]
    stays = (
        np.isin(np.arange(len(nodes)), source) | nodes.where("token") | np.r_[extra[0] >= 0, graph.explained & ~gone]
    )
    return _take(graph, nodes, Edges(source, target, weight), old, stays)


def part_of(graph: CircuitGraph, keep: Bool[np.ndarray, " node"], **facts: Any) -> CircuitGraph:
    """A graph of its own with every unit outside `keep` summed into a leaf of its layer and position: how exactly it adds up is
    told anew, and groups left empty go. facts: where it comes from."""
    part = fold(graph, keep)
    absolute, relative = conservation(part)
    groups = {name: members for name, members in part.supernodes.items() if members}
    told = {**part.facts, **facts}
    return replace(part, residual=absolute, residual_relative=relative, facts=told, supernodes=groups)


_Leaves = tuple[Int[np.ndarray, " leaf"], Int[np.ndarray, " leaf"], Int[np.ndarray, " leaf"]]


def _leaf_of(graph: CircuitGraph, gone: Bool[np.ndarray, " node"]) -> tuple[Int[np.ndarray, " node"], _Leaves]:
    """Where each node's outgoing edges go, counted with the new leaves in front, and kind, layer, pos of these new leaves."""
    nodes = graph.nodes
    place = (nodes.layer.astype(np.int64) + 1) * (len(graph.tokens) + 1) + nodes.pos
    kind = np.where(nodes.kind == LATENT, ERROR, REST)
    key = place * len(KINDS) + np.where(gone, kind, nodes.kind)
    leaves = np.flatnonzero(nodes.where("rest", "error"))
    known = dict(zip(key[leaves].tolist(), leaves.tolist(), strict=True))
    new, first = np.unique(key[gone], return_index=True)
    missing = [i for i, k in enumerate(new.tolist()) if k not in known]
    at = {k: known[k] + len(missing) for k in new.tolist() if k in known} | {
        int(new[i]): j for j, i in enumerate(missing)
    }
    joined = np.arange(len(nodes)) + len(missing)
    joined[gone] = [at[k] for k in key[gone].tolist()]
    examples = np.flatnonzero(gone)[first[missing]]
    return joined, (kind[examples], nodes.layer[examples], nodes.pos[examples])


def _joined(extra: _Leaves, nodes: Nodes) -> Nodes:
    """New leaves in front of the nodes there are."""
    kind, layer, pos = extra
    nan = np.full(len(kind), np.nan)
    return Nodes(
        np.r_[kind, nodes.kind],
        np.r_[layer, nodes.layer],
        np.r_[pos, nodes.pos],
        np.r_[np.full(len(kind), -1), nodes.unit],
        np.r_[nan, nodes.value],
        np.r_[nan, nodes.activation],
    )


def _sum_edges(source: np.ndarray, target: np.ndarray, weight: np.ndarray, n: int) -> tuple[np.ndarray, ...]:
    """Edges between the same two nodes added up, sorted by target."""
    keys, place = np.unique(target.astype(np.int64) * n + source, return_inverse=True)
    return keys % n, keys // n, np.bincount(place, weight.astype(np.float64), minlength=len(keys))


def _take(
    graph: CircuitGraph, nodes: Nodes, edges: Edges, old: Int[np.ndarray, " node"], stays: Bool[np.ndarray, " node"]
) -> CircuitGraph:
    """The graph of the nodes that stay, renumbered; `old` holds each node's number in `graph`, -1 for new ones."""
    number = np.cumsum(stays) - 1
    kept, here = old[stays], {int(o): int(number[i]) for i, o in enumerate(old) if o >= 0 and stays[i]}
    known = np.maximum(kept, 0)
    nodes = Nodes(*(getattr(nodes, name)[stays] for name in nodes.__dataclass_fields__))
    return replace(
        graph,
        nodes=nodes,
        edges=Edges(number[edges.source], number[edges.target], edges.weight),
        constant=np.where(kept >= 0, graph.constant[known], 0.0),
        probability=np.where(kept >= 0, graph.probability[known], 0.0),
        unit_tokens=[graph.unit_tokens[k] if k >= 0 else "" for k in kept.tolist()],
        supernodes={name: [here[i] for i in group if i in here] for name, group in graph.supernodes.items()},
        pinned=[here[i] for i in graph.pinned if i in here],
        facts={**graph.facts, "folded_from_nodes": len(graph.nodes)},
    )
