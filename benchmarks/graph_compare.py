"""Are two attribution graphs of one prompt the same, edge by edge, on the nodes that both have?

A node is named by what it stands for, (kind, layer, position, unit), so neither order nor which other nodes a graph has
matters. A matrix holds targets in rows and sources in columns, as circuit-tracer's does.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

Node = tuple[str, int, int, int]
KINDS = ("latent", "error", "token", "logit")
"""Kinds of nodes that both tools have: position, bias and leftover nodes have no counterpart in circuit-tracer."""


@dataclass(frozen=True)
class Named:
    """An adjacency matrix and the names of its rows and columns."""

    nodes: Sequence[Node]
    matrix: Float[np.ndarray, "target source"]


@dataclass(frozen=True)
class Agreement:
    """How two graphs compare.

    nodes: in both. edges: nonzero in either, between those. largest_gap: over all pairs, divided by the largest edge. row_gap:
    the same target by target, divided by the target's own largest edge; the largest. only_left, only_right: nodes that
    only one has. only_left_edge, only_right_edge: the largest edge at one of those to or from a common node, divided by the
    largest of all: 0 says that a graph left out only what does nothing.
    """

    nodes: int
    edges: int
    largest_gap: float
    row_gap: float
    only_left: int
    only_right: int
    only_left_edge: float
    only_right_edge: float

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def compare(left: Named, right: Named) -> Agreement:
    """Match nodes by name, then compare what is between common ones. ValueError where names repeat or none is shared."""
    places = [{node: i for i, node in enumerate(graph.nodes)} for graph in (left, right)]
    if any(len(place) != len(graph.nodes) for place, graph in zip(places, (left, right), strict=True)):
        raise ValueError("Two nodes of one graph have the same name.")
    common = [node for node in left.nodes if node in places[1]]
    if not common:
        raise ValueError("The graphs have no node in common.")
    chosen = [np.array([place[node] for node in common]) for place in places]
    a, b = (graph.matrix[np.ix_(rows, rows)] for graph, rows in zip((left, right), chosen, strict=True))
    largest = max(np.abs(a).max(), np.abs(b).max(), 1e-30)
    gap, of_row = np.abs(a - b), np.maximum(np.abs(a).max(1), np.abs(b).max(1))
    rest = [_rest(graph.matrix, rows) / float(largest) for graph, rows in zip((left, right), chosen, strict=True)]
    return Agreement(
        len(common),
        int(((a != 0) | (b != 0)).sum()),
        float(gap.max() / largest),
        float((gap.max(1) / np.maximum(of_row, 1e-30)).max()),
        len(left.nodes) - len(common),
        len(right.nodes) - len(common),
        *rest,
    )


def _rest(matrix: Float[np.ndarray, "target source"], common: Int[np.ndarray, " node"]) -> float:
    """The largest edge between a common node and one that is not."""
    other = np.setdiff1d(np.arange(len(matrix)), common)
    ends = [np.abs(matrix[np.ix_(common, other)]), np.abs(matrix[np.ix_(other, common)])]
    return float(max((end.max() for end in ends if end.size), default=0.0))


def circuit_tracer_nodes(
    features: Int[np.ndarray, "feature 3"],
    tokens: Int[np.ndarray, " pos"],
    logits: Int[np.ndarray, " logit"],
    layers: int,
) -> list[Node]:
    """Names of the rows of circuit-tracer's matrix: features, errors layer by layer, tokens, logits at the last position."""
    latents = [("latent", int(layer), int(pos), int(unit)) for layer, pos, unit in features]
    errors = [("error", layer, pos, -1) for layer in range(layers) for pos in range(len(tokens))]
    embedded = [("token", -1, pos, int(token)) for pos, token in enumerate(tokens)]
    return [*latents, *errors, *embedded, *(("logit", layers, len(tokens) - 1, int(token)) for token in logits)]


def openwork(graph: Any) -> Named:
    """A `CircuitGraph`, without the kinds of nodes circuit-tracer has not."""
    from circuits.graph.graph import KINDS as every

    nodes, edges = graph.nodes, graph.edges
    kept = np.flatnonzero(nodes.where(*KINDS))
    place = np.full(len(nodes), -1)
    place[kept] = np.arange(len(kept))
    use = (place[edges.source] >= 0) & (place[edges.target] >= 0)
    matrix = np.zeros((len(kept), len(kept)), np.float32)
    matrix[place[edges.target[use]], place[edges.source[use]]] = edges.weight[use]
    columns = zip(nodes.kind[kept], nodes.layer[kept], nodes.pos[kept], nodes.unit[kept], strict=True)
    return Named([(every[kind], int(layer), int(pos), int(unit)) for kind, layer, pos, unit in columns], matrix)
