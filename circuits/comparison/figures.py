"""Merged graphs and differences of graphs as figures."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from circuits.comparison.identity import is_unit
from circuits.graph.figures import NEGATIVE, POSITIVE
from circuits.supernodes.figures import GREY
from probe.show.beside import draws
from probe.show.labels import _finish, label_text

if TYPE_CHECKING:
    from circuits.comparison.difference import GraphDifference
    from circuits.comparison.merge import MergedGraph

MOST_POINTS = 2000
"Nodes drawn of each kind; the most influential."


@draws
def merged_figure(merged: "MergedGraph", k: int = 25, height: int | None = None) -> go.Figure:
    """The k strongest units: mean influence with its bootstrap interval, and each prompt's own value as a faint point."""
    units = np.flatnonzero(is_unit(merged.nodes))
    shown = units[np.argsort(-merged.spread.mean[units], kind="stable")[:k]][::-1]
    y, mean = np.arange(len(shown)), merged.spread.mean[shown]
    figure = go.Figure()
    for prompt, values, held in zip(merged.prompts, merged.influence, merged.held, strict=True):
        mine = held[shown]
        figure.add_trace(
            go.Scatter(
                x=values[shown][mine],
                y=y[mine] + 0.25,
                mode="markers",
                name="one prompt",
                text=[label_text(prompt, 60)] * int(mine.sum()),
                hovertemplate="%{text}<br>influence %{x:.4f}<extra></extra>",
                marker={"size": 6, "color": GREY, "opacity": 0.7},
                legendgroup="prompt",
                showlegend=prompt is merged.prompts[0],
            )
        )
    known = ~np.isnan(merged.spread.low[shown])
    error = {
        "type": "data",
        "array": np.where(known, merged.spread.high[shown] - mean, 0),
        "arrayminus": np.where(known, mean - merged.spread.low[shown], 0),
    }
    count = merged.held[:, shown].sum(0)
    figure.add_trace(
        go.Scatter(
            x=mean,
            y=y,
            error_x={**error, "color": POSITIVE},
            mode="markers",
            name="mean and 95% interval",
            customdata=[f"in {n} of {len(merged.prompts)} prompts" for n in count],
            hovertemplate="mean %{x:.4f}, %{customdata}<extra></extra>",
            marker={"size": 9, "color": POSITIVE},
        )
    )
    figure.update_yaxes(
        tickvals=y.tolist(), ticktext=[label_text(merged.nodes.names[i], 28) for i in shown], zeroline=False
    )
    figure.update_xaxes(title="influence, per probability explained", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": 1.06})
    return _finish(figure, height or 140 + 18 * len(shown))


@draws
def difference_figure(found: "GraphDifference", height: int = 520) -> go.Figure:
    """Influence in b against influence in a; nodes of one graph only lie on its axis, equal ones on the diagonal."""
    x, y = np.nan_to_num(found.influence)
    most = float(max(x.max(initial=0.0), y.max(initial=0.0), 1e-12))
    states, figure = np.array(found.where), go.Figure()
    line = {"color": GREY, "dash": "dot", "width": 1}
    figure.add_trace(go.Scatter(x=[0, most], y=[0, most], mode="lines", line=line, name="equal", hoverinfo="skip"))
    for state, colour, symbol in (
        ("both", POSITIVE, "circle"),
        ("a", NEGATIVE, "triangle-right"),
        ("b", "#E69F00", "star"),
    ):
        mine = np.flatnonzero(states == state)
        mine = mine[np.argsort(-np.maximum(x, y)[mine], kind="stable")[:MOST_POINTS]]
        figure.add_trace(
            go.Scatter(
                x=x[mine],
                y=y[mine],
                mode="markers",
                name="in both" if state == "both" else f"only in {state}",
                text=[label_text(found.nodes.names[i], 60) for i in mine],
                hovertemplate="%{text}<br>a %{x:.4f}, b %{y:.4f}<extra></extra>",
                marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.7},
            )
        )
    figure.update_xaxes(title=f"influence in a: {label_text(found.prompts[0], 40)}", rangemode="tozero")
    figure.update_yaxes(title=f"influence in b: {label_text(found.prompts[1], 40)}", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": 1.06})
    return _finish(figure, height)
