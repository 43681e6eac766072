"""Evaluations over something: how often latents fire, and errors along positions."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from probe.show.labels import _finish

if TYPE_CHECKING:
    from probe.evaluation.report import EvalReport

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
    title = f"{report.density['dead']} latents silent on {report.density['tokens']:,} tokens"
    figure.update_layout(title={"text": title, "font": {"size": 13}})
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
