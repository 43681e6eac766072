"""Pictures of training runs over each other, and of evaluated dictionaries against each other.

Curves are thinned to `MOST` points each, keeping the lowest and highest of every stretch, so that no spike is lost. A smoothed
curve is the mean over the last so many log lines, and its title says so.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.figures import _finish, label_text
from probe.run_log import extremes, short_names, smoothed

if TYPE_CHECKING:
    from probe.run_log import TrainingRun

MOST = 2000
"Most points of a curve."
ALL = 32_000
"Most points of all curves together, so that a figure of many runs stays below a megabyte."
TITLES = {
    "loss": "loss",
    "l0": "active latents (L0)",
    "fvu": "unexplained (FVU)",
    "dead_share": "dead share",
}
PALETTE = ("#1a80c4", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a6fd1", "#9a8f00", "#8a919c")
"Told apart by people who do not see red and green alike, on white and on near-black; the first differ most."
DASHES = ("solid", "dash", "dot", "dashdot")


def run_styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a dash for each run, in the order in which they are given: few runs always look clearly different, and adding
    one never changes the looks of those already shown."""
    styles = [(colour, dash) for dash in DASHES for colour in PALETTE]
    return {name: styles[i % len(styles)] for i, name in enumerate(dict.fromkeys(names))}


def runs_figure(
    runs: Sequence["TrainingRun"], axis: str = "tokens", *, log: bool = False, window: int = 1, height: int = 560
) -> go.Figure:
    """Loss, L0, FVU and dead share of several runs over `tokens` or `step`. log: logarithmic scales for all but the dead share.
    window: lines of the log behind each point (1: as logged)."""
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=list(TITLES.values()), vertical_spacing=0.16, horizontal_spacing=0.13
    )
    styles, most = run_styles([run.name for run in runs]), points_each(len(runs))
    labels = dict(zip(styles, short_names(list(styles)), strict=True))
    for run in runs:
        for i, name in enumerate(TITLES):
            figure.add_trace(
                _curve(run, name, axis, window, most, styles[run.name], labels[run.name] if i == 0 else None),
                row=1 + i // 2,
                col=1 + i % 2,
            )
    figure.update_xaxes(title=axis)
    figure.update_yaxes(tickformat=".2~%", rangemode="tozero", row=2, col=2)
    figure.update_yaxes(rangemode="tozero", row=1, col=2)  # an L0 that hardly moves must not look wild
    if log:
        for i in range(3):
            figure.update_yaxes(type="log", row=1 + i // 2, col=1 + i % 2)
    figure.update_layout(legend={"orientation": "h", "y": -0.13})
    return _finish(figure, height)


def points_each(n_runs: int) -> int:
    """How many points a curve may have where this many runs are shown."""
    return max(50, min(MOST, ALL // max(1, len(TITLES) * n_runs)))


def _curve(
    run: "TrainingRun", name: str, axis: str, window: int, most: int, style: tuple[str, str], label: str | None
) -> go.Scatter:
    log = run.log
    y = smoothed(log.series(name), window) if log else np.array([])
    kept = extremes(y, most)
    x = log.series(axis)[kept] if log else y
    return go.Scatter(
        x=x,
        y=np.round(y[kept], 6),
        mode="lines" if len(kept) > 1 else "markers",
        name=label_text(label or run.name, 60),
        legendgroup=run.name,
        showlegend=label is not None,
        line={"color": style[0], "dash": style[1], "width": 1.8},
        hovertemplate=f"{label_text(run.name, 60)}<br>%{{x:,}} {axis}: %{{y:.4g}}<extra></extra>",
    )


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


def judged_figure(rows: Sequence[dict[str, Any]], measure: str = "fvu", height: int = 420) -> go.Figure:
    """Judged dictionaries: a measure against L0, one trace a kind, bars of one standard error; each point carries its name in
    `customdata`. What it has to be compared with stands as a dotted line wherever it is known."""
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
    figure.update_layout(showlegend=True)
    return _finish(figure, height)


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
