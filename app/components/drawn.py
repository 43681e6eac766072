"""What the browser draws from data: the token strip, tables of rows, head thumbnails.

Dash renders long lists of components slowly, and a token is hostile text. So each of these is an empty element, a store
with plain data, and a client-side function in `assets/` that writes with `textContent` and listens once.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from jaxtyping import Float

from app.components.parts import Name, part_of, store
from probe.heads.figures import shrink

if TYPE_CHECKING:
    from numpy import ndarray


Drawn = dict[str, Any]
"""Plain data of something that the browser draws: JSON, in the words of its function in `assets/`."""


def token_strip(name: Name, data: Drawn | None = None) -> html.Div:
    """A token strip; fill the store `NAME-data` with `strip_data`, here or later."""
    return html.Div(
        [store(part_of(name, "data"), data), html.Div(id=name, className="ow-strip", style={"minHeight": 30})]
    )


def rows(name: Name, height: int | None = None, data: Drawn | None = None) -> html.Div:
    """A table; fill the store `NAME-data` with `{columns, rows, note}`, here or later."""
    style = {"maxHeight": height} if height else {}
    return html.Div([store(part_of(name, "data"), data), html.Div(id=name, className="ow-rows-box", style=style)])


def thumbs(name: str) -> html.Div:
    """Head thumbnails; fill the store `NAME-data` with `thumbs_data`."""
    return html.Div([dcc.Store(id=f"{name}-data"), html.Div(id=name, className="ow-thumbs", style={"minHeight": 120})])


def register_strip(app: Dash, name: Name) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "strip"),
        Output(name, "data-drawn"),
        Input(part_of(name, "data"), "data"),
        Input("selection", "data"),
    )


def columns(name: Name, data: Drawn) -> html.Div:
    """Two rows of tokens as aligned columns (`assets/beside.js`)."""
    box = html.Div(id=name, className="ow-columns-box ow-data", style={"minHeight": 80})
    return html.Div([store(part_of(name, "data"), data), box])


def register_columns(app: Dash, name: Name) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "columns"),
        Output(name, "data-drawn"),
        Input(part_of(name, "data"), "data"),
        Input("selection", "data"),
    )


def register_rows(app: Dash, name: Name) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "rows"), Output(name, "data-drawn"), Input(part_of(name, "data"), "data")
    )


def register_thumbs(app: Dash, name: str, metric: str) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "heads"),
        Output(name, "data-drawn"),
        Input(f"{name}-data", "data"),
        Input("selection", "data"),
        Input(metric, "value"),
        Input("scheme", "data"),
    )


def strip_data(
    tokens: Sequence[str],
    ids: Sequence[int] | None = None,
    values: Float[np.ndarray, " pos"] | None = None,
    *,
    label: str = "",
    unit: str = "",
    key: str = "token",
) -> Drawn:
    """Data of a strip; `values` colour the tokens from 0 to their largest, in two colours where some are below 0; NaN leaves
    a token uncoloured. key: the part of the selection that a click sets.
    """
    found: dict[str, Any] = {
        "tokens": list(tokens),
        "ids": None if ids is None else [int(i) for i in ids],
        "label": label,
        "unit": unit,
    }
    if key != "token":
        found["key"] = key
    if values is None or not np.isfinite(values).any():
        return {**found, "values": None}
    finite = values[np.isfinite(values)]
    low, top = min(0.0, float(finite.min())), float(finite.max())
    return {
        **found,
        "values": [float(f"{v:.5g}") if np.isfinite(v) else None for v in values],
        "lo": low,
        "hi": max(top, 0.0) or (0.0 if low < 0 else 1.0),
    }


DENSE, _SPARSE = 256, 16  # tokens up to which all goes to the browser; beyond, the strongest of each row


def rows_of_bytes(values: Float[np.ndarray, "token token"]) -> Drawn:
    """What a strip shows while a token is pointed at, from 0 to 1: a row for each token."""
    n, small = len(values), np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    if n <= DENSE:
        return {"n": n, "dense": base64.b64encode(small.tobytes()).decode()}
    best = np.argsort(-small, axis=1, kind="stable")[:, :_SPARSE]
    return {"n": n, "rows": [[[int(k), int(small[i, k])] for k in best[i] if small[i, k] > 0] for i in range(n)]}


def thumbs_data(
    patterns: Float[np.ndarray, "layer head q_pos k_pos"],
    metrics: "Mapping[str, ndarray]",
    names: dict[str, str],
    side: int = 40,
) -> Drawn:
    """Patterns as bytes (square root, so that weak attention shows), block maxima beyond `side`; metrics scaled to 0..1."""
    small = shrink(patterns, side)
    layers, heads, n, _ = small.shape
    scaled = (np.sqrt(np.clip(small, 0, 1)) * 255).astype(np.uint8)
    raw = {k: np.nan_to_num(np.asarray(v, dtype=float)).ravel() for k, v in metrics.items()}
    return {
        "data": base64.b64encode(scaled.tobytes()).decode(),
        "layers": layers,
        "heads": heads,
        "side": n,
        "names": {k: names.get(k, k) for k in raw},
        "raw": {k: [round(float(x), 4) for x in v] for k, v in raw.items()},
        "metrics": {k: [round(float(x), 3) for x in v / max(1.0, float(v.max(initial=0)))] for k, v in raw.items()},
    }
