"""Figures in the light and dark clothes of the page."""

import plotly.graph_objects as go
from flask import has_request_context, request

from probe.artifacts.json import Json
from probe.show.labels import put

_INK = {"light": ("#3f4856", "#e9e6df", "#cfcbc1", "#ffffff"), "dark": ("#b4bcc8", "#262c35", "#3d4552", "#191d24")}
MONO = {"family": "JetBrains Mono, monospace", "size": 11}


def _template(scheme: str) -> Json:
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
            "xaxis": {**axis, "autotickangles": [0, -40]},  # words lie flat for as long as they do not touch
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


def worn() -> str:
    """`light` or `dark`: what the browser that asks wears, as `early-scheme.js` said; light outside of a request."""
    return "dark" if has_request_context() and request.cookies.get("openwork_scheme") == "dark" else "light"


def tilt(always: bool) -> Json:
    """For an axis of words: tilted, or flat for as long as they do not touch in the window as it is."""
    return {"tickangle": -40} if always else {"tickangle": None, "autotickangles": [0, -40]}


TEMPLATES = {scheme: _template(scheme) for scheme in _INK}


def dress(figure: go.Figure, scheme: str, **layout: object) -> go.Figure:
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
        if trace.type == "scatter" and "markers" in (trace.mode or ""):
            trace.cliponaxis = False  # a point on an axis is a whole point
        if trace.type == "bar" and trace.error_y.array is not None:  # plotly's own colour is lost on dark
            trace.error_y.color = _INK.get(scheme, _INK["light"])[0]
    put(figure.layout, **layout)
    return figure
