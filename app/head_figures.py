"""The figures of the heads page: made in `probe`, dressed here, with the selection outlined."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import dress, tilt
from probe.figures_heads import grid_figure, pattern_with_margins
from probe.head_scores import SCORES, SIGNED

_EDGE = {"light": "#c8561b", "dark": "#f08a52"}
_MONO = {"family": "JetBrains Mono, monospace", "size": 11}


def head_grid(table: Any, metric: str, chosen: str | None, scheme: str) -> go.Figure:
    """All heads by one score; empty where it is not known yet."""
    layers, heads = table.scores["entropy"].shape
    values = table.scores.get(metric, np.full((layers, heads), np.nan))
    figure = grid_figure(values, SCORES[metric][0], metric in SIGNED)
    if chosen:
        layer, head = (int(n) for n in chosen.split("."))
        x, y = (layer, head) if layers >= heads else (head, layer)
        _outline(figure, x, y, scheme)
    figure.update_xaxes(tickangle=0, tickfont={"size": 10})
    return dress(figure, scheme, margin={"l": 36, "r": 8, "t": 8, "b": 26})


def pattern_marked(heads: Any, layer: int, head: int, query: int, key: int, scheme: str) -> go.Figure:
    """A head's pattern with its margins; the selected query and key outlined."""
    pattern = np.tril(heads.patterns[layer, head].astype(float))
    received = pattern.sum(0) / np.arange(len(pattern), 0, -1)
    entropy = -(pattern * np.log(np.maximum(pattern, 1e-30))).sum(1)
    figure = pattern_with_margins(pattern, heads.tokens, received, entropy)
    long = len(heads.tokens) > 6
    figure.update_layout(xaxis={"tickfont": _MONO, **tilt(long)}, yaxis={"tickfont": _MONO})
    _outline(figure, key, query, scheme)
    return dress(figure, scheme, title=None, margin={"l": 100, "r": 8, "t": 8, "b": 90 if long else 56})


def _outline(figure: go.Figure, x: int, y: int, scheme: str) -> None:
    line = {"color": _EDGE.get(scheme, _EDGE["light"]), "width": 2.5}
    figure.add_shape(type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line=line, layer="above")
