"""Evaluations as figures: one report, a front of many, what was judged."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.show.beside import draws
from probe.show.labels import _finish, label_text
from probe.training.figures import _BASELINE, _COLOUR

if TYPE_CHECKING:
    from probe.evaluation.report import EvalReport
    from probe.evaluation.results import Judged
    from probe.evaluation.sweep import SweepResult


@draws
def eval_figure(report: "EvalReport", height: int = 320) -> go.Figure:
    """FVU beside the affine map's, cross-entropy beside both ablations; bars of one standard error."""
    figure = make_subplots(rows=1, cols=2, subplot_titles=["unexplained (FVU)", "CE (nats)"])
    recon = {"dictionary": "fvu", "affine map": "fvu_affine"}
    model = {"untouched": "ce", "spliced": "ce_spliced", "mean ablation": "ce_mean", "zero ablation": "ce_zero"}
    figure.add_trace(_bars(report, recon, "dictionary"), row=1, col=1)
    figure.add_trace(_bars(report, model, "spliced"), row=1, col=2)
    figure.update_annotations(font_size=13)
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


@draws
def sweep_figure(result: "SweepResult", height: int = 360) -> go.Figure:
    """FVU, and where judged in the model cross-entropy and KL, against L0: a line a kind."""
    return pareto_figure(result.by_seed(), height)


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


MEASURES = {
    "fvu": "fraction of variance unexplained",
    "ce_recovered_zero": "cross-entropy recovered (of zero ablation)",
    "ce_spliced": "cross-entropy, spliced (nats)",
    "kl_spliced": "KL with the dictionary in place (nats)",
}
_BASELINES = {
    "fvu": (("fvu_affine", "affine map"),),
    "ce_spliced": (("ce", "untouched model"), ("ce_zero", "zero ablation"), ("ce_mean", "mean ablation")),
    "ce_recovered_zero": (),
    "kl_spliced": (("kl_zero", "zero ablation"), ("kl_mean", "mean ablation")),
}
KIND_COLOURS = {
    "sae": "#c8702f",
    "transcoder": "#2a8ea8",
    "skip_transcoder": "#8a6fd1",
    "crosscoder": "#6a8f2a",
    "cross_layer_transcoder": "#b36ba0",
}
KIND_SHAPES = {
    "sae": "circle",
    "transcoder": "square",
    "skip_transcoder": "diamond-open",
    "crosscoder": "triangle-up",
    "cross_layer_transcoder": "cross",
}
"""Points of equal sparsity and equal loss lie on each other: an open shape lets the one beneath show."""


@draws
def judged_record_figure(record: "Judged", measure: str = "", height: int = 420) -> go.Figure:
    """A measure of judged dictionaries against L0; by default the first that there is."""
    return judged_figure(record.found, measure or record.measures[0], height)


def judged_figure(rows: Sequence[dict[str, Any]], measure: str = "fvu", height: int = 420) -> go.Figure:
    """Judged dictionaries: a measure against L0, one trace a kind, bars of one standard error; each point carries its name in
    `customdata`. What it has to be compared with stands as a dotted line wherever it is known.

    >>> rows, broken = ow.judged()
    >>> ow.judged_figure(rows, "fvu").layout.height
    420
    """
    figure, kinds = go.Figure(), dict.fromkeys(str(row["kind"]) for row in rows)
    for kind in kinds:
        some = [r for r in rows if r["kind"] == kind and _known(r.get(measure)) and _known(r.get("l0"))]
        if some:
            figure.add_trace(_points(kind, sorted(some, key=lambda r: r["l0"]), measure))
    for key, label in _BASELINES[measure]:
        for value in sorted({round(float(r[key]), 4) for r in rows if _known(r.get(key)) and _known(r.get(measure))})[
            :3
        ]:
            note = {"text": f"{label} {value:.3g}", "font": {"size": 11}, "xanchor": "right"}
            figure.add_hline(y=value, line={"dash": "dot", "color": "#9a9a9a", "width": 1.2}, annotation=note)
    figure.update_xaxes(title="active latents per token (L0)", type="log")
    figure.update_yaxes(title=MEASURES[measure])
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    return _finish(figure, height).update_layout(margin_t=44)


def _points(kind: str, rows: list[dict[str, Any]], measure: str) -> go.Scatter:
    errors = [r.get("errors", {}).get(measure) for r in rows]
    return go.Scatter(
        x=[r["l0"] for r in rows],
        y=[r[measure] for r in rows],
        error_y={"type": "data", "array": [e if _known(e) else 0 for e in errors], "thickness": 1.2, "width": 3},
        mode="markers",
        marker={
            "size": 13 if KIND_SHAPES.get(kind, "").endswith("open") else 9,
            "color": KIND_COLOURS.get(kind, "#8a919c"),
            "symbol": KIND_SHAPES.get(kind, "circle"),
            "opacity": 0.9,
            "line": {"width": 2 if KIND_SHAPES.get(kind, "").endswith("open") else 0},
        },
        name=label_text(kind, 40).replace("_", " "),
        customdata=[r["name"] for r in rows],
        text=[f"{label_text(str(r['name']), 60)}<br>{label_text(str(r.get('rule', '')), 30)}" for r in rows],
        hovertemplate="%{text}<br>L0 %{x:.1f}<br>%{y:.4f}<extra></extra>",
    )


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
