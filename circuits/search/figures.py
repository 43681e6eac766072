"""A circuit of edges drawn as every graph of components is: heads and MLPs by layer, edges for and against the right answer; and
what two circuits share beside chance."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from circuits.graph.figures import POSITIVE, graph_figure
from circuits.graph.node_positions import of_edges
from circuits.search.as_graph import MOST, component_graph
from circuits.search.circuit import ComponentCircuit
from probe.show.beside import draws
from probe.show.labels import _finish, label_text
from probe.statistics import spread

if TYPE_CHECKING:
    from circuits.search.shared_parts import ComparedCircuits


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


@draws
def shared_figure(found: "ComparedCircuits", *, height: int | None = None) -> go.Figure:
    """A line a sort of part: what the two circuits share, above what 95% of random pairs of their sizes do."""
    figure, y = go.Figure(), list(range(len(found.alike)))
    chance = [spread(one.random) for one in found.alike]
    known = [i for i in y if np.isfinite(chance[i].mean)]
    mean = np.array([chance[i].mean for i in known])
    ends = np.array([[chance[i].low, chance[i].high] for i in known]).reshape(-1, 2)
    ends = np.where(np.isfinite(ends), ends, mean[:, None])
    grey = {"color": "#8a94a6", "size": 9, "symbol": "diamond-open"}
    figure.add_scatter(
        x=mean,
        y=known,
        mode="markers",
        name="random pairs, 95%",
        marker=grey,
        error_x={"type": "data", "array": ends[:, 1] - mean, "arrayminus": mean - ends[:, 0], "color": grey["color"]},
        hovertemplate="random %{x:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=[one.jaccard for one in found.alike],
        y=y,
        mode="markers",
        name="these two",
        marker={"color": POSITIVE, "size": 13},
        hovertemplate="%{x:.3f}<extra></extra>",
    )
    figure.update_xaxes(title="Jaccard index: in both, of those in either", range=[-0.02, 1.02])
    figure.update_yaxes(
        tickvals=y, ticktext=[label_text(one.what, 40) for one in found.alike], range=[len(y) - 0.5, -0.5]
    )
    figure.update_layout(legend={"orientation": "h", "y": 1.2})
    return _finish(figure, height or 150 + 60 * len(y))
