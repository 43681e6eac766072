"""Tests of a graph as figures: what was forecast beside what happened."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from circuits.graph.figures import NEGATIVE, POSITIVE
from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from circuits.validation.records import Comparison, SubgraphTest

QUIET = "#999999"
POINTS = 4000
"""Most nodes drawn; the largest movements are kept."""


@draws
def truth_figure(test: "SubgraphTest", *, height: int = 460) -> go.Figure:
    """Predicted against measured movements with the line of equality; and the subgraph beside random ones, with error bars."""
    measures = test.comparisons
    titles = ["predicted and measured movements", *(c.measure for c in measures)]
    widths = [0.46, *([0.54 / len(measures)] * len(measures))] if measures else [1.0]
    figure = make_subplots(1, len(titles), subplot_titles=titles, column_widths=widths, horizontal_spacing=0.08)
    moves = [t.movements for t in test.prompts]
    for name, colour, symbol in (("direct", POSITIVE, "circle"), ("full", NEGATIVE, "cross")):
        predicted = np.concatenate([getattr(m, f"predicted_{name}") for m in moves])
        _scatter(figure, name, predicted, np.concatenate([getattr(m, name) for m in moves]), colour, symbol)
    _equality(figure, moves)
    figure.update_xaxes(title="predicted by the graph", row=1, col=1)
    figure.update_yaxes(title="measured in the model", row=1, col=1)
    for i, one in enumerate(measures):
        _bars(figure, one, 2 + i)
    _finish(figure, height)
    figure.update_annotations(font={"size": 12})
    figure.update_layout(margin={"t": 50, "b": 90}, legend={"orientation": "h", "y": -0.22})
    return figure


def _scatter(
    figure: go.Figure, name: str, predicted: np.ndarray, measured: np.ndarray, colour: str, symbol: str
) -> None:
    size = np.fmax(np.abs(predicted), np.abs(measured))
    known = np.flatnonzero(np.isfinite(size) & (size > 0))
    known = known[np.argsort(-size[known], kind="stable")[:POINTS]]
    marker = {"color": colour, "symbol": symbol, "size": 5, "opacity": 0.6}
    hover = "predicted %{x:.3g}<br>measured %{y:.3g}<extra></extra>"
    points = go.Scatter(x=predicted[known], y=measured[known], mode="markers", name=name, marker=marker)
    figure.add_trace(points.update(hovertemplate=hover), row=1, col=1)


def _equality(figure: go.Figure, moves: list[Any]) -> None:
    ends = [v for m in moves for a in vars(m).values() for v in (np.nanmin(a, initial=0.0), np.nanmax(a, initial=0.0))]
    line = {"color": QUIET, "width": 1, "dash": "dot"}
    span = [min(ends), max(ends)]
    figure.add_trace(go.Scatter(x=span, y=span, mode="lines", name="equal", line=line, hoverinfo="skip"), row=1, col=1)


def _bars(figure: go.Figure, one: "Comparison", column: int) -> None:
    """The subgraph's bar beside the random ones', each with its 95%; every measure on its own scale."""
    for name, found, colour in (("subgraph", one.subgraph, POSITIVE), ("random", one.random, QUIET)):
        error = {
            "type": "data",
            "symmetric": False,
            "array": [_length(found.high - found.mean)],
            "arrayminus": [_length(found.mean - found.low)],
            "color": "#888",
        }
        bar = go.Bar(x=[name], y=[found.mean], error_y=error, marker={"color": colour}, showlegend=False)
        figure.add_trace(bar.update(hovertemplate="%{x}: %{y:.4g}<extra></extra>"), row=1, col=column)


def _length(bar: float) -> float:
    return 0.0 if np.isnan(bar) else max(bar, 0.0)
