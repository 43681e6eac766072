"""Where the nodes of a graph stand in its picture: positions across, layers upwards, none on another.

Nodes of one position and layer stand side by side, the most influential in the middle, in lines of up to `_LINE`. A column is as
wide as its longest line, since most nodes stand at few positions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.graph.graph import CircuitGraph
from circuits.graph.link_graph_nodes import shown_at

_LINE = 9  # nodes side by side


@dataclass(frozen=True)
class Arrangement:
    """Shown nodes (indices) with their coordinates, the borders of the columns, and the share of influence they hold."""

    nodes: Int[np.ndarray, " shown"]
    x: Float[np.ndarray, " shown"]
    y: Float[np.ndarray, " shown"]
    columns: Float[np.ndarray, " edge"]
    held: float

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
