"""Evaluations over something: how often latents fire, and errors along positions."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from probe.show.labels import _finish

if TYPE_CHECKING:
    from probe.evaluation.report import EvalReport

_OURS = "#2a788e"  # the dictionary's, in every figure of a report
_LINES = {
    "ce": ("untouched", "#8a919c"),
    "ce_spliced": ("spliced", _OURS),
    "ce_mean": ("mean ablation", "#e0a030"),
    "ce_zero": ("zero ablation", "#7ad151"),
}


def density_figure(report: "EvalReport", height: int = 320) -> go.Figure:
    """How many latents have which density (log10 of the share of tokens they fire on); dead ones are in the title."""
    edges, counts = report.density["edges"], report.density["counts"]
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    bar = go.Bar(x=middles, y=counts, width=edges[1] - edges[0], marker={"color": _OURS})
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
    for key, (label, colour) in _LINES.items():
        values: list[Any] = report.by_position[key]
        figure.add_trace(go.Scatter(x=list(range(len(values))), y=values, mode="lines", name=label, line_color=colour))
    figure.update_xaxes(title="position")
    figure.update_yaxes(title="cross-entropy (nats)")
    return _finish(figure, height)
