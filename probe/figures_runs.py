"""Pictures of training runs over each other, and of evaluated dictionaries against each other.

Curves are thinned to `MOST` points each, keeping the lowest and highest of every stretch, so that no spike is lost. A smoothed
curve is the mean over the last so many log lines, and its title says so.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.figures import _finish, plain
from probe.run_log import extremes, smoothed

if TYPE_CHECKING:
    from probe.run_log import TrainingRun

MOST = 2000
"Most points of a curve."
ALL = 32_000
"Most points of all curves together, so that a figure of many runs stays below a megabyte."
TITLES = {
    "loss": "loss",
    "l0": "active latents per token (L0)",
    "fvu": "fraction of variance unexplained",
    "dead_share": "dead share",
}
PALETTE = ("#0a6ebd", "#e69f00", "#1c9a7a", "#b36ba0", "#56b4e9", "#c8561b", "#6a8f2a", "#7a5cc9", "#a08a00", "#5b6472")
DASHES = ("solid", "dash", "dot", "dashdot")


def run_styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a dash for each run. A run's colour comes from its name; where an earlier one has it, the next that is free is
    taken, so adding runs never changes the colours of those already shown."""
    taken: list[tuple[str, str]] = []
    for name in names:
        first = int(hashlib.blake2b(name.encode("utf8", "surrogatepass"), digest_size=4).hexdigest(), 16) % len(PALETTE)
        order = [(PALETTE[(first + i) % len(PALETTE)], dash) for dash in DASHES for i in range(len(PALETTE))]
        taken.append(next((style for style in order if style not in taken), order[0]))
    return dict(zip(names, taken, strict=True))


def runs_figure(
    runs: Sequence["TrainingRun"], axis: str = "tokens", *, log: bool = False, window: int = 1, height: int = 560
) -> go.Figure:
    """Loss, L0, FVU and dead share of several runs over `tokens` or `step`. log: logarithmic scales for all but the dead share.
    window: lines of the log behind each point (1: as logged)."""
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=list(TITLES.values()), vertical_spacing=0.16, horizontal_spacing=0.09
    )
    styles, most = run_styles([run.name for run in runs]), points_each(len(runs))
    for run in runs:
        for i, name in enumerate(TITLES):
            figure.add_trace(
                _curve(run, name, axis, window, most, styles[run.name], i == 0), row=1 + i // 2, col=1 + i % 2
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
    run: "TrainingRun", name: str, axis: str, window: int, most: int, style: tuple[str, str], legend: bool
) -> go.Scatter:
    log = run.log
    y = smoothed(log.series(name), window) if log else np.array([])
    kept = extremes(y, most)
    x = log.series(axis)[kept] if log else y
    return go.Scatter(
        x=x,
        y=np.round(y[kept], 6),
        mode="lines" if len(kept) > 1 else "markers",
        name=plain(run.name, 60),
        legendgroup=run.name,
        showlegend=legend,
        line={"color": style[0], "dash": style[1], "width": 1.8},
        hovertemplate=f"{plain(run.name, 60)}<br>%{{x:,}} {axis}: %{{y:.4g}}<extra></extra>",
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
    "sae": "#b5632a",
    "transcoder": "#2a788e",
    "skip_transcoder": "#7a5cc9",
    "crosscoder": "#6a8f2a",
    "cross_layer_transcoder": "#b36ba0",
}


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
            "size": 10,
            "color": KIND_COLOURS.get(kind, "#5b6472"),
            "line": {"width": 1, "color": "rgba(255,255,255,.7)"},
        },
        name=plain(kind.replace("_", " "), 40),
        customdata=[r["name"] for r in rows],
        text=[f"{plain(str(r['name']), 60)}<br>{plain(str(r.get('rule', '')), 30)}" for r in rows],
        hovertemplate="%{text}<br>L0 %{x:.1f}<br>%{y:.4f}<extra></extra>",
    )


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
