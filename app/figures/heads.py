"""The figures of the heads page: made in `probe`, dressed here, with the selection outlined."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from app.figures.dress import dress, tilt
from probe.heads.figures import pattern_figure as plain_pattern
from probe.heads.figures import pattern_with_margins
from probe.heads.margins import entropy, received
from probe.heads.scores import SCORES, SIGNED, HeadTable
from probe.show.array_figures import grid_figure
from probe.show.labels import put

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns

_EDGE = {"light": "#c8561b", "dark": "#f08a52"}
_MONO = {"family": "JetBrains Mono, monospace", "size": 11}


def head_grid(table: HeadTable, metric: str, chosen: str | None, scheme: str) -> go.Figure:
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


def pattern_marked(heads: "HeadPatterns", layer: int, head: int, query: int, key: int, scheme: str) -> go.Figure:
    """A head's pattern with its margins; the selected query and key outlined."""
    pattern = np.tril(heads.patterns[layer, head].astype(float))
    figure = pattern_with_margins(pattern, heads.tokens, received(pattern), entropy(pattern))
    long = len(heads.tokens) > 6
    figure.update_layout(xaxis={"tickfont": _MONO, **tilt(long)}, yaxis={"tickfont": _MONO})
    _outline(figure, key, query, scheme)
    return dress(figure, scheme, title=None, margin={"l": 100, "r": 8, "t": 8, "b": 90 if long else 56})


def _outline(figure: go.Figure, x: int, y: int, scheme: str) -> None:
    line = {"color": _EDGE.get(scheme, _EDGE["light"]), "width": 2.5}
    figure.add_shape(type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line=line, layer="above")


def pattern_figure(heads: "HeadPatterns", layer: int, head: int, scheme: str = "light") -> go.Figure:
    """One head's pattern, dressed, its cells square."""
    figure, long = plain_pattern(heads, layer, head), len(heads.tokens) > 6
    put(figure.layout.xaxis, **tilt(long), tickfont=_MONO, showgrid=False, constrain="domain")
    put(figure.layout.yaxis, tickfont=_MONO, showgrid=False, scaleanchor="x", constrain="domain")
    return dress(figure, scheme, title=None, margin={"l": 96, "r": 8, "t": 8, "b": 84 if long else 50})
