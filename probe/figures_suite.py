"""Pictures of the evaluations beyond one number: densities, positions, and the suite beside its baselines."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.figures import _finish

if TYPE_CHECKING:
    from probe.eval_report import EvalReport
    from probe.suite.report import SuiteReport

COLOURS = ("#2a788e", "#b5b5b5", "#e0a030", "#7ad151", "#440154", "#8c6bb1")
_LINES = {"ce": "untouched", "ce_spliced": "spliced", "ce_mean": "mean ablation", "ce_zero": "zero ablation"}


def density_figure(report: "EvalReport", height: int = 320) -> go.Figure:
    """How many latents have which density (log10 of the share of tokens they fire on); dead ones are in the title."""
    edges, counts = report.density["edges"], report.density["counts"]
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    bar = go.Bar(x=middles, y=counts, width=edges[1] - edges[0], marker={"color": COLOURS[0]})
    bar.hovertemplate = "10^%{x:.2f}: %{y} latents<extra></extra>"
    figure = go.Figure(bar)
    figure.update_xaxes(title="log10 of the share of tokens a latent fires on")
    figure.update_yaxes(title="latents")
    figure.update_layout(title=f"{report.density['dead']} latents silent on {report.density['tokens']:,} tokens")
    return _finish(figure, height)


def position_figure(report: "EvalReport", height: int = 320) -> go.Figure:
    """Cross-entropy of each condition by the position predicted from."""
    figure = go.Figure()
    for colour, (key, label) in zip(COLOURS, _LINES.items(), strict=False):
        values: list[Any] = report.by_position[key]
        figure.add_trace(go.Scatter(x=list(range(len(values))), y=values, mode="lines", name=label, line_color=colour))
    figure.update_xaxes(title="position")
    figure.update_yaxes(title="cross-entropy (nats)")
    return _finish(figure, height)


def suite_figure(report: "SuiteReport", height: int = 360) -> go.Figure:
    """Probing accuracy over k for each subject (bars of one error), and the first-letter measures."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["k-sparse probing (chance 0.5)", "first letters"])
    subjects = [s for s in report.rows()[0] if s != "measure" and s != "affine map"]
    ks, letters = report.settings["ks"], ("letter F1 of main latents", "absorption fraction", "full absorption")
    for colour, subject in zip(COLOURS, subjects, strict=False):
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
