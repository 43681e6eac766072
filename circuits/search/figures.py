"""A circuit of edges drawn as every graph of components is: heads and MLPs by layer, edges for and against the right answer."""

import numpy as np
import plotly.graph_objects as go

from circuits.graph.figures import graph_figure
from circuits.graph.node_positions import of_edges
from circuits.search.as_graph import MOST, component_graph
from circuits.search.circuit import ComponentCircuit
from probe.show.beside import draws
from probe.show.labels import _finish


@draws
def circuit_figure(circuit: ComponentCircuit, *, height: int | None = None) -> go.Figure:
    """Layers from below, in each its heads and, on the right, its MLP; the input below and the logits above them. Of many edges
    the strongest."""
    if not len(circuit):
        empty = go.Figure().add_annotation(text="This circuit has no edges.", showarrow=False)
        return _finish(empty.update_xaxes(visible=False).update_yaxes(visible=False), height or 200)
    graph = component_graph(circuit)
    high = height or int(np.clip(160 + 28 * graph.n_layers, 320, 1000))
    return graph_figure(graph, shown=of_edges(graph, graph.strongest(MOST)), height=high)
