"""How concentrated neurons' scores over the vocabulary are, as a figure."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go

from probe.errors import BadInput
from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from probe.neurons.vocabulary_map_record import VocabularyMap


@draws
def vocabulary_map_figure(
    found: "VocabularyMap", sort: Literal["out", "in", "gate"] = "out", height: int = 340
) -> go.Figure:
    """Kurtosis by layer: the median neuron, the 90th and 99th of a hundred, and the 2.5th to 97.5th percentile of the control. Of
    one layer alone: of how many of a hundred neurons it is lower, for each sort of direction and its control."""

    if sort not in found.decoded:
        raise BadInput(f"This map has {', '.join(found.decoded)}; not {sort!r}.")
    at = np.unique(found.layer)
    if len(at) == 1:
        return _one_layer(found, height)
    own, chance = found.decoded[sort].kurtosis, found.controls[sort].kurtosis
    low, high = ([float(np.percentile(chance[found.control_layer == i], p)) for i in at] for p in (2.5, 97.5))
    figure = go.Figure()
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "legendgroup": "control"}
    figure.add_scatter(x=at, y=_drawn(high), showlegend=False, **band)
    figure.add_scatter(
        x=at, y=_drawn(low), fill="tonexty", fillcolor="rgba(128,128,128,0.3)", name=f"{found.control}, 95%", **band
    )
    for share, colour in ((50, "#1c9a7a"), (90, "#0a6ebd"), (99, "#e69f00")):
        values = [float(np.percentile(own[found.layer == i], share)) for i in at]
        figure.add_scatter(
            x=at,
            y=_drawn(values),
            customdata=[f"{v:.3g}" for v in values],
            mode="lines+markers",
            name="median neuron" if share == 50 else f"{share} of 100 neurons below",
            line={"color": colour, "width": 2},
            marker={"size": 5},
            hovertemplate="layer %{x}: kurtosis %{customdata}<extra></extra>",
        )
    figure.update_xaxes(title="layer", dtick=1 if len(at) < 16 else 5)
    return _kurtosis(figure, height)


def _one_layer(found: "VocabularyMap", height: int) -> go.Figure:
    """Kurtosis from the least to the most concentrated neuron; the control dotted."""
    figure, shares = go.Figure(), np.linspace(0, 100, 101)
    for sort, colour in zip(found.decoded, ("#0a6ebd", "#1c9a7a", "#e69f00")):
        for name, one, dash in ((sort, found.decoded, "solid"), (f"{sort}: control", found.controls, "dot")):
            values = np.percentile(one[sort].kurtosis, shares)
            figure.add_scatter(
                x=shares,
                y=_drawn(values.tolist()),
                customdata=[f"{v:.3g}" for v in values],
                mode="lines",
                name=name,
                line={"color": colour, "width": 2, "dash": dash},
                hovertemplate="lower in %{x:.0f} of 100: kurtosis %{customdata}<extra></extra>",
            )
    figure.update_xaxes(title="of a hundred, so many are lower")
    return _kurtosis(figure, height)


def _kurtosis(figure: go.Figure, height: int) -> go.Figure:
    ticks = [-1, 0, 1, 10, 100, 1000, 10000]
    figure.update_yaxes(title="excess kurtosis", tickvals=_drawn(ticks), ticktext=[f"{t:,}" for t in ticks])
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    return _finish(figure, height)


def _drawn(values: list[float] | list[int]) -> list[float]:
    """Even steps near 0, orders of magnitude far from it."""
    return np.round(np.arcsinh(np.asarray(values, float)), 4).tolist()
