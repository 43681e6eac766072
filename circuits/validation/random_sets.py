"""What a tested set of nodes is compared with: random sets of as many nodes, of the same kinds and layers. Pure arrays; no
model.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from circuits.graph.graph import CircuitGraph
from probe.errors import BadInput

N_RANDOM = 20
"Random sets that a set is compared with, where nothing else is asked for."


def random_sets(
    graph: CircuitGraph, nodes: Int[np.ndarray, " node"], n: int, seed: int = 0
) -> list[Int[np.ndarray, " node"]]:
    """n random sets with as many nodes of each kind and layer as `nodes` has, drawn from the rest of the graph.

    Where the rest has too few of a kind and layer, that part is drawn from all of them and may repeat nodes of the set.
    """
    if n < 0 or isinstance(n, bool):
        raise BadInput(f"{n} random sets were asked for; give 0 or more.")
    rng, key = np.random.default_rng(seed), graph.nodes.layer.astype(np.int64) * 64 + graph.nodes.kind
    inside = np.zeros(len(graph.nodes), bool)
    inside[nodes] = True
    groups = []
    for value, count in zip(*np.unique(key[nodes], return_counts=True), strict=True):
        outside = np.flatnonzero((key == value) & ~inside)
        groups.append((outside if len(outside) >= count else np.flatnonzero(key == value), int(count)))
    none = [np.array([], np.int64)]
    return [
        np.sort(np.concatenate(none + [rng.choice(pool, count, replace=False) for pool, count in groups]))
        for _ in range(n)
    ]


def overlap(nodes: Int[np.ndarray, " node"], sets: Sequence[Int[np.ndarray, " node"]]) -> float:
    """Mean share of each random set that belongs to the tested one."""
    return float(np.mean([np.isin(s, nodes).mean() for s in sets])) if sets and len(nodes) else 0.0
