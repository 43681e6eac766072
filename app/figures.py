"""The dashboard's clothes for figures: a template for light and one for dark, type, margins, sizes.

The figures themselves are made in `probe.figures` and `circuits.figures`. Only scatter, bar and heatmap traces may be used: the
plotly bundle shipped in `assets/` draws no WebGL.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from app.components.drawn import shrink
from probe.figures import lens_figure as plain_lens
from probe.figures import pattern_figure as plain_pattern
from probe.figures import plain
from probe.figures_compared import divergence_figure as plain_divergence
from probe.figures_norms import growth_figure
from probe.figures_norms import norm_figure as plain_norms

if TYPE_CHECKING:
    from probe.compared import ComparedPrompts
    from probe.heads import HeadPatterns
    from probe.lens import LensResult

_INK = {"light": ("#3f4856", "#e9e6df", "#cfcbc1", "#ffffff"), "dark": ("#b4bcc8", "#262c35", "#3d4552", "#191d24")}
_MONO = {"family": "JetBrains Mono, monospace", "size": 11}
_MAX_SIDE = 360  # in single precision, less than a megabyte
FEW = 16  # layers; the lens of fewer is lower than what stands beside it
BESIDE = 9  # positions; a wider lens gets the whole page, with what follows it below
_CELLS, _CHARACTER = 1000, 6.6  # pixels: all cells of a row on a page of usual width, and one character in them


def _template(scheme: str) -> dict[str, Any]:
    ink, grid, line, paper = _INK[scheme]
    axis = {
        "gridcolor": grid,
        "linecolor": line,
        "zeroline": False,
        "tickcolor": line,
        "ticks": "",
        "automargin": True,
        "title": {"standoff": 8, "font": {"size": 12}},
    }
    return {
        "data": {"heatmap": [{"colorbar": {"outlinewidth": 0, "ticks": ""}}]},
        "layout": {
            "autotypenumbers": "strict",
            "hovermode": "closest",
            "title": {"x": 0.05},
            "font": {"family": "Inter, system-ui, sans-serif", "size": 12, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": ["#0a6ebd", "#e69f00", "#1c9a7a", "#b36ba0", "#56b4e9", "#c8561b"],
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": "#10151d",
                "bordercolor": "#333b47",
                "align": "left",
                "font": {"family": "Inter, sans-serif", "size": 12, "color": "#f2f4f7"},
            },
            "margin": {"l": 60, "r": 16, "t": 12, "b": 48},
            "coloraxis": {"colorbar": {"outlinewidth": 0, "thickness": 10}},
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": ink,
                "activecolor": paper if scheme == "dark" else "#2f5d8c",
            },
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        },
    }


TEMPLATES = {scheme: _template(scheme) for scheme in _INK}


def tilt(always: bool) -> dict[str, Any]:
    """For an axis of words: tilted, or flat for as long as they do not touch in the window as it is."""
    return {"tickangle": -40} if always else {"tickangle": None, "autotickangles": [0, -40]}


def dress(figure: go.Figure, scheme: str, **layout: Any) -> go.Figure:
    """Give a figure the template of a colour scheme, and take its own type and height away; the page sets the height.

    The template takes the place of plotly's own: `update_layout` would merge the two, which takes 60 ms and is sent each time.
    """
    figure.layout.template = TEMPLATES.get(scheme, TEMPLATES["light"])
    figure.layout.font = {}
    figure.layout.height = None
    for trace in figure.data:
        if trace.type == "heatmap" and trace.showscale is not False:
            trace.colorbar.title.font.size = 11
            trace.colorbar.tickfont.size = 10
        if trace.type == "bar" and trace.error_y.array is not None:  # plotly's own colour is lost on dark
            trace.error_y.color = _INK.get(scheme, _INK["light"])[0]
    figure.update_layout(**layout)
    return figure


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
    figure, slanted = plain_norms(lens), len(lens.tokens) > 12
    figure.update_xaxes(**tilt(slanted), tickfont=_MONO, showgrid=False, title=None)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 62, "r": 8, "t": 8, "b": 76 if slanted else 34})


def divergence_figure(found: "ComparedPrompts", scheme: str = "light") -> go.Figure:
    """KL between two prompts' predictions, dressed."""
    figure, many = plain_divergence(found), len(found.alignment.columns) > 6
    figure.update_xaxes(**tilt(many), tickfont=_MONO, showgrid=False)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 62, "r": 8, "t": 8, "b": 110 if many else 40})


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


def pattern_figure(heads: "HeadPatterns", layer: int, head: int, scheme: str = "light") -> go.Figure:
    """One head's pattern, dressed; of long prompts the maxima of blocks, at most `_MAX_SIDE` each way."""
    block = -(-len(heads.tokens) // _MAX_SIDE)
    if block > 1:
        one = shrink(heads.patterns[layer : layer + 1, head : head + 1], _MAX_SIDE)
        heads = replace(heads, patterns=one, tokens=heads.tokens[::block], metrics={})
        figure = plain_pattern(heads, 0, 0)
    else:
        figure = plain_pattern(heads, layer, head)
    n = len(heads.tokens)
    pattern = np.round(np.asarray(figure.data[0].z, dtype=np.float32), 4)
    figure.update_traces(
        z=np.where(np.tri(n, dtype=bool), pattern, np.float32(np.nan)),
        hoverongaps=False,
        colorbar={"thickness": 10, "outlinewidth": 0},
    )
    if n <= 80:
        names = [plain(t, 24) for t in heads.tokens]
        words = [[f"{names[q]} ({q}) attends to {names[k]} ({k})" for k in range(n)] for q in range(n)]
        figure.update_traces(customdata=words, hovertemplate="%{customdata}: %{z:.3f}<extra></extra>")
    figure.update_xaxes(**tilt(n > 6), tickfont=_MONO, showgrid=False, title="key: attended to", constrain="domain")
    figure.update_yaxes(tickfont=_MONO, showgrid=False, title="query: attends", scaleanchor="x", constrain="domain")
    return dress(figure, scheme, title=None, margin={"l": 96, "r": 8, "t": 8, "b": 84 if n > 6 else 50})
