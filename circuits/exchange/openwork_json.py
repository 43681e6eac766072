"""A graph with everything a page knows of it, as plain JSON: for people's own programs, which read no safetensors."""

from typing import Any

import numpy as np

from circuits.graph.component_graph import SIDES, ComponentGraph
from circuits.graph.graph import KINDS, CircuitGraph
from probe.artifacts.json import finite


def to_openwork(graph: CircuitGraph) -> dict[str, Any]:
    """The report, all nodes, and the edges that hold 98 % of the influence of the nodes that hold 80 %; of components all edges,
    with what of its receiver each is read by."""
    n, e = graph.nodes, graph.edges
    nodes = [
        {
            "id": i,
            "name": graph.name(i),
            "kind": KINDS[n.kind[i]],
            "layer": int(n.layer[i]),
            "position": int(n.pos[i]),
            "unit": int(n.unit[i]),
            "value": finite(n.value[i]),
            "activation": finite(n.activation[i]),
            "influence": float(graph.influence[i]),
        }
        for i in range(len(n))
    ]
    edges = [
        {"source": int(e.source[i]), "target": int(e.target[i]), "weight": float(e.weight[i])}
        for i in ([*range(len(e))] if graph.of_task else np.flatnonzero(graph.prune().edges))
    ]
    if isinstance(graph, ComponentGraph):
        for edge, side in zip(edges, graph.side.tolist(), strict=True):
            edge["side"] = SIDES[side]
    return {"report": graph.report(), "tokens": graph.tokens, "nodes": nodes, "edges": edges}
