"""Layers by positions as a map: of a long prompt a window, or all of it with several positions to a column; the axes of both."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from probe.lens.places import WINDOW
from probe.show.labels import put, token_axis

MOST, TEXTS = 512, 26 * 64
"""Columns of a map; cells that carry words."""


def part_of(n: int, extent: str, at: int) -> tuple[slice, int]:
    """The positions to show and how many share a column: all of up to 256, else a window around `at`, or all in blocks."""
    if n <= WINDOW:
        return slice(0, n), 1
    if extent == "all":
        return slice(0, n), -(-n // MOST)
    start = max(0, min(n - WINDOW, at % n - WINDOW // 2))
    return slice(start, start + WINDOW), 1


def positions(part: slice, block: int) -> list[float]:
    """Where the columns of a map stand: positions of the prompt, the middle of each block."""
    return [float(at + (min(block, part.stop - at) - 1) / 2) for at in range(part.start, part.stop, block)]


def in_blocks(
    values: Float[np.ndarray, "layer pos"], block: int, smallest: bool = False
) -> Float[np.ndarray, "layer column"]:
    """The largest (or smallest) of each `block` columns; NaN only where all of a block are."""
    if block == 1:
        return values
    many = -(-values.shape[1] // block)
    wide = np.full((len(values), many * block), np.inf if smallest else -np.inf)
    wide[:, : values.shape[1]] = np.where(np.isnan(values), wide[:, : values.shape[1]], values)
    cut = wide.reshape(len(values), many, block)
    found = cut.min(2) if smallest else cut.max(2)
    return np.where(np.isinf(found), np.nan, found)


def shown_part(n: int, part: slice, block: int) -> str:
    """What of a long prompt is shown."""
    if n <= WINDOW:
        return ""
    if block > 1:
        return f"{n:,} tokens, {block} to a column; each column shows its extreme"
    return f"positions {part.start} to {part.stop - 1} of {n:,}"


def over_tokens(figure: go.Figure, tokens: list[str], layers: list[str], part: slice, block: int = 1) -> go.Figure:
    """The axes: some of the positions across, named and tilted where they would touch; layers upwards."""
    many = part.stop - part.start
    at = list(range(part.start, part.stop, max(1, block, -(-many // 64))))
    names = {**token_axis([tokens[i] for i in at], 1), "tickvals": at}
    mono = {"family": "JetBrains Mono, monospace", "size": 10.5}
    tilted = {"tickangle": 0 if many <= 10 else -45, "tickfont": mono, "showgrid": False}
    put(
        figure.layout.xaxis,
        **names,
        **tilted,
        range=[part.start - 0.5, part.stop - 0.5],
        title=shown_part(len(tokens), part, block),
    )
    layer_axis(figure, layers, "y")
    return figure


def layer_axis(figure: go.Figure, layers: list[str], which: str, most: int = 16) -> None:
    """Some of the layers by their names, across or upwards."""
    at = list(range(0, len(layers), -(-len(layers) // most)))
    axis = {"tickvals": at, "ticktext": [layers[i] for i in at], "title": "layer", "showgrid": False}
    put(figure.layout.xaxis if which == "x" else figure.layout.yaxis, **axis)


def map_height(layers: int, columns: int) -> int:
    """Pixels of a map: rows high enough for their words where there are words."""
    return int(np.clip(layers * (19 if layers * columns <= TEXTS else 13) + 100, 280, 900))


def powers_of_ten(z: Float[np.ndarray, "layer column"]) -> dict[str, Any]:
    """Ticks of a bar whose colour is a logarithm."""
    if not np.isfinite(z).any():
        return {}
    low, high = int(np.floor(np.nanmin(z))), int(np.ceil(np.nanmax(z)))
    at = list(range(low, high + 1))
    return {"tickvals": at, "ticktext": [f"{10.0**i:,.0f}" if 0 <= i < 6 else f"10^{i}" for i in at]}
