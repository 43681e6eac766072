"""Which nodes matter, how much of the prediction the graph explains, and where paths cancel. Pure arrays; no model.

With N the matrix of |edges|, each row (target) divided by its sum, and w the logits' probabilities, the influence of a node
on the prediction through paths of every length is  w (N + N^2 + ...)  (Ameisen et al. 2025, "Circuit Tracing"; circuit-tracer
sums the series term by term). Edges run upwards in node order, so I - N is triangular and one sparse solve of x (I - N) = w
is the whole series.

|edges| cannot see signs: two paths of equal size, one raising and one lowering a logit, look twice as important as one and do
nothing together. The same series over signed shares, M = edge / sum |edges|, for each root alone says what is left;
`cancellation` is the part of a node's influence that is lost to paths of opposite sign.

Leaves of the kinds token, position, bias and first count as explained; `rest` and `error` as not explained. What each of these
words means for a reader, and what is good, is in `probe.show.glossary`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from circuits.graph.nodes import Kinds, of_kinds
from probe.errors import BadInput
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import percent

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from circuits.graph.graph import CircuitGraph

EXPLAINED = ("token", "position", "bias", "first")
UNEXPLAINED = ("rest", "error")


@dataclass(frozen=True)
class Scores:
    """replacement: share of influence that ends in explained leaves. completeness: share of the edges into nodes, weighted
    by influence, that does not come from unexplained leaves. kept: share of all influence the pruned graph holds."""

    replacement: float
    completeness: float
    kept: float = 1.0

    def to_dict(self) -> dict[str, float]:
        """Ready for JSON."""
        return {"replacement": self.replacement, "completeness": self.completeness, "kept": self.kept}


@dataclass(frozen=True)
class Pruned(Record, figure=True, page=True):
    """What is left of a graph: masks over its nodes and edges, the scores of the rest, and the graph they are masks of.

    Nodes are chosen by absolute influence. A kept node may still do nothing because its paths cancel: see `cancellation`.
    """

    nodes: Bool[np.ndarray, " node"]
    edges: Bool[np.ndarray, " edge"]
    scores: Scores
    graph: "CircuitGraph"

    @cached_property
    def cancellation(self) -> Float[np.ndarray, " node"]:
        """Share of each kept node's influence, in the whole graph, that cancels; NaN for nodes that went, and for roots."""
        return np.where(self.nodes, self.graph.cancellation, np.nan)

    def rows(self, k: int | None = None, *, kind: Kinds = ()) -> list[dict[str, Any]]:
        """The kept nodes, most influential first; only those of one `kind` or several (`units`: all kinds of units)."""
        order, kept = (
            np.argsort(-self.graph.influence, kind="stable"),
            self.nodes & of_kinds(self.graph.nodes.kind, kind),
        )
        return [self.graph.row(int(i)) for i in order[kept[order]][:k]]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "prompt": self.graph.prompt,
            "n_nodes": int(self.nodes.sum()),
            "n_edges": int(self.edges.sum()),
            "of_nodes": len(self.nodes),
            "of_edges": len(self.edges),
            "scores": self.scores.to_dict(),
            "nodes": self.rows(),
        }

    def summary(self) -> str:
        """One sentence: what is left, and how much of the influence it holds."""
        counts = f"{self.nodes.sum()} of {len(self.nodes)} nodes, {self.edges.sum()} of {len(self.edges)} edges"
        return f"{counts} of {quoted(self.graph.prompt)}, holding {percent(self.scores.kept)} of the influence."


def normalised(graph: "CircuitGraph", edges: Bool[np.ndarray, " edge"] | None = None) -> Float[np.ndarray, " edge"]:
    """|weight| of each edge divided by the sum over its target's incoming edges; 0 for edges left out."""
    weight = np.abs(graph.edges.weight).astype(np.float64)
    if edges is not None:
        weight *= edges
    total = np.bincount(graph.edges.target, weight, minlength=len(graph.nodes))  # node: what comes in
    weight /= np.maximum(total, 1e-30)[graph.edges.target]
    return weight


def influence(graph: "CircuitGraph", share: Float[np.ndarray, " edge"] | None = None) -> Float[np.ndarray, " node"]:
    """Influence of every node on the logits; logits have none beyond their own probability, which is not counted."""
    weight = graph.probability.astype(np.float64)
    return _through(graph, normalised(graph) if share is None else share, weight) - weight


def signed_by_root(graph: "CircuitGraph") -> Float[np.ndarray, "root node"]:
    """The same over signed shares, one row a root: how much of each root's probability a node raises it by, net of cancelling.

    An edge counts by which way it pushes its target (`CircuitGraph.pushes`): what drives a unit further below zero makes more of
    what that unit then does, so along a path the signs multiply to that of the path's own effect.
    """
    roots = np.flatnonzero(graph.roots)
    start = np.zeros(
        (len(graph.nodes), len(roots))
    )  # a column for each root alone, since roots do not cancel each other
    start[roots, np.arange(len(roots))] = graph.probability[roots]
    share = normalised(graph) * np.sign(graph.pushes)
    return (
        _through(graph, share, start) - start
    ).T  # `start` is a root's own probability, which no node has brought about


def signed_influence(graph: "CircuitGraph") -> Float[np.ndarray, " node"]:
    """Net influence on the logits together: above zero for nodes that raise them, on the whole, below for those that lower."""
    return signed_by_root(graph).sum(0)


def cancellation(graph: "CircuitGraph") -> Float[np.ndarray, " node"]:
    """1 - |signed influence| / influence: 0 where all paths to a root agree in sign, 1 where they cancel exactly.

    Roots are taken one by one and their |signed influence| summed: a node that raises one logit and lowers another does both.
    NaN for nodes without influence.
    """
    found, net = influence(graph), np.abs(signed_by_root(graph)).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(found > 0, np.clip(1 - net / found, 0, 1), np.nan)


def _through(
    graph: "CircuitGraph", share: Float[np.ndarray, " edge"], start: Float[np.ndarray, "node *root"]
) -> Float[np.ndarray, "node *root"]:
    """x with x[s] = start[s] + sum over edges s -> t of share * x[t]: `start` and all that paths of any length bring to it."""
    from scipy.sparse import coo_array, csc_array, eye_array  # takes long to import, and a page only shows graphs

    source, target = graph.edges.source, graph.edges.target
    if len(source) and not (source < target).all():
        row = int(np.flatnonzero(source >= target)[0])
        raise BadInput(
            f"The edge from node {source[row]} to node {target[row]} does not run upwards. Nodes must be in topological "
            "order, sources first; sort the nodes by layer before making a graph of them."
        )
    if not np.isfinite(share).all():
        row = int(np.flatnonzero(~np.isfinite(share))[0])
        raise BadInput(
            f"The edges into {graph.name(int(target[row]))} hold a NaN or infinite weight, so no influence can be given. "
            "Trace the prompt again in float32 or float64."
        )
    n = len(graph.nodes)
    if (target[1:] >= target[:-1]).all():  # as `trace` makes them: already grouped by target
        starts = np.searchsorted(target, np.arange(n + 1)).astype(np.int32)
        onward = csc_array(
            (share, source.astype(np.int32), starts), shape=(n, n)
        )  # [source, target], no sorting needed
    else:
        onward = coo_array((share, (source.astype(np.int32), target.astype(np.int32))), shape=(n, n)).tocsc()
    if (
        not onward.has_canonical_format
    ):  # several edges between the same two nodes add up, in a copy: `share` is the caller's
        onward = onward.copy()
        onward.sum_duplicates()
    # x = start + onward x, so (I - onward) x = start; onward[source, target] is strictly above the diagonal
    return _solved(eye_array(n, format="csc") - onward, start)


def _solved(upper: "csc_array", start: Float[np.ndarray, "node *root"]) -> Float[np.ndarray, "node *root"]:
    """x with upper @ x = start.

    In a thread of its own: SuperLU leaves memory with the thread that called it, and freeing it fails where that thread (a
    server's worker) still lives when Python ends, which then exits with 120.
    """
    from scipy.sparse.linalg import spsolve_triangular

    with ThreadPoolExecutor(1) as own:
        return own.submit(spsolve_triangular, upper, start, lower=False, unit_diagonal=True).result()


def scores(graph: "CircuitGraph", edges: Bool[np.ndarray, " edge"] | None = None) -> Scores:
    """Replacement and completeness of the graph, or of a part of its edges (each row normalised over the part)."""
    share = normalised(graph, edges)
    found = influence(graph, share)
    good, bad = (found[graph.nodes.where(*kinds)].sum() for kinds in (EXPLAINED, UNEXPLAINED))
    from_bad = graph.nodes.where(*UNEXPLAINED)[graph.edges.source]
    lost = np.bincount(graph.edges.target, share * from_bad, minlength=len(found))
    weight = found + graph.probability  # roots count by their probability, which `influence` leaves out
    return Scores(float(good / max(good + bad, 1e-30)), float(((1 - lost) * weight).sum() / max(weight.sum(), 1e-30)))


def _threshold(values: Float[np.ndarray, " n"], share: float) -> float:
    """The value at which the descending cumulative sum first reaches `share` of the total."""
    ordered = np.sort(values)[::-1]
    cumulative = np.cumsum(ordered)
    if not len(ordered) or cumulative[-1] <= 0:
        return np.inf
    return float(ordered[min(int(np.searchsorted(cumulative, share * cumulative[-1])), len(ordered) - 1)])


def fewest(values: Float[np.ndarray, " n"], share: float) -> int:
    """How many of the largest values hold this share of their sum: 1 at least, and all for a share of 1."""
    cumulative = np.cumsum(np.sort(values)[::-1])
    return int(np.searchsorted(cumulative, min(share, 1.0) * max(float(values.sum()), 1e-30) * (1 - 1e-9))) + 1


def cumulative_influence(graph: "CircuitGraph") -> Float[np.ndarray, " node"]:
    """For each node, the share of total influence held by it and all more influential nodes: small means important."""
    found = influence(graph)
    order = np.argsort(-found, kind="stable")
    out = np.ones(len(found))
    out[order] = np.cumsum(found[order]) / max(found.sum(), 1e-30)
    return np.minimum(
        out, 1.0
    )  # sums in another order may end a rounding above it, where a filter "up to 1" hides the node


def prune(graph: "CircuitGraph", node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
    """Keep the fewest nodes with `node_threshold` of the influence, then the fewest edges with `edge_threshold` of the rest.

    Tokens and logits stay. Nodes left without an outgoing edge go, units without an incoming one too, until nothing changes.
    Zero edges are never kept. With an edge threshold below about 0.98 more nodes do not always contain fewer: edges are chosen
    anew among the nodes, and a node left without edges goes (in 48 of 1,000 steps of random graphs). So it is with everyone's.
    """
    found = influence(graph)
    always = graph.nodes.where("token", "logit", "direction")
    nodes = (found >= _threshold(found[~graph.roots], node_threshold)) & (found > 0) | always
    source, target = graph.edges.source, graph.edges.target
    edges = nodes[source] & nodes[target]
    share = normalised(graph, edges)  # anew among the kept nodes, so that what went does not weigh on what stays
    inner = influence(graph, share)
    score = share * (inner + graph.probability)[target]  # edge: how much influence passes along it
    edges &= (score >= _threshold(score, edge_threshold)) & (score > 0)
    while True:  # an edge that goes may leave a node without any, and a node that goes takes its edges along
        has_out, has_in = (np.bincount(ends[edges], minlength=len(nodes)) > 0 for ends in (source, target))
        kept = nodes & (always | (has_out & (has_in | ~graph.explained)))
        if (kept == nodes).all():
            break
        nodes = kept
        edges &= nodes[source] & nodes[target]
    held = float(found[nodes & ~graph.roots].sum() / max(found.sum(), 1e-30))
    part = scores(graph, edges)
    return Pruned(nodes, edges, Scores(part.replacement, part.completeness, held), graph)
