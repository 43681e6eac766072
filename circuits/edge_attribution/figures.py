"""Heads and MLPs by layer, coloured by what their edges come to: blue for the right answer, red against it; or by how much."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SEQUENTIAL, SIGNED, _finish

if TYPE_CHECKING:
    from circuits.edge_attribution.scores import EdgeScores


@draws
def component_figure(scores: "EdgeScores", *, height: int | None = None) -> go.Figure:
    """A row a layer, a column a head, the last one the MLP."""
    layout, value = scores.layout, -scores.senders() if scores.signed else scores.senders()
    width = max(layout.heads)
    grid = np.full((layout.n_layers, width + 1), np.nan)
    names = np.full(grid.shape, "", object)
    for layer in range(layout.n_layers):
        heads, mlp = layout.heads_of(layer), layout.mlp_of(layer)
        grid[layer, : layout.heads[layer]], grid[layer, width] = value[heads], value[mlp]
        names[layer, : layout.heads[layer]], names[layer, width] = layout.senders[heads], layout.senders[mlp]
    top = float(np.abs(grid[np.isfinite(grid)]).max(initial=0)) or 1.0
    said, what = (
        ("worth %{z:.4f} of the metric", "for the right answer") if scores.signed else ("%{z:.4f}", "all edges")
    )
    figure = go.Figure(
        go.Heatmap(
            z=np.round(grid, 6),
            colorscale=SIGNED if scores.signed else SEQUENTIAL,
            zmin=-top if scores.signed else 0,
            zmax=top,
            zmid=0 if scores.signed else None,
            customdata=names,
            hovertemplate="%{customdata}<br>" + said + "<extra></extra>",
            colorbar={"title": {"text": what, "side": "right"}, "thickness": 12},
        )
    )
    figure.update_xaxes(tickvals=list(range(width + 1)), ticktext=[*map(str, range(width)), "MLP"], title="head")
    figure.update_yaxes(title="layer")
    return _finish(figure, height or int(np.clip(90 + 18 * len(grid), 240, 900)))
