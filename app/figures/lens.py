"""The lens figures of the page, sized for it."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from app.figures.dress import _MONO, dress
from probe.artifacts.json import Json
from probe.lens.figures import lens_figure as plain_lens
from probe.lens.norm_figures import growth_figure
from probe.lens.norm_figures import norm_figure as plain_norms
from probe.show.labels import plain

if TYPE_CHECKING:
    from probe.lens.logit import LensResult

_MAX_SIDE = 360  # in single precision, less than a megabyte
FEW = 16  # layers; the lens of fewer is lower than what stands beside it
BESIDE = 9  # positions; a wider lens gets the whole page, with what follows it below
_CELLS, _CHARACTER = 1000, 6.6  # pixels: all cells of a row on a page of usual width, and one character in them


def tilt(always: bool) -> Json:
    """For an axis of words: tilted, or flat for as long as they do not touch in the window as it is."""
    return {"tickangle": -40} if always else {"tickangle": None, "autotickangles": [0, -40]}


def lens_figure(lens: "LensResult", colour: str = "probability", scheme: str = "light") -> go.Figure:
    """The logit lens, dressed; tilted token names where they would not fit beside each other."""
    figure = plain_lens(lens, colour)
    many, slanted = len(lens.tokens) > 64, len(lens.tokens) > 12
    figure.update_traces(
        xgap=0 if many else 1,
        ygap=0 if many else 1,
        textfont={**_MONO, "size": 10.5},
        colorbar={"thickness": 10, "outlinewidth": 0},
    )
    if figure.data[0].text is not None and len(lens.tokens) > BESIDE:
        room = max(3, int(_CELLS / len(lens.tokens) / _CHARACTER))
        figure.update_traces(text=[[plain(cell[0], min(9, room)) for cell in row] for row in lens.top_tokens])
    return _over_tokens(figure, slanted, scheme)


def _over_tokens(figure: go.Figure, slanted: bool, scheme: str) -> go.Figure:
    """Dressed, with the tokens below it and no lines between them."""
    figure.update_xaxes(**tilt(slanted), tickfont=_MONO, showgrid=False, title=None)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 62, "r": 8, "t": 8, "b": 76 if slanted else 34})


def lens_height(layers: int, positions: int) -> int:
    """Pixels: rows high enough for their words where there are words."""
    return int(np.clip(layers * (19 if layers * positions <= 26 * 64 else 13) + 90, 260, 900))


def forming_figure(lens: "LensResult", pos: int, scheme: str = "light") -> go.Figure:
    """Entropy and KL to the final prediction, layer by layer, at one position."""
    figure = go.Figure()
    for name, values, colour in (("KL to final", lens.kl, "#0a6ebd"), ("entropy", lens.entropy, "#e69f00")):
        y = np.round(np.asarray(values)[:, pos].astype(float), 4)
        figure.add_scatter(
            x=list(range(len(y))),
            y=y,
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 4},
            hovertemplate=name + " %{y:.3f} nats<extra></extra>",
        )
    every = -(-len(lens.layers) // 8)
    at = list(range(0, len(lens.layers), every))
    figure.update_xaxes(tickvals=at, ticktext=[lens.layers[i] for i in at], title="layer", showgrid=False)
    seen = np.stack([lens.kl[:, pos], lens.entropy[:, pos]]).astype(float)
    figure.update_yaxes(title="nats", range=[0, 1.08 * float(seen[np.isfinite(seen)].max(initial=0)) or 1.0])
    return dress(
        figure, scheme, margin={"l": 44, "r": 6, "t": 26, "b": 40}, hovermode="x unified", legend={"y": 1.04, "x": 0}
    )


def norms_figure(lens: "LensResult", scheme: str = "light") -> go.Figure:
    """Norms of the residual stream by layer and position, dressed."""
    return _over_tokens(plain_norms(lens), len(lens.tokens) > 12, scheme)


def growing_figure(lens: "LensResult", pos: int, scheme: str = "light") -> go.Figure:
    """The norm at one position by layer, dressed."""
    figure = growth_figure(lens, pos)
    return dress(
        figure,
        scheme,
        margin={"l": 50, "r": 6, "t": 30, "b": 40},
        hovermode="x unified",
        legend={"y": 1.04, "yanchor": "bottom", "x": 0},
    )
