"""The curves of training runs as figures: one run, or several over each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.show.beside import draws
from probe.show.labels import _finish, label_text
from probe.training.run_logs.compare_runs import short_names
from probe.training.run_logs.curves import extremes, points_each
from probe.training.run_logs.curves import smoothed as smooth
from probe.training.run_logs.runs_on_disk import SMOOTHED

if TYPE_CHECKING:
    from probe.training.run_logs.compare_runs import RunComparison
    from probe.training.run_logs.runs_on_disk import TrainingRun

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
    window: lines of the log behind each point (1: as logged).

    >>> len(ow.runs_figure(ow.runs()).data) > 0
    True
    """
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
    figure.update_layout(legend={"orientation": "h", "y": -0.12, "yanchor": "top"}, uirevision="curves")
    figure.update_annotations(font_size=12.5)
    return _finish(figure, height)


@draws
def run_figure(
    run: "TrainingRun | RunComparison",
    axis: str = "tokens",
    scale: str = "linear",
    smoothed: str = "as logged",
    height: int = 560,
) -> go.Figure:
    """The curves of one run, or of those that are compared. smoothed: one of `probe.training.run_logs.runs_on_disk.SMOOTHED`."""
    runs = getattr(run, "runs", [run])
    figure = runs_figure(runs, axis, log=scale == "log", window=SMOOTHED[smoothed], height=height)
    return figure.update_layout(showlegend=hasattr(run, "runs"), margin_b=90 if hasattr(run, "runs") else 60)


def _curve(
    run: "TrainingRun", name: str, axis: str, window: int, most: int, style: tuple[str, str], label: str | None
) -> go.Scatter:
    log = run.log
    y = smooth(log.series(name), window) if log else np.array([])
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
