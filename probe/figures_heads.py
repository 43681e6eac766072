"""Pictures of attention heads: the grid of all heads by one number, and one head's pattern with its margins."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from probe.figures import SEQUENTIAL, SIGNED, _finish, label_text, plain, token_axis

if TYPE_CHECKING:
    from probe.head_reading import HeadReading

_SIDE = 360  # cells each way that a page draws: in single precision, less than a megabyte


def grid_figure(
    values: Float[np.ndarray, "layer head"], label: str, signed: bool = False, height: int | None = None
) -> go.Figure:
    """One cell a head; the longer of the two axes runs to the right."""
    wide = values.shape[0] >= values.shape[1]
    z = values.T if wide else values
    size = float(np.nanmax(np.abs(values), initial=0)) or 1.0
    names = [[f"L{x if wide else y}H{y if wide else x}" for x in range(z.shape[1])] for y in range(z.shape[0])]
    trace = go.Heatmap(
        z=np.round(z.astype(float), 5),
        customdata=names,
        colorscale=SIGNED if signed else SEQUENTIAL,
        zmin=-size if signed else min(0.0, float(np.nanmin(values, initial=0))),
        zmax=size,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        colorbar={"title": {"text": label, "side": "right"}, "thickness": 10, "outlinewidth": 0},
        hovertemplate=f"%{{customdata}}: {label_text(label, 60)} %{{z:.3f}}<extra></extra>",
    )
    figure = go.Figure(trace)
    across, down = ("L", "H") if wide else ("H", "L")
    for name, letter, count in (("x", across, z.shape[1]), ("y", down, z.shape[0])):
        at = list(range(0, count, -(-count // 18)))
        axis = {"tickvals": at, "ticktext": [f"{letter}{i}" for i in at], "showgrid": False}
        figure.update_xaxes(**axis) if name == "x" else figure.update_yaxes(**axis)
    figure.update_yaxes(autorange="reversed")
    return _finish(figure, height or 80 + 24 * z.shape[0])


def head_figure(reading: "HeadReading", height: int = 560) -> go.Figure:
    """Queries downwards, keys across; above, the mean attention each key receives; beside, the entropy of each query."""
    return pattern_with_margins(reading.pattern, reading.tokens, reading.received, reading.entropy, height)


def pattern_with_margins(
    pattern: Float[np.ndarray, "q_pos k_pos"],
    tokens: list[str],
    received: Float[np.ndarray, " k_pos"],
    entropy: Float[np.ndarray, " q_pos"],
    height: int = 560,
) -> go.Figure:
    """See `head_figure`; of long prompts the largest of blocks, positions stay those of the prompt."""
    block = -(-len(tokens) // _SIDE)
    at = np.arange(0, len(tokens), block)
    z = np.where(np.tri(len(at), dtype=bool), blocked(pattern, block), np.nan)
    middle = at + (block - 1) / 2
    figure = go.Figure()
    figure.add_heatmap(
        x=middle,
        y=middle,
        z=np.round(z.astype(np.float32), 4),
        customdata=_words(tokens) if len(tokens) <= 80 else None,
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=1,
        hoverongaps=False,
        colorbar={
            "title": {"text": "attention", "side": "right"},
            "thickness": 10,
            "outlinewidth": 0,
            "len": 0.82,
            "y": 0.41,
        },
        hovertemplate=("%{customdata}" if len(tokens) <= 80 else "query %{y}, key %{x}") + ": %{z:.3f}<extra></extra>",
    )
    bar = {"marker": {"color": "#4f8bc3", "line": {"width": 0}}, "showlegend": False}
    figure.add_bar(
        x=middle,
        y=_largest(received, block),
        yaxis="y2",
        hovertemplate="key %{x}: receives %{y:.3f} on average<extra></extra>",
        **bar,
    )
    figure.add_bar(
        x=_largest(entropy, block),
        y=middle,
        xaxis="x2",
        orientation="h",
        hovertemplate="query %{y}: entropy %{x:.3f} nats<extra></extra>",
        **bar,
    )
    names = token_axis(tokens, max(1, len(tokens) // 40))
    edge = [-0.5, len(tokens) - 0.5]
    figure.update_layout(
        xaxis={**names, "range": edge, "domain": [0, 0.84], "title": "key: attended to"},
        yaxis={**names, "range": edge[::-1], "domain": [0, 0.82], "title": "query: attends"},
        xaxis2={
            "domain": [0.86, 1],
            "title": "entropy",
            "nticks": 3,
            "tickangle": 0,
            "tickfont": {"size": 10},
            "rangemode": "tozero",
        },
        yaxis2={"domain": [0.85, 1], "title": "received", "nticks": 3, "rangemode": "tozero"},
        bargap=0.15,
    )
    finished = _finish(figure, height)
    finished.update_layout(xaxis={"showgrid": False}, yaxis={"showgrid": False})
    return finished


def blocked(pattern: Float[np.ndarray, "q_pos k_pos"], block: int) -> Float[np.ndarray, "q k"]:
    """The largest entry of each square block."""
    if block == 1:
        return pattern
    n = len(pattern)
    many = -(-n // block)
    wide = np.zeros((many * block, many * block), pattern.dtype)
    wide[:n, :n] = pattern
    return wide.reshape(many, block, many, block).max(axis=(1, 3))


def _largest(values: Float[np.ndarray, " pos"], block: int) -> Float[np.ndarray, " shown"]:
    many = -(-len(values) // block)
    wide = np.zeros(many * block)
    wide[: len(values)] = values
    return np.round(wide.reshape(many, block).max(1), 5)


def _words(tokens: list[str]) -> list[list[str]]:
    """What a cell's tooltip says."""
    names = [plain(t, 24) for t in tokens]
    every = range(len(tokens))
    return [[f"{names[q]} ({q}) attends to {names[k]} ({k})" for k in every] for q in every]
