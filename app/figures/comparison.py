"""Two prompts compared, as the page draws it."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from app.figures.dress import _MONO, dress
from app.figures.lens import tilt
from probe.comparison.figures import divergence_figure as plain_divergence

if TYPE_CHECKING:
    from probe.comparison.prompts import ComparedPrompts


def divergence_figure(found: "ComparedPrompts", scheme: str = "light") -> go.Figure:
    """KL between two prompts' predictions, dressed."""
    figure, many = plain_divergence(found), len(found.alignment.columns) > 6
    figure.update_xaxes(**tilt(many), tickfont=_MONO, showgrid=False)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 62, "r": 8, "t": 8, "b": 110 if many else 40})
