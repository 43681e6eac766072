"""Pictures of labels: how good they are beside labels of other units."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from probe.features.naming.concept import ConceptUnits
    from probe.features.naming.record import UnitLabels

_COLOUR, _NULL = "#2a788e", "#8a8f98"
_BINS = {"start": 0, "end": 1.0001, "size": 0.025}


@draws
def labels_figure(found: "UnitLabels", height: int = 340) -> go.Figure:
    """Shares of units by the AUROC of their label, and of shuffled labels."""
    figure = go.Figure()
    for name, values, colour in (
        ("labels that fit", found.score[np.isfinite(found.score)], _COLOUR),
        ("shuffled among units", found.shuffled.reshape(-1), _NULL),
    ):
        if len(values):
            figure.add_trace(
                go.Histogram(
                    x=values,
                    xbins=_BINS,
                    histnorm="percent",
                    name=name,
                    marker={"color": colour},
                    opacity=0.75,
                    hovertemplate="AUROC %{x}: %{y:.1f}%<extra></extra>",
                )
            )
    figure.update_layout(barmode="overlay", bargap=0.04)
    figure.update_xaxes(title="AUROC on other text", range=[0, 1.01])
    figure.update_yaxes(title="% of labels")
    return _finish(figure, height)


@draws
def concept_figure(found: "ConceptUnits", height: int = 340) -> go.Figure:
    """The best units' AUROC with its interval, and what the concept moved elsewhere reaches."""
    at = list(range(len(found.names)))
    figure = go.Figure(
        go.Scatter(
            x=found.auroc,
            y=at,
            mode="markers",
            marker={"color": _COLOUR, "size": 8},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": found.high - found.auroc,
                "arrayminus": found.auroc - found.low,
            },
            hovertemplate="%{x:.3f}<extra></extra>",
            showlegend=False,
        )
    )
    figure.add_vline(x=float(found.null), line={"color": _NULL, "dash": "dash"})
    figure.update_yaxes(tickvals=at, ticktext=found.names, autorange="reversed")
    figure.update_xaxes(title="AUROC on other text (dashed: the concept moved elsewhere)", range=[0, 1.01])
    return _finish(figure, max(height, 22 * len(at) + 120))
