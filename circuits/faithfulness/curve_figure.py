"""Faithfulness by the share of edges that are kept, on a logarithmic axis, beside random circuits and the whole model."""

import numpy as np
import plotly.graph_objects as go

from circuits.faithfulness.curve import FaithfulnessCurve
from probe.show.beside import draws
from probe.show.labels import _finish

BLUE, GREY = "#3b6fb6", "#8a8f98"


@draws
def curve_figure(curve: FaithfulnessCurve, height: int = 420) -> go.Figure:
    """The curve with its interval; random circuits in grey; 1 is the whole model."""
    x, (low, high) = curve.shares, curve.interval
    figure = go.Figure()
    band = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]])}
    figure.add_scatter(
        **band,
        fill="toself",
        line={"width": 0},
        fillcolor="rgba(59,111,182,.18)",
        name="95% over pairs",
        hoverinfo="skip",
    )
    for i, f in enumerate(curve.random_f):
        figure.add_scatter(x=x, y=f, mode="lines", line={"color": GREY, "width": 1}, name="random", showlegend=i == 0)
    figure.add_scatter(
        x=x,
        y=curve.f,
        mode="lines+markers",
        line={"color": BLUE},
        name=curve.method,
        customdata=curve.edges,
        hovertemplate="%{x:.1%} (%{customdata} edges)<br>faithfulness %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=1, line={"dash": "dot", "color": GREY})
    figure.update_xaxes(type="log", title="share of edges kept", tickformat="~%")
    figure.update_yaxes(
        title="faithfulness",
        range=[min(-0.1, float(np.nanmin(curve.f)) - 0.1), max(1.2, float(np.nanmax(curve.f)) + 0.1)],
    )
    return _finish(figure, height)
