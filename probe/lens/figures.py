"""The logit lens as figures: predictions by layer and position, how one forms, and tokens followed through the layers."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from probe.errors import BadInput
from probe.lens.windows import TEXTS, in_blocks, layer_axis, map_height, over_tokens, part_of, positions, powers_of_ten
from probe.show.array_figures import grid_figure
from probe.show.beside import draws
from probe.show.labels import SEQUENTIAL, _finish, plain, put

if TYPE_CHECKING:
    from probe.lens.direct import DirectLogits
    from probe.lens.follow import TokenThroughLayers
    from probe.lens.logit import LensResult

QUANTITIES = {"probability": "probability", "rank": "rank (0 is the likeliest)", "logit": "logit"}
"""What can be shown of a followed token, with the name of its axis."""
_COLOURS = {
    "probability": ("top_probs", "probability of the likeliest token", SEQUENTIAL),
    "entropy": ("entropy", "entropy (nats)", "Cividis"),
    "kl": ("kl", "KL to the model's prediction (nats)", "Cividis"),
    "rank": ("rank_of_final", "1 + rank of the final prediction", "Cividis_r"),
    "norm": ("resid_norm", "length of the residual stream", "Cividis"),
}
"""What can colour the lens: the field, the label of its bar and its scale."""
_FLOOR = -8.0  # log10 of the smallest probability that has a colour of its own
_LINES = ("#0a6ebd", "#e69f00", "#1c9a7a", "#b36ba0")
_PIXELS, _CHARACTER = 1080, 6.6  # of all cells of a row on a page of usual width, and of one character in them


@draws
def direct_figure(found: "DirectLogits", pos: int = -1) -> go.Figure:
    """Every head's share at one position."""
    return grid_figure(found.heads[..., pos], "adds to the logit", signed=True)


# -- the lens ----------------------------------------------------------------------------------------------------------------


@draws
def lens_figure(
    lens: "LensResult", colour: str = "probability", height: int | None = None, *, extent: str = "all", at: int = -1
) -> go.Figure:
    """Layer (upwards) by position; each cell the likeliest next token where there is room for words, coloured by `probability`,
    `entropy`, `kl`, `rank` or `norm`. extent: of a prompt of more than 256 tokens a `window` around the position `at`, or all of
    it, in blocks."""
    if colour not in _COLOURS:
        raise BadInput(f"The lens is coloured by {', '.join(_COLOURS)}; not '{colour}'.")
    lens = lens.as_read()
    part, block = part_of(len(lens.tokens), extent, at)
    name, label, scale = _COLOURS[colour]
    values = np.asarray(getattr(lens, name), dtype=float)
    values = (values[..., 0] if colour == "probability" else values)[:, part]
    shown = in_blocks(values, block, smallest=colour == "rank")
    logged = colour in ("rank", "norm")
    z = np.log10(np.maximum(shown, 1e-9) + (colour == "rank")) if logged else shown
    text = _words(lens, part) if block == 1 and z.size <= TEXTS else None
    figure = go.Figure(
        go.Heatmap(
            x=positions(part, block),
            z=np.round(z, 4),
            text=text,
            texttemplate="%{text}" if text else None,
            textfont={"family": "JetBrains Mono, monospace", "size": 10.5},
            customdata=_hover(lens, part, shown, label) if block == 1 and z.size <= 4 * TEXTS else None,
            colorscale=scale,
            zmin=0 if colour != "norm" else None,
            zmax=1 if colour == "probability" else None,
            xgap=1 if text else 0,
            ygap=1 if text else 0,
            colorbar={
                "title": {"text": label, "side": "right"},
                "thickness": 10,
                "outlinewidth": 0,
                **(powers_of_ten(z) if logged else {}),
            },
            hovertemplate="layer %{y}, position %{x}<br>%{customdata}<extra></extra>",
        )
    )
    if figure.data[0].customdata is None:
        figure.data[0].hovertemplate = f"layer %{{y}}, position %{{x}}: {label} %{{z:.3f}}<extra></extra>"
    over_tokens(figure, lens.tokens, lens.layers, part, block)
    return _map(figure, height or map_height(len(lens.layers), part.stop - part.start))


def _map(figure: go.Figure, height: int) -> go.Figure:
    return _finish(figure, height).update_layout(margin={"l": 62, "r": 8, "t": 8, "b": 84})


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
            first = zip(tokens[:5], lens.top_probs[i, part.start + j], strict=False)
            lines = [f"{plain(t, 24)}  {p:.3f}" for t, p in first]
            cells.append("<br>".join([*lines, f"{label} {shown[i, j]:.3g}"]))
        rows.append(cells)
    return rows


def forming_figure(lens: "LensResult", pos: int = -1, height: int = 260) -> go.Figure:
    """How a prediction forms: entropy, and KL to the final prediction, layer by layer at one position."""
    figure = go.Figure()
    for name, values, colour in (("KL to final", lens.kl, _LINES[0]), ("entropy", lens.entropy, _LINES[1])):
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
    layer_axis(figure, lens.layers, "x", 8)
    seen = np.stack([lens.kl[:, pos], lens.entropy[:, pos]]).astype(float)
    put(figure.layout.yaxis, title="nats", range=[0, 1.08 * float(seen[np.isfinite(seen)].max(initial=0)) or 1.0])
    put(figure.layout, showlegend=True, hovermode="x unified", legend={"y": 1.04, "x": 0, "orientation": "h"})
    return _finish(figure, height)


# -- followed tokens ---------------------------------------------------------------------------------------------------------


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
            line={"width": 2, "color": _LINES[i % len(_LINES)]},
            marker={"size": 5},
            hovertemplate=f"{plain(found.texts[i][pos], 20)}: {quantity} %{{customdata}}<extra></extra>",
        )
    layer_axis(figure, found.layers, "x")
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
    height: int | None = None,
    *,
    extent: str = "all",
    at: int = -1,
) -> go.Figure:
    """Layer (upwards) by position, coloured by one followed token's quantity; extent and at as in `lens_figure`, where of ranks
    the smallest of a block stands for all."""
    part, block = part_of(len(found.tokens), extent, at)
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
    over_tokens(figure, found.tokens, found.layers, part, block)
    return _map(figure, height or map_height(len(found.layers), 9999))


def _bar(quantity: str) -> dict[str, Any]:
    bar: dict[str, Any] = {"thickness": 10, "outlinewidth": 0, "title": {"text": quantity, "side": "right"}}
    if quantity == "probability":
        bar |= {"tickvals": [0, -2, -4, -6, -8], "ticktext": ["1", "10⁻²", "10⁻⁴", "10⁻⁶", "≤10⁻⁸"]}
    if quantity == "rank":
        bar |= {"tickvals": [0, 1, 2, 3, 4, 5], "ticktext": ["0", "10", "100", "10³", "10⁴", "10⁵"]}
    return bar
