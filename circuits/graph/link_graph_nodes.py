"""Which nodes of a graph its link graph shows: with how much of the influence it begins, and which nodes hold a share of it."""

import numpy as np
from jaxtyping import Bool

from circuits.graph.graph import CircuitGraph
from circuits.graph.influence import fewest

FIRST_NODES, FIRST_EDGES, LEAST = 0.8, 0.9, 0.3
"""Share of the influence of nodes and of edges to begin with; least share that is shown."""
NOT_CROWDED, MAX_SHOWN = 350, 1200
"""Nodes to begin with, and nodes at all, at most."""


def first_keep(graph: CircuitGraph, most: int = NOT_CROWDED) -> float:
    """The share of influence to begin with: 80 %, less when that would crowd the picture."""
    found = np.sort(graph.influence)[::-1]
    share = np.cumsum(found[:most])[-1] / max(float(found.sum()), 1e-30)
    return float(np.floor(100 * np.clip(share, LEAST, FIRST_NODES)) / 100)


def shown_at(graph: CircuitGraph, keep: float) -> Bool[np.ndarray, " node"]:
    """The fewest nodes that hold `keep` of the influence, at most `MAX_SHOWN`; tokens, roots and what is pinned always."""
    found = graph.influence
    order = np.argsort(-found, kind="stable")
    wanted = np.zeros(len(found), dtype=bool)
    wanted[order[: min(fewest(found, keep), MAX_SHOWN)]] = True
    wanted &= found > 0
    wanted |= graph.nodes.where("token") | graph.roots
    wanted[graph.chosen] = True
    return wanted
