"""Massive activations, sinks and what removal does, as figures."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go

from probe.show.array_figures import grid_figure
from probe.show.beside import draws
from probe.show.labels import SEQUENTIAL, _finish, token_axis
from probe.show.values import largest_of_blocks

if TYPE_CHECKING:
    from probe.heads.massive.sinks_record import Sinks

_SIDE = 240  # tokens across that a figure draws


@draws
def sinks_figure(
    found: "Sinks", what: Literal["massive", "sink", "attention", "removal"] = "massive", height: int = 380
) -> go.Figure:
    """massive: each token's largest activation by layer, times the median. sink: phi, likewise. attention: what each head pays to
    the sinks. removal: KL of both removals beside the draws of the controls."""

    if what == "attention":
        return grid_figure(found.mass, "attention to sinks")
    if what == "removal":
        return _removal_figure(found, height)
    values = np.log10(np.maximum(found.times, 1e-3)) if what == "massive" else found.phi
    block = -(-len(found.tokens) // _SIDE)
    z = largest_of_blocks(values.astype(float), block, 1)
    at = np.arange(z.shape[1]) * block + (block - 1) / 2
    label = "times the median" if what == "massive" else "|RMSNorm(h)|"
    ticks = {"tickvals": [0, 1, 2, 3, 4, 5], "ticktext": ["1", "10", "100", "1,000", "10,000", "100,000"]}
    figure = go.Figure(
        go.Heatmap(
            x=at,
            y=np.arange(len(z)) - 1,
            z=np.round(z, 4),
            customdata=[[f"{10**v if what == 'massive' else v:.4g}" for v in row] for row in z],
            colorscale=SEQUENTIAL,
            zmin=0,
            zmax=max(1.0, float(np.nanmax(z, initial=1.0))),
            colorbar={"title": {"text": label, "side": "right"}, "thickness": 10, "outlinewidth": 0}
            | (ticks if what == "massive" else {}),
            hovertemplate="layer %{y}, token %{x}: %{customdata} " + label + "<extra></extra>",
        )
    )
    figure.update_xaxes(**token_axis(found.tokens, max(1, len(found.tokens) // 40)), title="token", showgrid=False)
    layers = list(range(-1, len(z) - 1, max(1, len(z) // 16)))
    named = ["embed" if layer < 0 else str(layer) for layer in layers]
    figure.update_yaxes(title="layer", tickvals=layers, ticktext=named, showgrid=False)
    return _finish(figure, height)


def _removal_figure(found: "Sinks", height: int) -> go.Figure:

    rng, figure = np.random.default_rng(0), go.Figure()
    for i, one in enumerate([*found.removals, *found.controls]):
        control = i >= len(found.removals)
        figure.add_scatter(
            x=one.kl_draws,
            y=i + (rng.uniform(-0.25, 0.25, len(one.kl_draws)) if control else np.zeros(1)),
            mode="markers",
            marker={"size": 6 if control else 12, "color": "#8a8f98" if control else "#e69f00", "opacity": 0.8},
            hovertemplate=f"{one.name}: KL %{{x:.4g}} nats<extra></extra>",
            showlegend=False,
        )
    names = [one.name for one in [*found.removals, *found.controls]]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, autorange="reversed")
    figure.update_xaxes(title="KL from the unchanged prediction, nats", rangemode="tozero")
    figure = _finish(figure, min(height, 260))
    figure.update_layout(margin={"l": 150})
    return figure
