"""Sufficiency, what is left of a tried subgraph, and faithfulness by size as figures."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from circuits.graph.figures import NEGATIVE, POSITIVE
from circuits.validation.figures import QUIET
from probe.show.beside import draws
from probe.show.labels import _finish, label_text

if TYPE_CHECKING:
    from circuits.faithfulness.curve_record import FaithfulnessCurve
    from circuits.faithfulness.report import CircuitReport
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
    """The curve with its interval, that on unseen templates beside it; random circuits in grey; 1 is the whole model."""
    x, (low, high) = curve.shares, curve.interval
    figure = go.Figure()
    figure.add_scatter(**_band(x, low, high), fillcolor="rgba(0,114,178,.18)", name="95% over pairs")
    for i, f in enumerate(curve.random_f[:_MOST]):
        figure.add_scatter(x=x, y=f, mode="lines", line={"color": QUIET, "width": 1}, name="random", showlegend=i == 0)
    said = {
        "customdata": curve.kept,
        "hovertemplate": f"%{{x:.1%}} (%{{customdata}} {curve.kind})<br>faithfulness %{{y:.3f}}",
    }
    said["hovertemplate"] += "<extra></extra>"
    lines = {"mode": "lines+markers", "line": {"color": POSITIVE}}
    figure.add_scatter(x=x, y=curve.f, name=curve.method, **lines, **said)
    if (unseen := curve.unseen) is not None:
        dashed = {**lines, "line": {"color": POSITIVE, "dash": "dash"}}
        figure.add_scatter(x=unseen.shares, y=unseen.f, name="on unseen templates", **dashed, **said)
    figure.add_hline(y=1, line={"dash": "dot", "color": QUIET})
    decades = {"dtick": 1, "minor": {"tickvals": x, "showgrid": True}}  # all of them would touch on a narrow screen
    figure.update_xaxes(type="log", title=f"share of {curve.kind} kept", tickformat="~%", **decades)
    least, most = np.nanmin(curve.f), np.nanmax(curve.f)
    figure.update_yaxes(title="faithfulness", range=[min(-0.1, float(least) - 0.1), max(1.2, float(most) + 0.1)])
    return _finish(figure, height)


_MOST = 20  # random curves that are drawn


def _band(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    around = {"x": np.concatenate([x, x[::-1]]), "y": np.concatenate([high, low[::-1]])}
    return {**around, "fill": "toself", "line": {"width": 0}, "hoverinfo": "skip"}


@draws
def report_figure(report: "CircuitReport", *, height: int = 420) -> go.Figure:
    """Each set of parts that was taken out of both: what the circuit keeps against what the model keeps. On the diagonal the
    circuit is complete."""
    figure = go.Figure()
    ends = [
        min(0.0, *(v for g in report.gaps for v in (g.circuit, g.model))),
        max(1.0, *(g.model for g in report.gaps)),
    ]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"dash": "dot", "color": QUIET}, name="complete", hoverinfo="skip"
    )
    looks = {"nothing": ("star", POSITIVE), "random": ("circle", POSITIVE), "greedy": ("diamond-open", NEGATIVE)}
    for how, (symbol, colour) in looks.items():
        mine = [gap for gap in report.gaps if gap.how == how]
        if mine:
            figure.add_scatter(
                x=[gap.model for gap in mine],
                y=[gap.circuit for gap in mine],
                customdata=[gap.removed for gap in mine],
                mode="markers",
                marker={"symbol": symbol, "size": 10, "color": colour},
                name=f"{how} taken out" if how == "nothing" else f"{how} sets taken out",
                hovertemplate="%{customdata} parts out<br>model %{x:.3f}, circuit %{y:.3f}<extra></extra>",
            )
    figure.update_xaxes(title="model without the set")
    figure.update_yaxes(title="circuit without the set")
    return _finish(figure, height)
