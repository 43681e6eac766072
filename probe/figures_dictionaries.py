"""Pictures of training and of judging a dictionary."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.figures import _finish

if TYPE_CHECKING:
    from probe.evals import EvalReport

_PANELS = (
    ("fvu", "fraction of variance unexplained"),
    ("l0", "active latents per token"),
    ("dead_share", "dead share"),
)
_COLOUR, _BASELINE = "#2a788e", "#b5b5b5"
_MOST_POINTS = 1000


def training_figure(metrics: list[dict[str, Any]], height: int = 320) -> go.Figure:
    """FVU, L0 and dead share over the tokens seen, from the lines of a metrics log (also of an unfinished one)."""
    figure = make_subplots(rows=1, cols=3, subplot_titles=[title for _, title in _PANELS])
    lines = metrics[:: max(1, len(metrics) // _MOST_POINTS)]
    tokens = [line["tokens"] for line in lines]
    for column, (name, _) in enumerate(_PANELS, 1):
        values = [line[name] for line in lines]
        trace = go.Scatter(x=tokens, y=values, mode="lines", line={"color": _COLOUR}, name=name, showlegend=False)
        figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title="tokens", row=1, col=column)
        figure.update_yaxes(rangemode="tozero", row=1, col=column)
    return _finish(figure, height)


def eval_figure(report: "EvalReport", height: int = 320) -> go.Figure:
    """FVU beside the affine map's, cross-entropy beside both ablations; bars of one standard error."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["fraction of variance unexplained", "cross-entropy (nats)"])
    recon = {"dictionary": "fvu", "affine map": "fvu_affine"}
    model = {"untouched": "ce", "spliced": "ce_spliced", "mean ablation": "ce_mean", "zero ablation": "ce_zero"}
    figure.add_trace(_bars(report, recon, "dictionary"), row=1, col=1)
    figure.add_trace(_bars(report, model, "spliced"), row=1, col=2)
    return _finish(figure, height)


def _bars(report: "EvalReport", measures: dict[str, str], ours: str) -> go.Bar:
    measures = {label: name for label, name in measures.items() if np.isfinite(getattr(report, name))}
    errors = [report.errors.get(name, float("nan")) for name in measures.values()]
    return go.Bar(
        x=list(measures),
        y=[getattr(report, name) for name in measures.values()],
        error_y={"type": "data", "array": [e if np.isfinite(e) else 0 for e in errors]},
        marker={"color": [_COLOUR if label == ours else _BASELINE for label in measures]},
        hovertemplate="%{x}: %{y:.4f}<extra></extra>",
        showlegend=False,
    )
