"""Pictures of two prompts side by side: how far their predictions are apart, by layer and aligned token."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import _finish, plain

if TYPE_CHECKING:
    from probe.comparison.prompts import ComparedPrompts


@draws
def divergence_figure(found: "ComparedPrompts", height: int | None = None) -> go.Figure:
    """Layer (upwards) by aligned token: KL from the first prompt's prediction to the second's, nats; gaps are empty."""
    columns = found.alignment.columns
    at = [i for i, c in enumerate(columns) if c.a is not None and c.b is not None]
    z = np.full((len(found.layers), len(columns)), np.nan)
    z[:, at] = np.round(found.kl, 5)
    names = [_name(found, i) for i in range(len(columns))]
    words = [
        [f"{name}, layer {label}: {z[r, i]:.4g} nats" for i, name in enumerate(names)]
        for r, label in enumerate(found.layers)
    ]
    trace = go.Heatmap(
        z=z,
        colorscale="Cividis",
        zmin=0,
        colorbar={"title": {"text": "KL (nats)", "side": "right"}, "thickness": 10, "outlinewidth": 0},
        customdata=words,
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
    )
    figure = go.Figure(trace)
    rows = list(range(len(found.layers)))
    keep, every = rows[:: max(1, len(rows) // 12)], max(1, len(columns) // 48)
    ticks = list(range(0, len(columns), every))
    figure.update_yaxes(tickvals=keep, ticktext=[found.layers[i] for i in keep], title="layer")
    figure.update_xaxes(tickmode="array", tickvals=ticks, ticktext=[names[i] for i in ticks])
    return _finish(figure, height or 60 + 12 * len(rows))


def _name(found: "ComparedPrompts", i: int) -> str:
    """`·France / ·Germany`; one name where both are the same."""
    column = found.alignment.columns[i]
    a = "–" if column.a is None else plain(found.tokens[0][column.a], 10)
    b = "–" if column.b is None else plain(found.tokens[1][column.b], 10)
    return a if column.same else f"{a} / {b}"
