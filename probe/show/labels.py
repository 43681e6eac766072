"""What all figures share: labels of tokens as plain text, axes, colours, and one array of layers by heads."""

from typing import Any

import plotly.graph_objects as go

from probe.show.html import shaped, shown
from probe.words import clip

CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
SEQUENTIAL, SIGNED = "Viridis", "RdBu"
CELLS = 26 * 64
"Most cells that carry a text; more are slow to draw and too small to read."


def plain(text: str, width: int = 12) -> str:
    """Text safe inside plotly labels: shown spaces and controls, cut to `width`, `& < >` escaped."""
    return shaped(clip(shown(text), width)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label_text(text: str, width: int = 40) -> str:
    """A name, a label or a title safe inside plotly labels: its spaces are spaces. `plain` is for single tokens."""
    short = "".join(c if c.isprintable() else " " for c in clip(text, width))
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def token_axis(tokens: list[str], every: int | None = None) -> dict[str, Any]:
    """Tick values and texts for an axis of token positions."""
    step = every or max(1, len(tokens) // 64)
    at = list(range(0, len(tokens), step))
    return {"tickmode": "array", "tickvals": at, "ticktext": [plain(tokens[i]) for i in at]}


def _finish(figure: go.Figure, height: int) -> go.Figure:
    """Margins, a transparent ground and grey lines, so that a figure sits in light and dark pages."""
    for axis in (*figure.select_xaxes(), *figure.select_yaxes()):
        put(axis, gridcolor="rgba(128,128,128,0.2)", zerolinecolor="rgba(128,128,128,0.4)")
    put(
        figure.layout,
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
    )
    return figure


def put(part: Any, **values: Any) -> None:
    """Set properties of a layout or an axis; mappings are merged into what is there. plotly's own `update_layout` and
    `update_xaxes` do the same in four times the time, which is most of what a figure takes."""
    for name, value in values.items():
        held = part[name] if isinstance(value, dict) else None
        part[name] = {**held.to_plotly_json(), **value} if held is not None else value
