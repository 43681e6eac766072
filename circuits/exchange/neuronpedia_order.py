"""An order of an exchanged file's nodes in which every edge runs upwards, as influence by one triangular solve needs it.

Kept is the file's own order where it is one already; else leaves, units by layer and roots; else, where links contradict their
layers, the length of the longest path to each node. Only a circle has no such order.
"""

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from circuits.exchange.neuronpedia_nodes import Found
from circuits.graph.graph import ROOTS, UNITS
from probe.errors import BadInput


def topological(
    source: Int[np.ndarray, " edge"], target: Int[np.ndarray, " edge"], nodes: list[Found]
) -> Int[np.ndarray, " node"]:
    """Node indices, sources first: the file's order where it is one already, else leaves, units by layer, roots.

    Files whose links contradict their layers are sorted by their links alone; BadInput where links run in a circle.
    """
    n = len(nodes)
    if (source < target).all():
        return np.arange(n)
    rank = np.array([2 if k.kind in ROOTS else int(k.kind in UNITS) for k in nodes])
    order = np.lexsort((np.arange(n), [k.pos for k in nodes], [k.layer for k in nodes], rank))
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    if (place[source] < place[target]).all():
        return order
    return _by_depth(source, target, place, nodes)


def _by_depth(
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    place: Int[np.ndarray, " node"],
    nodes: list[Found],
) -> Int[np.ndarray, " node"]:
    """Nodes by the length of the longest path that leads to them."""
    n = len(nodes)
    _, part = connected_components(coo_array((np.ones(len(source)), (source, target)), (n, n)), True, "strong")
    circle = np.bincount(part)[part] > 1
    if circle.any():
        names = ", ".join(repr(nodes[i].id[:40]) for i in np.flatnonzero(circle)[:3])
        raise BadInput(
            f"Links run in circles through {int(circle.sum())} nodes ({names} ...). Influence needs a graph without circles."
        )
    depth = np.zeros(n, np.int64)
    by_source = np.argsort(source, kind="stable")
    starts = np.searchsorted(source[by_source], np.arange(n + 1))
    left = np.bincount(target, minlength=n)
    ready = np.flatnonzero(left == 0).tolist()
    while ready:
        node = ready.pop()
        for row in by_source[starts[node] : starts[node + 1]]:
            to = int(target[row])
            depth[to] = max(depth[to], depth[node] + 1)
            left[to] -= 1
            if not left[to]:
                ready.append(to)
    rank = np.array([2 if k.kind in ROOTS else int(k.kind in UNITS) for k in nodes])
    return np.lexsort((place, depth, rank))
