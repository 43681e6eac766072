"""Test a graph against the model itself: hold everything the graph calls frozen, change one source, watch every target.

If the graph is right, every target moves by exactly its edge from that source (`circuits.held`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from circuits.graph import UNITS, CircuitGraph
from circuits.held import HeldRun, held_run

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class EdgeCheck:
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


def check_edges(
    model: "TransformerBridge", graph: CircuitGraph, *, dictionaries: Sequence[Any] = (), n: int = 10, seed: int = 0
) -> EdgeCheck:
    """Strengthen `n` random sources (units, leaves) that have outgoing edges; compare movements with edges."""
    generator = np.random.default_rng(seed)
    able = np.unique(graph.edges.source)
    chosen = np.sort(generator.choice(_mixed(graph, able, generator), min(n, len(able)), replace=False))
    run = held_run(model, graph, dictionaries)
    errors = [_error(run, int(s)) for s in chosen]
    return EdgeCheck([graph.name(int(s)) for s in chosen], errors, int(graph.explained.sum()))


def _mixed(graph: CircuitGraph, able: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """As many units as leaves, where there are enough: a graph has many small leaves, and units are what it is read for."""
    units = np.intersect1d(able, np.flatnonzero(graph.nodes.where(*UNITS)))
    leaves = np.setdiff1d(able, units)
    few = min(len(units), len(leaves)) or max(len(units), len(leaves))
    if few < 10:
        return able
    return np.r_[units[:0], *(generator.choice(x, few, replace=False) for x in (units, leaves) if len(x))]


def _error(run: HeldRun, source: int) -> float:
    """Largest difference between movement and edge, over the largest edge."""
    moved = run.moved(run.places.writes(source)).double().cpu().numpy()
    edges = run.graph.outgoing(source)
    expected = np.zeros(len(run.graph.nodes))
    expected[edges.target] = edges.weight
    gap = np.abs(moved - expected)[run.graph.explained]
    return float(gap.max() / max(np.abs(expected).max(), 1e-30))
