"""What a graph says will happen when some of its nodes are changed. Pure arrays; no model.

Every source writes in proportion to its activation a, so when a becomes (1 + r) a, each edge w from it moves its target by r w.

    direct     value[t] moves by  sum over changed nodes s of r[s] w[s -> t]
    full       the same over all sources, where a unit that is not changed answers: r = (what its value moves by) / a

`full` is one pass along the edges, sources first. It keeps every attention pattern, norm divisor and activation ratio as it was,
and `rest` and `error` leaves do not answer at all: the graph does not say how. A changed node has
new activation = factor * (what it would be now) + level, so a factor of 0 holds it whatever happens below.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from circuits.graph.graph import ROOTS, CircuitGraph
from probe.errors import BadInput

MODES = ("ablate", "scale", "clamp", "restore")


@dataclass(frozen=True)
class Change:
    """What is done to a set of nodes. level: one number a node, 0 unless it is clamped or restored."""

    nodes: Int[np.ndarray, " changed"]
    mode: str
    factor: float
    level: Float[np.ndarray, " changed"]

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def is_nothing(self) -> bool:
        """Whether no node changes by this."""
        return not len(self.nodes) or (self.factor == 1 and not self.level.any())


def change_of(
    graph: CircuitGraph,
    nodes: Int[np.ndarray, " changed"],
    mode: str = "ablate",
    factor: float = 0.0,
    level: Float[np.ndarray, " changed"] | float = 0.0,
) -> Change:
    """A checked change. BadInput for a mode there is not, roots, doubled nodes, and levels for what has no activation."""
    nodes = np.asarray(nodes, np.int64)
    mode = MODES[0] if mode == "zero" else mode
    if mode not in MODES:
        raise BadInput(f"There is no change '{mode}'; choose one of {', '.join(MODES)} (zero says the same as ablate).")
    if len(np.unique(nodes)) != len(nodes) or (len(nodes) and not 0 <= nodes.min() <= nodes.max() < len(graph.nodes)):
        raise BadInput(f"Give each node once, by its number from 0 to {len(graph.nodes) - 1}.")
    if (roots := nodes[graph.roots[nodes]]).size:
        kinds = " and ".join(f"{k}s" for k in ROOTS)
        raise BadInput(
            f"{graph.name(int(roots[0]))} is what the graph explains; {kinds} cannot be changed, their sources can."
        )
    levelled = mode in ("clamp", "restore")
    if levelled and np.isnan(graph.nodes.activation[nodes]).any():
        one = int(nodes[np.isnan(graph.nodes.activation[nodes])][0])
        raise BadInput(
            f"{graph.name(one)} has no activation that could be set; ablate or scale it. Neurons and latents have."
        )
    levels = np.broadcast_to(np.asarray(level if levelled else 0.0, np.float64), nodes.shape)
    if not (np.isfinite(factor) and np.isfinite(levels).all()):
        raise BadInput(f"The factor ({factor}) and the levels must be finite numbers.")
    return Change(nodes, mode, float(factor) if mode == "scale" else 0.0, levels)


def base(graph: CircuitGraph) -> Float[np.ndarray, " node"]:
    """What each node writes in proportion to: its activation; of heads and whole MLPs their value; 1 for leaves."""
    nodes = graph.nodes
    found = np.where(np.isnan(nodes.activation), nodes.value, nodes.activation).astype(np.float64)
    return np.where(np.isnan(found), 1.0, found)


def _relative(amount: np.ndarray, of: np.ndarray) -> np.ndarray:
    """amount / of, and 0 where nothing is written (then no edge leaves either)."""
    return np.divide(amount, of, out=np.zeros_like(amount, np.float64), where=of != 0)


def shift(graph: CircuitGraph, change: Change) -> Float[np.ndarray, " node"]:
    """r of every node when the changed ones alone move."""
    found, a = np.zeros(len(graph.nodes)), base(graph)[change.nodes]
    found[change.nodes] = change.factor - 1 + _relative(change.level, a)
    return found


def predict_direct(graph: CircuitGraph, change: Change) -> Float[np.ndarray, " node"]:
    """How far every explained node's value moves by edges from the changed nodes alone."""
    moved = shift(graph, change)[graph.edges.source] * graph.edges.weight.astype(np.float64)
    return np.bincount(graph.edges.target, moved, minlength=len(graph.nodes))


def predict_full(graph: CircuitGraph, change: Change) -> Float[np.ndarray, " node"]:
    """How far every explained node's value moves by paths of any length through the graph."""
    n, a = len(graph.nodes), base(graph)
    into = csr_array((graph.edges.weight.astype(np.float64), (graph.edges.target, graph.edges.source)), shape=(n, n))
    starts, source, weight = into.indptr, into.indices, into.data
    changed, moved = np.zeros(n, bool), np.zeros(n)
    changed[change.nodes] = True
    r = shift(graph, change)
    for t in np.flatnonzero(np.diff(starts)):  # in topological order, so every source is final
        row = slice(starts[t], starts[t + 1])
        moved[t] = weight[row] @ r[source[row]]
        answer = moved[t] / a[t] if a[t] else 0.0
        r[t] = r[t] + change.factor * answer if changed[t] else answer
    return moved
