"""The figures of the lens page: made in `probe`, dressed here; long prompts show a window, or all of them in blocks."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from app.figures.dress import dress
from probe.artifacts.json import Json
from probe.lens.figures import follow_figure, follow_map, in_blocks, positions, window_axis
from probe.show.labels import plain

if TYPE_CHECKING:
    from probe.lens.follow import TokenThroughLayers
    from probe.lens.logit import LensResult


WINDOW, MOST = 256, 512
COLOURS = {
    "probability": ("probability", "Viridis"),
    "entropy": ("entropy (nats)", "Cividis"),
    "kl": ("KL to the final prediction (nats)", "Cividis"),
    "rank": ("1 + rank of the final prediction", "Cividis_r"),
    "norm": ("length of the residual stream", "Cividis"),
}
"""What can colour the lens: the label of its bar and its scale."""
_MONO = {"family": "JetBrains Mono, monospace", "size": 10.5}
_TEXTS, _PIXELS, _CHARACTER = 26 * 64, 1080, 6.6
_MARGIN = {"l": 62, "r": 8, "t": 8, "b": 84}


def part_of(n: int, at: int, whole: bool) -> tuple[slice, int]:
    """The positions to show and how many share a column: all of up to 256, else a window around `at`, else all in blocks."""
    if n <= WINDOW:
        return slice(0, n), 1
    if whole:
        return slice(0, n), -(-n // MOST)
    start = max(0, min(n - WINDOW, at - WINDOW // 2))
    return slice(start, start + WINDOW), 1


def lens_map(
    lens: "LensResult", colour: str, part: slice, block: int, chosen: tuple[int, int] | None, scheme: str
) -> go.Figure:
    """Layer (upwards) by position; each cell the likeliest next token where there is room for words."""
    label, scale = COLOURS[colour]
    values = _values(lens, colour)[:, part]
    shown = in_blocks(values, block, smallest=colour == "rank")
    logged = colour in ("rank", "norm")
    z = np.log10(np.maximum(shown, 1e-9) + (colour == "rank")) if logged else shown
    text = _words(lens, part) if block == 1 and z.size <= _TEXTS else None
    trace = go.Heatmap(
        x=positions(part, block),
        z=np.round(z, 4),
        text=text,
        texttemplate="%{text}" if text else None,
        textfont=_MONO,
        customdata=_hover(lens, part, shown, label) if block == 1 and z.size <= 4 * _TEXTS else None,
        colorscale=scale,
        zmin=0 if colour != "norm" else None,
        zmax=1 if colour == "probability" else None,
        xgap=1 if text else 0,
        ygap=1 if text else 0,
        colorbar={"title": {"text": label, "side": "right"}, "thickness": 10, "outlinewidth": 0, **_ticks(logged, z)},
        hovertemplate="layer %{y}, position %{x}<br>%{customdata}<extra></extra>",
    )
    if trace.customdata is None:
        trace.hovertemplate = f"layer %{{y}}, position %{{x}}: {label} %{{z:.3f}}<extra></extra>"
    figure = go.Figure(trace)
    layers = list(range(0, len(lens.layers), max(1, len(lens.layers) // 16)))
    figure.update_yaxes(tickvals=layers, ticktext=[lens.layers[i] for i in layers], title="layer", showgrid=False)
    figure.update_xaxes(**window_axis(lens.tokens, part, block), **_names(part), showgrid=False)
    _outline(figure, chosen, part, scheme)
    return dress(figure, scheme, margin=_margin(part))


def _names(part: slice) -> Json:
    """Names of tokens beside each other where there is room, else tilted."""
    return {"tickangle": 0 if _few(part) else -45, "tickfont": _MONO}


def _few(part: slice) -> bool:
    return part.stop - part.start <= 10


def _margin(part: slice) -> dict[str, int]:
    return {**_MARGIN, "b": 34} if _few(part) else _MARGIN


def _values(lens: "LensResult", colour: str) -> np.ndarray:
    names = {"entropy": "entropy", "kl": "kl", "rank": "rank_of_final", "norm": "resid_norm"}
    values = lens.top_probs[..., 0] if colour == "probability" else getattr(lens, names[colour])
    return np.asarray(values, dtype=float)


def _ticks(logged: bool, z: np.ndarray) -> Json:
    """Powers of ten on the bar of a logarithmic colour."""
    if not logged or not np.isfinite(z).any():
        return {}
    low, high = int(np.floor(np.nanmin(z))), int(np.ceil(np.nanmax(z)))
    at = list(range(low, high + 1))
    return {"tickvals": at, "ticktext": [f"{10.0**i:,.0f}" if 0 <= i < 6 else f"10^{i}" for i in at]}


def _words(lens: "LensResult", part: slice) -> list[list[str]]:
    """The likeliest tokens, cut to what a cell holds."""
    room = max(3, min(10, int(_PIXELS / (part.stop - part.start) / _CHARACTER)))
    return [[plain(tokens[0], room) for tokens in layer[part]] for layer in lens.top_tokens]


def _hover(lens: "LensResult", part: slice, shown: np.ndarray, label: str) -> list[list[str]]:
    """The first tokens of each cell."""
    rows = []
    for i, layer in enumerate(lens.top_tokens):
        cells = []
        for j, tokens in enumerate(layer[part]):
            first = zip(tokens[:4], lens.top_probs[i, part.start + j], strict=False)
            lines = [f"{plain(t, 24)}  {p:.3f}" for t, p in first]
            cells.append("<br>".join([*lines, f"{label} {shown[i, j]:.3g}"]))
        rows.append(cells)
    return rows


def _outline(figure: go.Figure, chosen: tuple[int, int] | None, part: slice, scheme: str) -> None:
    """The selected layer and position."""
    if chosen is None or not part.start <= chosen[1] < part.stop:
        return
    colour, (layer, at) = "#c8561b" if scheme == "light" else "#f08a52", chosen
    box: dict[str, Any] = {"type": "rect", "x0": at - 0.5, "x1": at + 0.5, "layer": "above"}
    figure.add_shape(**box, y0=0, y1=1, yref="paper", line={"color": colour, "width": 1}, opacity=0.6)
    figure.add_shape(**box, y0=layer - 0.5, y1=layer + 0.5, line={"color": colour, "width": 2.5})


def followed_lines(found: "TokenThroughLayers", at: int, quantity: str, layer: int, scheme: str) -> go.Figure:
    """The followed tokens at the selected position."""
    figure = follow_figure(found, at, quantity)
    figure.add_vline(x=layer, line={"width": 1, "dash": "dot", "color": "#8a919c"})
    return dress(figure, scheme, margin={"l": 62, "r": 8, "t": 34, "b": 44})


def followed_map(
    found: "TokenThroughLayers",
    which: int,
    quantity: str,
    part: slice,
    block: int,
    chosen: tuple[int, int] | None,
    scheme: str,
) -> go.Figure:
    """One followed token at all layers and positions."""
    figure = follow_map(found, which, quantity, part, block)
    figure.update_xaxes(**_names(part))
    _outline(figure, chosen, part, scheme)
    return dress(figure, scheme, margin=_margin(part))


def height(layers: int, columns: int) -> int:
    """Pixels of a map: rows high enough for their words where there are words."""
    return int(np.clip(layers * (19 if layers * columns <= _TEXTS else 13) + 100, 280, 900))
