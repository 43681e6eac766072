"""One head's pattern in the page's clothes; `probe.heads.figures` draws it."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from app.figures.dress import MONO, dress, tilt
from probe.show.labels import put

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns


def pattern_figure(heads: "HeadPatterns", layer: int, head: int, scheme: str = "light") -> go.Figure:
    """Its cells are square."""
    figure, long = heads.figure(layer, head), len(heads.tokens) > 6
    put(figure.layout.xaxis, **tilt(long), tickfont=MONO, showgrid=False, constrain="domain")
    put(figure.layout.yaxis, tickfont=MONO, showgrid=False, scaleanchor="x", constrain="domain")
    return dress(figure, scheme, title=None, margin={"l": 96, "r": 8, "t": 8, "b": 84 if long else 50})
