"""Is this a graph at all? What every part of the program relies on, checked for graphs that come from a file.

A graph in memory was made by `trace`; one that is read may hold anything. Arrays must have one length, kinds and positions must
exist, numbers must be finite where sums are taken, and edges must run upwards in node order, since influence is a triangular
solve. What is unknown (values and constants of graphs made elsewhere) is NaN, and so is their conservation residual.
"""

from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool

from circuits.graph.component_graph import SIDES, ComponentGraph
from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph
from probe.errors import BadInput

MAX_LAYERS, MAX_UNIT = 1000, 2**31 - 1
_WHOLE = ("kind", "layer", "pos", "unit", "source", "target")
Checked = TypeVar("Checked")


def check_graph(graph: Checked, what: str) -> Checked:
    """The graph itself (or anything with the same fields); BadInput, beginning with `what`, names what cannot be in it."""
    for check in (_shapes, _texts, _nodes, _edges, _chosen):
        if problem := check(graph):
            raise BadInput(f"{what}: {problem}. Write the file again with the program that made it.")
    return graph


def check_sides(graph: ComponentGraph, what: str) -> ComponentGraph:
    """A circuit of a task whose every edge says what of its receiver it is read by; BadInput otherwise."""
    side = graph.side
    if (
        side.shape != graph.edges.weight.shape
        or side.dtype.kind not in "iu"
        or ((side < 0) | (side >= len(SIDES))).any()
    ):
        raise BadInput(f"{what}: which side of its receiver reads each edge is not told. Make the graph again.")
    return graph


def _of(graph: Any, *kinds: str) -> Bool[np.ndarray, " node"]:
    return np.isin(graph.nodes.kind, [KINDS.index(k) for k in kinds])


def _shapes(graph: Any) -> str | None:
    nodes, edges = vars(graph.nodes), vars(graph.edges)
    for name, array in {**nodes, **edges, "constant": graph.constant, "probability": graph.probability}.items():
        wanted = "iu" if name in _WHOLE else "f"
        if array.dtype.kind not in wanted:
            return f"{name} has the type {array.dtype}; {'whole' if name in _WHOLE else 'floating-point'} numbers were wanted"
        sizes = edges["weight"].shape if name in edges else nodes["kind"].shape
        if array.shape != sizes or array.ndim != 1:
            return f"{name} has the shape {array.shape}; one entry a {'link' if name in edges else 'node'} was wanted"
    n = len(nodes["kind"])
    return "there are no nodes" if n == 0 else None


def _texts(graph: Any) -> str | None:
    for name in ("tokens", "unit_tokens", "token_ids"):
        if not isinstance(getattr(graph, name), list):
            return f"{name} is no list"
    for name in ("tokens", "unit_tokens"):
        if not all(isinstance(t, str) for t in getattr(graph, name)):
            return f"{name} holds something that is no text"
    if not isinstance(graph.prompt, str) or not isinstance(graph.model, str):
        return "prompt and model must be texts"
    if len(graph.unit_tokens) != len(graph.nodes.kind):
        return f"there are {len(graph.unit_tokens)} unit_tokens for {len(graph.nodes.kind)} nodes"
    if len(graph.token_ids) != len(graph.tokens):
        return f"there are {len(graph.token_ids)} token_ids for {len(graph.tokens)} tokens"
    if not all(isinstance(t, int) and not isinstance(t, bool) for t in graph.token_ids):
        return "token_ids holds something that is no whole number"
    if not _whole(graph.n_layers, 0, MAX_LAYERS):
        return f"n_layers is {graph.n_layers!r}; 0 to {MAX_LAYERS} was wanted"
    for name in ("dictionaries", "convention", "facts"):
        if not isinstance(getattr(graph, name), dict):
            return f"{name} is no mapping"
    pairs = graph.dictionaries.items()
    return None if all(isinstance(k, str) and isinstance(v, str) for k, v in pairs) else "dictionaries must hold texts"


def _nodes(graph: Any) -> str | None:
    nodes = graph.nodes
    limits = {
        "kind": (nodes.kind, 0, len(KINDS) - 1),
        "layer": (nodes.layer, -1, graph.n_layers),
        "pos": (nodes.pos, 0, len(graph.tokens) - 1),
        "unit": (nodes.unit, -1, MAX_UNIT),
    }
    for name, (array, low, high) in limits.items():
        bad = np.flatnonzero((array < low) | (array > high))
        if len(bad):
            return f"node {bad[0]} has {name} {array[bad[0]]}; {low} to {high} was wanted"
    sound = np.isfinite(graph.probability) & (graph.probability >= 0)
    if not sound.all() or (graph.probability[~_of(graph, *ROOTS)] != 0).any():
        return "probabilities must be finite and at least 0, and 0 for what is not explained"
    infinite = np.isinf(nodes.value) | np.isinf(nodes.activation) | np.isinf(graph.constant)
    return f"node {np.flatnonzero(infinite)[0]} holds an infinite number" if infinite.any() else None


def _edges(graph: Any) -> str | None:
    edges, n = graph.edges, len(graph.nodes.kind)
    explained = _of(graph, *UNITS, *ROOTS)
    outside = (edges.source < 0) | (edges.target >= n)
    if outside.any() or not (edges.source < edges.target).all():
        row = int(np.flatnonzero(outside | (edges.source >= edges.target))[0])
        return (
            f"the edge from node {edges.source[row]} to {edges.target[row]} does not run upwards among {n} nodes in "
            "topological order"
        )
    if not explained[edges.target].all():
        row = int(np.flatnonzero(~explained[edges.target])[0])
        return f"an edge runs into node {edges.target[row]}, which is a leaf"
    return None if np.isfinite(edges.weight).all() else "an edge's weight is not finite"


def _chosen(graph: Any) -> str | None:
    if not isinstance(graph.supernodes, dict) or not isinstance(graph.pinned, list):
        return "supernodes must be a mapping and pinned a list"
    for name, members in [*graph.supernodes.items(), ("pinned", graph.pinned)]:
        if not isinstance(members, list) or not all(_whole(i, 0, len(graph.nodes.kind) - 1) for i in members):
            return f"{str(name)[:60]!r} holds something that is no node"
    return None


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def conservation(graph: CircuitGraph) -> tuple[float, float]:
    """Largest |value - constant - incoming edges| and the same relative to the size of its sum; NaN where a part is unknown."""
    explained, target = graph.explained, graph.edges.target
    weight, n = graph.edges.weight.astype(np.float64), len(graph.nodes)
    total, size = (np.bincount(target, w, minlength=n) for w in (weight, np.abs(weight)))
    gap = np.abs(total + graph.constant - graph.nodes.value)[explained]
    scale = np.maximum(np.abs(graph.nodes.value), size + np.abs(graph.constant))[explained]
    if np.isnan(gap).any():
        return float("nan"), float("nan")
    return float(gap.max(initial=0.0)), float((gap / np.maximum(scale, 1e-30)).max(initial=0.0))
