"""A suite report as a figure."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from probe.evaluation.suite.report import SuiteReport

_COLOURS = (
    "#2a788e",
    "#b5b5b5",
    "#e0a030",
    "#7ad151",
    "#440154",
    "#8c6bb1",
)  # the dictionary's first, as in other reports


@draws
def suite_figure(report: "SuiteReport", height: int = 360) -> go.Figure:
    """Probing accuracy over k for each subject (bars of one error), and the first-letter measures."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["k-sparse probing (chance 0.5)", "first letters"])
    subjects = [s for s in report.rows()[0] if s != "measure" and s != "affine map"]
    ks, letters = report.settings["ks"], ("letter F1 of main latents", "absorption fraction", "full absorption")
    for colour, subject in zip(_COLOURS, subjects, strict=False):
        names = [f"probing, {k} unit{'s' if k != 1 else ''}" for k in ks]
        y = [report.value(n, subject) for n in names]
        error = {"type": "data", "array": [_known(report.value(f"{n}, error", subject)) for n in names]}
        line = go.Scatter(x=ks, y=y, error_y=error, mode="lines+markers", name=subject, line_color=colour)
        figure.add_trace(line.update(legendgroup=subject), row=1, col=1)
        values = [report.value(n, subject) for n in letters]
        bar = go.Bar(x=letters, y=values, name=subject, marker={"color": colour}, legendgroup=subject, showlegend=False)
        figure.add_trace(bar, row=1, col=2)
    figure.update_xaxes(type="log", tickvals=ks, ticktext=[str(k) for k in ks], title="units", row=1, col=1)
    figure.update_yaxes(title="share of right answers", row=1, col=1)
    return _finish(figure, height)


def _known(value: float) -> float:
    return value if value == value else 0.0
