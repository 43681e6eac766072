"""Pictures of units: how strongly one fires and what it does to the logits; how dense a table's units are."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.show.beside import draws
from probe.show.labels import _finish, plain, token_axis

if TYPE_CHECKING:
    from probe.features.by_weights import UnitWeights
    from probe.features.on_text import OwnText
    from probe.features.table import FeatureTable
    from probe.features.unit import Unit

_UP, _DOWN = "#2f86d1", "#c8561b"  # as tables beside them colour what is above and below 0
_COLOUR = "#2a788e"


@draws
def unit_figure(unit: "Unit", height: int = 360, histogram: bool = False) -> go.Figure:
    """Histogram of a unit's activations, and the demeaned logits of the tokens it raises and lowers most. histogram: that
    alone, with its counts on a logarithmic axis."""
    if histogram:
        return histogram_figure(unit, height)
    figure = make_subplots(rows=1, cols=2, subplot_titles=["activations", "demeaned logits of what it writes"])
    figure.add_trace(_histogram(unit), row=1, col=1)
    scores = [*unit.promoted, *reversed(unit.suppressed)]
    at = list(range(len(scores)))
    bars = go.Bar(
        x=[s.score for s in scores],
        y=at,
        orientation="h",
        marker={"color": [_UP if s.score >= 0 else _DOWN for s in scores]},
        hovertemplate="%{x:.4f}<extra></extra>",
        showlegend=False,
    )
    figure.add_trace(bars, row=1, col=2)
    ticks = [plain(s.token, 20) for s in scores]
    figure.update_yaxes(tickvals=at, ticktext=ticks, autorange="reversed", row=1, col=2)
    figure.update_xaxes(title="activation", row=1, col=1)
    figure.update_yaxes(title="tokens", row=1, col=1)
    if unit.dead:
        figure.add_annotation(text="never active", x=0.5, y=0.5, xref="x domain", yref="y domain", showarrow=False)
    return _finish(figure, height)


def _histogram(unit: "Unit") -> go.Bar:
    """The bins from the first to the last that holds anything, as wide as they are."""
    counts, edges = np.array(unit.counts), np.array(unit.edges)
    filled = np.flatnonzero(counts)
    bins = slice(filled[0], filled[-1] + 1) if len(filled) else slice(0, 0)
    low, high = edges[:-1][bins], edges[1:][bins]
    return go.Bar(
        x=(low + high) / 2,
        y=counts[bins],
        width=high - low,
        customdata=np.stack([low, high], 1),
        marker={"color": _COLOUR},
        hovertemplate="%{customdata[0]:.4g} to %{customdata[1]:.4g}: %{y:,} tokens<extra></extra>",
        showlegend=False,
    )


@draws
def weights_figure(unit: "UnitWeights", height: int = 360) -> go.Figure:
    """The demeaned logits of the tokens a unit raises and lowers most."""
    scores = [*unit.promoted, *reversed(unit.suppressed)]
    at = list(range(len(scores)))
    figure = go.Figure(
        go.Bar(
            x=[s.score for s in scores],
            y=at,
            orientation="h",
            marker={"color": [_UP if s.score >= 0 else _DOWN for s in scores]},
            hovertemplate="%{x:.4f}<extra></extra>",
        )
    )
    figure.update_yaxes(tickvals=at, ticktext=[plain(s.token, 20) for s in scores], autorange="reversed")
    figure.update_xaxes(title="demeaned logits of what it writes")
    return _finish(figure, height)


def histogram_figure(unit: "Unit", height: int = 240) -> go.Figure:
    """How many tokens a unit is how active at; the counts on a logarithmic axis, since the strongest are the rarest."""
    figure = go.Figure(_histogram(unit))
    figure.update_xaxes(title="activation")
    figure.update_yaxes(title="tokens", type="log", dtick=1)
    if not sum(unit.counts):
        figure.update_yaxes(type="linear", range=[0, 1], dtick=None)
        figure.add_annotation(text="never active", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return _finish(figure, height)


@draws
def own_text_figure(text: "OwnText", height: int = 300) -> go.Figure:
    """A bar for each token: how strongly the unit fires there."""
    figure = go.Figure(
        go.Bar(
            x=list(range(len(text.tokens))),
            y=text.values,
            marker={"color": [_UP if v >= 0 else _DOWN for v in text.values.tolist()]},
            hovertemplate="position %{x}: %{y:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(**token_axis(text.tokens), title="token")
    figure.update_yaxes(title=f"activation of {text.unit}")
    return _finish(figure, height)


@draws
def density_figure(table: "FeatureTable", height: int = 300) -> go.Figure:
    """How many units are active at which share of the tokens, from half a token's share (log10); dead ones are in the title."""
    density, low = table.column("density"), table.least_density
    counts, edges = np.histogram(np.log10(density[density > 0]), bins=np.linspace(low, 0, 71))
    trace = go.Bar(
        x=((edges[:-1] + edges[1:]) / 2).tolist(),
        y=counts.tolist(),
        width=float(edges[1] - edges[0]) * 0.9,
        customdata=[[_share(10**a), _share(10**b)] for a, b in pairwise(edges.tolist())],
        marker={"color": _COLOUR},
        hovertemplate="%{customdata[0]} to %{customdata[1]}: %{y:,} units<extra></extra>",
        showlegend=False,
    )
    figure, ticks, dead = go.Figure(trace), list(range(math.ceil(low), 1)), int((density == 0).sum())
    figure.update_xaxes(
        title=f"share of tokens a unit is active at ({dead:,} of {len(density):,} are dead)",
        tickvals=ticks,
        ticktext=[_share(10.0**t) for t in ticks],
        range=[low, 0],
    )
    figure.update_yaxes(title="units")
    return _finish(figure, height)


def _share(value: float) -> str:
    """`0.01 %`, `12 %`."""
    return f"{100 * value:.3g} %"
