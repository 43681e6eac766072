"""Attention patterns and scores of heads as figures."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from probe.heads.margins import entropy, received
from probe.heads.scores import SCORES, SIGNED, check_score
from probe.model.unit_names import unit_name
from probe.show.array_figures import grid_figure
from probe.show.beside import draws
from probe.show.labels import SEQUENTIAL, _finish, plain, put, token_axis
from probe.show.values import largest_of_blocks

if TYPE_CHECKING:
    from probe.heads.attention_rank_record import AttentionRank
    from probe.heads.patterns import HeadPatterns
    from probe.heads.reading import HeadReading
    from probe.heads.scores import HeadTable


@draws
def pattern_figure(heads: "HeadPatterns", layer: int, head: int, height: int = 420, margins: bool = False) -> go.Figure:
    """One head: queries downwards, keys across; of long prompts the largest of blocks, positions stay those of the prompt.
    margins: as `head_figure` has them."""
    if margins:
        pattern = np.tril(heads.patterns[layer, head].astype(float))
        return pattern_with_margins(pattern, heads.tokens, received(pattern), entropy(pattern), height)
    figure = go.Figure(_heat(heads.patterns[layer, head], heads.tokens))
    names, edge = token_axis(heads.tokens), [-0.5, len(heads.tokens) - 0.5]
    put(figure.layout.xaxis, **names, range=edge, title="key: attended to")
    put(figure.layout.yaxis, **names, range=edge[::-1], title="query: attends")
    put(figure.layout, title={"text": unit_name("head", layer, head), "font": {"size": 14}})
    return _finish(figure, height)


def _heat(pattern: Float[np.ndarray, "q_pos k_pos"], tokens: list[str]) -> go.Heatmap:
    """The cells of a pattern, blank for what lies ahead."""
    middle = _middle(len(tokens))
    z = np.where(np.tri(len(middle), dtype=bool), largest_of_blocks(pattern, _block(len(tokens)), 2), np.nan)
    few = len(tokens) <= 80
    return go.Heatmap(
        x=middle,
        y=middle,
        z=np.round(z.astype(np.float32), 4),
        customdata=_words(tokens) if few else None,
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=1,
        hoverongaps=False,
        colorbar={"title": {"text": "attention", "side": "right"}, "thickness": 10, "outlinewidth": 0},
        hovertemplate=("%{customdata}" if few else "query %{y}, key %{x}") + ": %{z:.3f}<extra></extra>",
    )


def _block(n: int) -> int:
    """How many positions of a prompt of n tokens stand in one cell."""
    return -(-n // _SIDE)


def _middle(n: int) -> Float[np.ndarray, " cell"]:
    """The middles of the cells, as positions."""
    return np.arange(0, n, _block(n)) + (_block(n) - 1) / 2


_SIDE = 360  # cells each way that a page draws: in single precision, less than a megabyte


@draws
def scores_figure(table: "HeadTable", metric: str | None = None) -> go.Figure:
    """Layer by head, coloured by one score."""
    metric = metric or table.metric
    return grid_figure(table.scores[check_score(metric)], SCORES[metric][0], signed=metric in SIGNED)


@draws
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
    figure, middle = go.Figure(_heat(pattern, tokens)), _middle(len(tokens))
    figure.update_traces(colorbar={"len": 0.82, "y": 0.41})
    margins = (np.round(largest_of_blocks(values, _block(len(tokens)), 1), 5) for values in (received, entropy))
    _add_margins(figure, middle, *margins)
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


def _add_margins(figure: go.Figure, middle: np.ndarray, received: np.ndarray, entropy: np.ndarray) -> None:
    """Bars above and beside a pattern."""
    bar = {"marker": {"color": "#4f8bc3", "line": {"width": 0}}, "showlegend": False}
    figure.add_bar(
        x=middle,
        y=received,
        yaxis="y2",
        hovertemplate="key %{x}: receives %{y:.3f} on average<extra></extra>",
        **bar,
    )
    figure.add_bar(
        x=entropy,
        y=middle,
        xaxis="x2",
        orientation="h",
        hovertemplate="query %{y}: entropy %{x:.3f} nats<extra></extra>",
        **bar,
    )


def shrink(patterns: Float[np.ndarray, "*many q_pos k_pos"], side: int) -> Float[np.ndarray, "*many q k"]:
    """At most `side` rows and columns, each the largest of a block, so that no strong entry is lost."""
    return largest_of_blocks(patterns, -(-patterns.shape[-1] // side), 2)


def _words(tokens: list[str]) -> list[list[str]]:
    """What a cell's tooltip says."""
    names = [plain(t, 24) for t in tokens]
    every = range(len(tokens))
    return [[f"{names[q]} ({q}) attends to {names[k]} ({k})" for k in every] for q in every]


def _whole_layers(layers: list[int]) -> dict[str, str | int]:
    """An axis of layers without ticks between them, a dozen at most."""
    return {"title": "layer", "tick0": 0, "dtick": 1 + (max(layers) - min(layers)) // 12}


@draws
def attention_rank_figure(
    found: "AttentionRank", what: Literal["layers", "against", "heads"] = "layers", height: int = 340
) -> go.Figure:
    """layers: ARank, and on the right the KL of both skips (logarithmic). against: KL over ARank, a point a layer. heads: rank
    of each head."""

    if what == "heads":
        return grid_figure(found.rank, "rank", layers=found.layers)
    figure, colours = go.Figure(), {"attention": "#0a6ebd", "block": "#e69f00"}
    names = {"attention": "KL without its attention", "block": "KL without the block"}
    if what == "layers":
        figure.add_bar(x=found.layers, y=np.round(found.arank, 3), name="ARank", marker={"color": "#b8bec8"})
    for skipped, colour in colours.items():
        kl = np.maximum(found.cost[skipped]["KL"], 1e-9)
        against = what == "against"
        figure.add_scatter(
            x=found.arank if against else found.layers,
            y=np.where(np.isfinite(kl), kl, None),
            name=names[skipped],
            mode="markers" if against else "lines+markers",
            customdata=found.layers,
            marker={"color": colour, "size": 8 if against else 5},
            yaxis="y" if against else "y2",
            hovertemplate="layer %{customdata}: KL %{y:.4g} nats<extra></extra>",
        )
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        xaxis={"title": "ARank"} if what == "against" else _whole_layers(found.layers),
    )
    costs = np.concatenate([np.maximum(found.cost[skipped]["KL"], 1e-9) for skipped in colours])
    costs = costs[np.isfinite(costs)]
    few = len(costs) > 0 and costs.max() < 300 * costs.min()  # decades alone would be one or two marks
    log = {"type": "log", "title": "KL, nats", "exponentformat": "power", "dtick": "D2" if few else 1}
    figure.update_layout(
        yaxis=log if what == "against" else {"title": "ARank", "rangemode": "tozero", "showgrid": False},
        yaxis2={**log, "overlaying": "y", "side": "right", "showgrid": False},
    )
    figure = _finish(figure, height)
    figure.update_layout(margin={"r": 70})
    return figure
