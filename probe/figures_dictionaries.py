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
    figure.update_yaxes(
        tickformat=".0%", range=[0, max(0.05, 1.05 * max((m["dead_share"] for m in lines), default=0))], col=3
    )
    return _finish(figure, height)


def eval_figure(report: "EvalReport", height: int = 320) -> go.Figure:
    """FVU beside the affine map's, cross-entropy beside both ablations; bars of one standard error."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["unexplained (FVU)", "CE (nats)"])
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
        error_y={"type": "data", "array": [e if e is not None and np.isfinite(e) else 0 for e in errors]},
        marker={"color": [_COLOUR if label == ours else _BASELINE for label in measures]},
        hovertemplate="%{x}: %{y:.4f}<extra></extra>",
        showlegend=False,
    )


_KIND_COLOURS = {
    "sae": "#b5632a",
    "transcoder": "#2a788e",
    "skip_transcoder": "#5b4a9e",
    "crosscoder": "#6a8f2a",
    "cross_layer_transcoder": "#8e2a5f",
}


def pareto_figure(rows: list[dict[str, Any]], height: int = 360) -> go.Figure:
    """Reconstruction and, where judged, what the model loses, against L0: a line a kind and family of rules, bars of one
    standard error between seeds. Lower and further left is better."""
    wanted = {"fvu": "fraction of variance unexplained", "ce_spliced": "cross-entropy, spliced (nats)"}
    wanted |= {key: key.replace("ce_spliced", "cross-entropy") for key in rows[0] if key.startswith("ce_spliced on ")}
    panels = {k: v for k, v in wanted.items() if k in rows[0] and not k.endswith(" error")}
    figure = make_subplots(rows=1, cols=len(panels), subplot_titles=list(panels.values()))
    for column, measure in enumerate(panels, 1):
        for trace in _fronts(rows, measure, column == 1):
            figure.add_trace(trace, row=1, col=column)
        clean = rows[0].get(measure.replace("ce_spliced", "ce"))
        if measure.startswith("ce") and clean is not None:
            figure.add_hline(y=clean, line={"dash": "dot", "color": _BASELINE}, row=1, col=column)
        figure.update_xaxes(title="active latents per token", type="log", row=1, col=column)
    figure.update_layout(legend={"orientation": "h", "y": -0.25})
    return _finish(figure, height)


def _fronts(rows: list[dict[str, Any]], measure: str, legend: bool) -> list[go.Scatter]:
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        lines.setdefault((row["kind"], row["rule"].partition(":")[0]), []).append(row)
    found = []
    for (kind, rule), points in lines.items():
        points = sorted(points, key=lambda row: row["l0"])
        errors = [row.get(f"{measure} error", float("nan")) for row in points]
        found.append(
            go.Scatter(
                x=[row["l0"] for row in points],
                y=[row[measure] for row in points],
                error_y={"type": "data", "array": [e if e is not None and np.isfinite(e) else 0 for e in errors]},
                mode="lines+markers",
                line={"color": _KIND_COLOURS.get(kind, _COLOUR), "dash": "solid" if rule == "topk" else "dot"},
                name=f"{kind.replace('_', ' ')}, {rule}",
                legendgroup=f"{kind}{rule}",
                showlegend=legend,
                customdata=[row["rule"] for row in points],
                hovertemplate="%{customdata}<br>L0 %{x:.1f}<br>%{y:.4f}<extra></extra>",
            )
        )
    return found
