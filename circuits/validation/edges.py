"""Test a graph against the model itself: hold everything the graph calls frozen, change one source, watch every target.

If the graph is right, every target moves by exactly its edge from that source (`circuits.validation.frozen_run`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import read_graph
from circuits.validation.frozen_run import FrozenRun, frozen_run
from probe.errors import BadInput
from probe.show.opening import came_from
from probe.show.record import Record
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class EdgeCheck(Record):
    """sources: the nodes that were changed. error: for each, the largest |movement - edge| over all targets, divided by the
    largest |edge| from it. worst: the largest of these."""

    sources: list[str]
    error: list[float]
    n_targets: int

    @property
    def worst(self) -> float:
        """Largest relative error over sources."""
        return max(self.error, default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"sources": self.sources, "error": self.error, "worst": self.worst, "n_targets": self.n_targets}

    def rows(self) -> list[dict[str, Any]]:
        """One row a source."""
        return [{"source": s, "relative error": e} for s, e in zip(self.sources, self.error, strict=True)]

    def summary(self) -> str:
        """One sentence: how far edges and movements are apart."""
        movements = f"movements of {counted(self.n_targets, 'target')}"
        return f"Edges of {counted(len(self.sources), 'source')} against {movements}: within {self.worst:.1e}."


def check_edges(
    model: "TransformerBridge", graph: CircuitGraph, *, dictionaries: Sequence[Any] = (), n: int = 10, seed: int = 0
) -> EdgeCheck:
    """Strengthen `n` random sources (units, leaves) that have outgoing edges; compare movements with edges.

    >>> check = ow.check_edges(model, graph, n=3)  # good: within 1e-5, which is rounding
    >>> check.summary().split(":")[0]
    'Edges of 3 sources against movements of 34 targets'
    """
    if n < 1:
        raise BadInput(f"{n} sources were to be changed; a check needs at least 1.")
    generator = np.random.default_rng(seed)
    units = read_graph(graph).nodes.where(*UNITS)
    able = np.unique(graph.edges.source)
    # Half of them units: a graph has many small leaves, and units are what it is read for.
    parts = [able[units[able]], able[~units[able]]]
    first = _some(parts[0], n - min(n // 2, len(parts[1])), generator)
    chosen = np.sort(np.r_[first, _some(parts[1], n - len(first), generator)])
    run = frozen_run(model, graph, dictionaries)
    errors = [_error(run, int(s)) for s in chosen]
    return came_from(EdgeCheck([graph.name(int(s)) for s in chosen], errors, int(graph.explained.sum())), graph)


def _some(nodes: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """At most n of the nodes."""
    return generator.choice(nodes, min(n, len(nodes)), replace=False)


def _error(run: FrozenRun, source: int) -> float:
    """Largest difference between movement and edge, over the largest edge."""
    moved = run.moved(run.places.writes(source)).double().cpu().numpy()
    edges = run.graph.outgoing(source)
    expected = np.zeros(len(run.graph.nodes))
    expected[edges.target] = edges.weight
    gap = np.abs(moved - expected)[run.graph.explained]
    return float(gap.max() / max(np.abs(expected).max(), 1e-30))
