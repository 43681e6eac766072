"""What a training measured as it went, as a figure. Runs as they stand on disk: `run_logs/figures.py`."""

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from probe.training.result import TrainResult

_PANELS = (
    ("fvu", "fraction of variance unexplained"),
    ("l0", "active latents per token"),
    ("dead_share", "dead share"),
)
_COLOUR, _BASELINE = "#2a788e", "#b5b5b5"
_MOST_POINTS = 1000


@draws
def result_figure(result: "TrainResult", height: int = 320) -> go.Figure:
    """FVU, L0 and dead share over the training."""
    return training_figure(result.metrics, height)


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
