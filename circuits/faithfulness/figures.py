"""Sufficiency, what is left of a tried subgraph, and faithfulness by size as figures."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from circuits.graph.figures import POSITIVE
from circuits.validation.figures import QUIET
from probe.show.beside import draws
from probe.show.labels import _finish, label_text

if TYPE_CHECKING:
    from circuits.faithfulness.curve import FaithfulnessCurve
    from circuits.faithfulness.subgraph_test import TriedSubgraph
    from circuits.faithfulness.sufficiency import Sufficiency


@draws
def tried_figure(tried: "TriedSubgraph", *, height: int = 460) -> go.Figure:
    """Predicted against measured movements, and the subgraph beside random ones."""
    return tried.test.figure(height=height)


@draws
def sufficiency_figure(found: "Sufficiency", *, height: int = 380) -> go.Figure:
    """How much of each root is left with the subgraph alone, beside random subgraphs of its size."""
    rows, figure = found.roots, go.Figure()
    at = list(range(len(rows)))
    figure.add_trace(go.Bar(x=at, y=[r.share for r in rows], name="subgraph", marker={"color": POSITIVE}))
    if any(r.random for r in rows):
        mean = [float(np.mean(r.random)) for r in rows]
        error = {"type": "data", "array": [float(np.std(r.random)) for r in rows], "color": "#888"}
        bars = go.Bar(x=at, y=mean, name="random (standard deviation)", marker={"color": QUIET}, error_y=error)
        figure.add_trace(bars)
    figure.add_hline(y=1, line={"color": QUIET, "dash": "dot", "width": 1})
    figure.update_xaxes(tickvals=at, ticktext=[label_text(r.root, 28) for r in rows])
    figure.update_yaxes(title="share of the root that is left")
    return _finish(figure, height)


@draws
def curve_figure(curve: "FaithfulnessCurve", *, height: int = 420) -> go.Figure:
    """The curve with its interval; random circuits in grey; 1 is the whole model."""
    x, (low, high) = curve.shares, curve.interval
    figure = go.Figure()
    band = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]])}
    figure.add_scatter(
        **band,
        fill="toself",
        line={"width": 0},
        fillcolor="rgba(0,114,178,.18)",
        name="95% over pairs",
        hoverinfo="skip",
    )
    for i, f in enumerate(curve.random_f):
        figure.add_scatter(x=x, y=f, mode="lines", line={"color": QUIET, "width": 1}, name="random", showlegend=i == 0)
    figure.add_scatter(
        x=x,
        y=curve.f,
        mode="lines+markers",
        line={"color": POSITIVE},
        name=curve.method,
        customdata=curve.edges,
        hovertemplate="%{x:.1%} (%{customdata} edges)<br>faithfulness %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=1, line={"dash": "dot", "color": QUIET})
    figure.update_xaxes(type="log", title="share of edges kept", tickformat="~%")
    figure.update_yaxes(
        title="faithfulness",
        range=[min(-0.1, float(np.nanmin(curve.f)) - 0.1), max(1.2, float(np.nanmax(curve.f)) + 0.1)],
    )
    return _finish(figure, height)
