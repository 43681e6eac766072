"""Where the nodes of a graph stand in its picture: positions across, layers upwards, none on another.

Nodes of one position and layer stand side by side, the most influential in the middle, in lines of up to `_LINE`. A column is as
wide as its longest line, since most nodes stand at few positions. Components of a task have no position: a head's column is its
number.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.link_graph_nodes import shown_at

if TYPE_CHECKING:
    from circuits.graph.component_graph import ComponentGraph

_LINE = 9  # nodes side by side


@dataclass(frozen=True)
class Arrangement:
    """Shown nodes (indices) with their coordinates, the borders of the columns, and the share of influence they hold. edges:
    those that may be drawn; None: any between them."""

    nodes: Int[np.ndarray, " shown"]
    x: Float[np.ndarray, " shown"]
    y: Float[np.ndarray, " shown"]
    columns: Float[np.ndarray, " border"]
    held: float
    edges: Bool[np.ndarray, " edge"] | None = None

    @property
    def centres(self) -> Float[np.ndarray, " pos"]:
        """The middle of each position's column."""
        return (self.columns[1:] + self.columns[:-1]) / 2


def arrange(graph: CircuitGraph, keep: float) -> Arrangement:
    """The nodes that are shown at this share of the influence, in their places."""
    return arranged(graph, shown_at(graph, keep))


def arranged(graph: CircuitGraph, shown: Bool[np.ndarray, " node"]) -> Arrangement:
    """These nodes in their places."""
    nodes = np.flatnonzero(shown)
    if graph.of_task:
        return _components(graph, nodes)
    held = float(graph.influence[nodes].sum() / max(float(graph.influence.sum()), 1e-30))
    cells: dict[tuple[int, int], list[int]] = {}
    for i in np.argsort(-graph.influence[nodes], kind="stable"):
        at = (int(graph.nodes.pos[nodes[i]]), int(graph.nodes.layer[nodes[i]]))
        cells.setdefault(at, []).append(int(i))
    widths = np.full(len(graph.tokens), 3.0 if len(graph.tokens) <= 8 else 1.0)
    for (pos, _), members in cells.items():
        widths[pos] = max(widths[pos], min(len(members), _LINE))
    columns = np.concatenate([[0.0], np.cumsum(widths + 1)])
    centres = (columns[1:] + columns[:-1]) / 2
    x, y = np.zeros(len(nodes)), np.zeros(len(nodes))
    for (pos, layer), members in cells.items():
        lines = -(-len(members) // _LINE)
        for line in range(lines):
            for place, i in enumerate(members[line::lines]):
                x[i] = centres[pos] + (place + 1) // 2 * (-1 if place % 2 else 1)
                y[i] = layer + (((line + 0.5) / lines - 0.5) * 0.75 if lines > 1 else 0.0)
    return Arrangement(nodes, x, y, columns, held)


_BELOW = {"kv": -0.34, "mlp": 0.34}  # of a layer, what is read before its heads write, and what writes after them


def _components(graph: CircuitGraph, nodes: Int[np.ndarray, " shown"]) -> Arrangement:
    """Heads in columns by number and the MLP in the last, so that a component stands where it does in any other circuit."""
    columns = np.arange(len(graph.tokens) + 1, dtype=float)
    kinds = np.array([_BELOW.get(KINDS[k], 0.0) for k in graph.nodes.kind[nodes]])
    return Arrangement(nodes, graph.nodes.pos[nodes] + 0.5, graph.nodes.layer[nodes] + kinds, columns, 1.0)


def of_edges(graph: "ComponentGraph", edges: Bool[np.ndarray, " edge"]) -> Arrangement:
    """The ends of these edges in their places, with these edges alone."""
    return replace(arranged(graph, graph.touched(edges)), edges=edges, held=graph.held(edges))
