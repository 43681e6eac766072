"""Which nodes matter, and how much of the prediction the graph explains. Pure arrays; no model.

With N the matrix of |edges|, each row (target) divided by its sum, and w the logits' probabilities, the influence of a node
on the prediction through paths of every length is  w (N + N^2 + ...).  Edges run upwards in topological order, so N is
triangular and one substitution gives the series exactly (Ameisen et al. 2025, "Circuit Tracing"; circuit-tracer).

Leaves of the kinds token, position, bias and first count as explained; `rest` and `error` as not explained.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from circuits.graph import CircuitGraph

EXPLAINED = ("token", "position", "bias", "first")
UNEXPLAINED = ("rest", "error")


@dataclass(frozen=True)
class Scores:
    """replacement: share of influence that ends in explained leaves. completeness: share of the edges into nodes, weighted
    by influence, that does not come from unexplained leaves. kept: share of all influence the pruned graph holds."""

    replacement: float
    completeness: float
    kept: float = 1.0


@dataclass(frozen=True)
class Pruned:
    """What is left of a graph: masks over its nodes and edges, and the scores of the rest."""

    nodes: Bool[np.ndarray, " node"]
    edges: Bool[np.ndarray, " edge"]
    scores: Scores


def normalised(graph: CircuitGraph, edges: Bool[np.ndarray, " edge"] | None = None) -> Float[np.ndarray, " edge"]:
    """|weight| of each edge divided by the sum over its target's incoming edges; 0 for edges left out."""
    weight = np.abs(graph.edges.weight).astype(np.float64)
    if edges is not None:
        weight = weight * edges
    total = np.bincount(graph.edges.target, weight, minlength=len(graph.nodes))
    return weight / np.maximum(total[graph.edges.target], 1e-30)


def influence(graph: CircuitGraph, share: Float[np.ndarray, " edge"] | None = None) -> Float[np.ndarray, " node"]:
    """Influence of every node on the logits; logits have none beyond their own probability, which is not counted."""
    share = normalised(graph) if share is None else share
    order = np.argsort(graph.edges.target, kind="stable")
    starts = np.searchsorted(graph.edges.target[order], np.arange(len(graph.nodes) + 1))
    found = np.zeros(len(graph.nodes))
    # From the last node down, a target's influence is final before it is passed to its sources.
    for target in range(len(graph.nodes) - 1, -1, -1):
        rows = order[starts[target] : starts[target + 1]]
        weight = found[target] + graph.probability[target]
        if len(rows) and weight:
            np.add.at(found, graph.edges.source[rows], weight * share[rows])
    return found


def scores(graph: CircuitGraph, edges: Bool[np.ndarray, " edge"] | None = None) -> Scores:
    """Replacement and completeness of the graph, or of a part of its edges (each row normalised over the part)."""
    share = normalised(graph, edges)
    found = influence(graph, share)
    good, bad = (found[graph.nodes.where(*kinds)].sum() for kinds in (EXPLAINED, UNEXPLAINED))
    from_bad = graph.nodes.where(*UNEXPLAINED)[graph.edges.source]
    lost = np.bincount(graph.edges.target, share * from_bad, minlength=len(found))
    weight = found + graph.probability
    return Scores(float(good / max(good + bad, 1e-30)), float(((1 - lost) * weight).sum() / max(weight.sum(), 1e-30)))


def _threshold(values: Float[np.ndarray, " n"], share: float) -> float:
    """The value at which the descending cumulative sum first reaches `share` of the total."""
    ordered = np.sort(values)[::-1]
    cumulative = np.cumsum(ordered)
    if not len(ordered) or cumulative[-1] <= 0:
        return np.inf
    return float(ordered[min(int(np.searchsorted(cumulative, share * cumulative[-1])), len(ordered) - 1)])


def cumulative_influence(graph: CircuitGraph) -> Float[np.ndarray, " node"]:
    """For each node, the share of total influence held by it and all more influential nodes: small means important."""
    found = influence(graph)
    order = np.argsort(-found, kind="stable")
    out = np.ones(len(found))
    out[order] = np.cumsum(found[order]) / max(found.sum(), 1e-30)
    return out


def prune(graph: CircuitGraph, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
    """Keep the fewest nodes with `node_threshold` of the influence, then the fewest edges with `edge_threshold` of the rest.

    Tokens and logits stay. Nodes left without an outgoing edge go, units without an incoming one too, until nothing changes.
    Zero edges are never kept.
    """
    found = influence(graph)
    always = graph.nodes.where("token", "logit", "direction")
    nodes = (found >= _threshold(found[~graph.roots], node_threshold)) & (found > 0) | always
    source, target = graph.edges.source, graph.edges.target
    edges = nodes[source] & nodes[target]
    share = normalised(graph, edges)
    inner = influence(graph, share)
    score = share * (inner + graph.probability)[target]
    edges &= (score >= _threshold(score, edge_threshold)) & (score > 0)
    while True:
        has_out, has_in = (np.bincount(ends[edges], minlength=len(nodes)) > 0 for ends in (source, target))
        kept = nodes & (always | (has_out & (has_in | ~graph.explained)))
        if (kept == nodes).all():
            break
        nodes = kept
        edges &= nodes[source] & nodes[target]
    held = float(found[nodes & ~graph.roots].sum() / max(found.sum(), 1e-30))
    part = scores(graph, edges)
    return Pruned(nodes, edges, Scores(part.replacement, part.completeness, held))
