"""The logit lens as figures: predictions by layer and position, how one forms, and what norms do to them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from probe.errors import BadInput
from probe.show.array_figures import grid_figure
from probe.show.beside import draws
from probe.show.labels import CELLS, SEQUENTIAL, _finish, plain, token_axis

if TYPE_CHECKING:
    from probe.lens.direct import DirectLogits
    from probe.lens.follow import TokenThroughLayers
    from probe.lens.logit import LensResult

QUANTITIES = {"probability": "probability", "rank": "rank (0 is the likeliest)", "logit": "logit"}
"""What can be shown of a followed token, with the name of its axis."""
_FLOOR = -8.0  # log10 of the smallest probability that has a colour of its own
_COLOURS = ("#0a6ebd", "#e69f00", "#1c9a7a", "#b36ba0")


@draws
def direct_figure(found: "DirectLogits", pos: int = -1) -> go.Figure:
    """Every head's share at one position."""
    return grid_figure(found.heads[..., pos], "adds to the logit", signed=True)


def values_of(found: "TokenThroughLayers", quantity: str) -> Float[np.ndarray, "followed layer pos"]:
    """Probabilities, ranks or logits; NaN where there is no token to follow."""
    if quantity not in QUANTITIES:
        raise BadInput(f"A followed token has {', '.join(QUANTITIES)}; not '{quantity}'.")
    if quantity == "rank":
        return np.where(found.ranks < 0, np.nan, found.ranks).astype(float)
    return np.asarray(np.exp(found.log_probs) if quantity == "probability" else found.logits, dtype=float)


@draws
def follow_figure(
    found: "TokenThroughLayers", pos: int = -1, quantity: str = "probability", height: int = 320
) -> go.Figure:
    """One line for each followed token; ranks on a logarithmic axis of 1 + rank, the best on top."""
    figure, values = go.Figure(), values_of(found, quantity)[..., pos]
    pos = pos % len(found.tokens)
    for i, name in enumerate(found.followed):
        if found.ids[i][pos] < 0:  # nothing follows the last token
            continue
        own = {"final": "the final prediction ", "next": "what really follows "}.get(name, "")
        y = values[i] + 1 if quantity == "rank" else values[i]
        figure.add_scatter(
            x=list(range(len(found.layers))),
            y=[None if np.isnan(v) else float(f"{v:.5g}") for v in y],
            customdata=[None if np.isnan(v) else f"{v:.4g}" for v in values[i]],
            name=own + plain(found.texts[i][pos], 20),
            mode="lines+markers",
            line={"width": 2, "color": _COLOURS[i % len(_COLOURS)]},
            marker={"size": 5},
            hovertemplate=f"{plain(found.texts[i][pos], 20)}: {quantity} %{{customdata}}<extra></extra>",
        )
    _layer_axis(figure, found.layers, "x")
    figure.update_yaxes(title=QUANTITIES[quantity] if quantity != "rank" else "1 + rank")
    if quantity == "rank":
        figure.update_yaxes(type="log", autorange="reversed", dtick=1)
    elif quantity == "probability":
        figure.update_yaxes(rangemode="tozero")
    figure.update_layout(
        showlegend=True, hovermode="x unified", legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    )
    return _finish(figure, height)


def follow_map(
    found: "TokenThroughLayers",
    which: int = 0,
    quantity: str = "probability",
    part: slice | None = None,
    block: int = 1,
) -> go.Figure:
    """Layer (upwards) by position, coloured by one followed token's quantity. part: positions to show; block: positions of
    which the largest (of ranks the smallest) stands for all."""
    part = part or slice(0, len(found.tokens))
    values = values_of(found, quantity)[which][:, part]
    if quantity == "probability":
        z = np.clip(np.log10(np.maximum(values, 1e-30)), _FLOOR, 0)
        z = np.where(np.isnan(values), np.nan, z)
    else:
        z = np.log10(1 + values) if quantity == "rank" else values
    z = in_blocks(z, block, smallest=quantity == "rank")
    shown = in_blocks(values, block, smallest=quantity == "rank")
    figure = go.Figure(
        go.Heatmap(
            x=positions(part, block),
            z=np.round(z, 4),
            customdata=[[None if np.isnan(v) else f"{v:.3g}" for v in row] for row in shown],
            colorscale="Viridis" if quantity != "rank" else "Viridis_r",
            hoverongaps=False,
            colorbar=_bar(quantity),
            zmin=_FLOOR if quantity == "probability" else 0 if quantity == "rank" else None,
            zmax=0 if quantity == "probability" else None,
            hovertemplate=f"layer %{{y}}, position %{{x}}: {quantity} %{{customdata}}<extra></extra>",
        )
    )
    _layer_axis(figure, found.layers, "y")
    figure.update_xaxes(**window_axis(found.tokens, part, block))
    return _finish(figure, 90 + 18 * len(found.layers))


def _bar(quantity: str) -> dict[str, Any]:
    bar: dict[str, Any] = {"thickness": 10, "outlinewidth": 0, "title": {"text": quantity, "side": "right"}}
    if quantity == "probability":
        bar |= {"tickvals": [0, -2, -4, -6, -8], "ticktext": ["1", "10⁻²", "10⁻⁴", "10⁻⁶", "≤10⁻⁸"]}
    if quantity == "rank":
        bar |= {"tickvals": [0, 1, 2, 3, 4, 5], "ticktext": ["0", "10", "100", "10³", "10⁴", "10⁵"]}
    return bar


def positions(part: slice, block: int) -> list[float]:
    """Where the columns of a map stand: positions of the prompt, the middle of each block."""
    return [float(at + (min(block, part.stop - at) - 1) / 2) for at in range(part.start, part.stop, block)]


def window_axis(tokens: list[str], part: slice, block: int = 1) -> dict[str, Any]:
    """Ticks for some of the positions."""
    every = max(1, block, -(-(part.stop - part.start) // 64))
    at = list(range(part.start, part.stop, every))
    axis = token_axis([tokens[i] for i in at], 1)
    return {**axis, "tickvals": at, "range": [part.start - 0.5, part.stop - 0.5]}


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


def _layer_axis(figure: go.Figure, layers: list[str], which: str) -> None:
    at = list(range(0, len(layers), -(-len(layers) // 16)))
    axis = {"tickvals": at, "ticktext": [layers[i] for i in at], "title": "layer", "showgrid": False}
    figure.update_xaxes(**axis) if which == "x" else figure.update_yaxes(**axis)


_QUANTITIES = {
    "probability": ("top_probs", "probability of the likeliest token", SEQUENTIAL),
    "entropy": ("entropy", "entropy (nats)", "Cividis"),
    "kl": ("kl", "KL to the model's prediction (nats)", "Cividis"),
    "rank": ("rank_of_final", "log10 of 1 + rank of the final prediction", "Cividis"),
}


@draws
def lens_figure(lens: "LensResult", colour: str = "probability", height: int | None = None) -> go.Figure:
    """Layer (upwards) by position; each cell the likeliest next token, coloured by `probability`, `entropy`, `kl` or `rank`."""
    lens = lens.as_read()
    name, title, scale = _QUANTITIES[colour]
    z = getattr(lens, name)
    z = z[..., 0] if colour == "probability" else np.log10(1 + z) if colour == "rank" else z
    first = [[row[0] for row in layer] for layer in lens.top_tokens]
    text = [[plain(t, 9) for t in layer] for layer in first] if z.size <= CELLS else None
    hover = [
        [
            "<br>".join(f"{plain(t, 24)}  {p:.3f}" for t, p in list(zip(tokens, lens.top_probs[i, j], strict=True))[:5])
            for j, tokens in enumerate(layer)
        ]
        for i, layer in enumerate(lens.top_tokens)
    ]
    trace = go.Heatmap(
        z=z,
        text=text,
        texttemplate="%{text}" if text else None,
        textfont={"size": 10},
        customdata=hover,
        colorscale=scale,
        zmin=0,
        zmax=1 if colour == "probability" else None,
        colorbar={"title": {"text": title, "side": "right"}, "thickness": 12},
        hovertemplate="layer %{y}, position %{x}<br>%{customdata}<extra></extra>",
    )
    figure = go.Figure(trace)
    layers = list(range(len(lens.layers)))
    keep = layers[:: max(1, len(layers) // 16)]
    figure.update_yaxes(tickvals=keep, ticktext=[lens.layers[i] for i in keep], title="layer")
    figure.update_xaxes(**token_axis(lens.tokens), title="token read", side="bottom")
    return _finish(figure, height or 60 + 20 * len(layers))
