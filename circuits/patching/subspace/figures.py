"""Interchange accuracies as bars, the learned subspace first, its controls beside it."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from circuits.patching.subspace.record import LearnedSubspace


@draws
def accuracy_figure(found: "LearnedSubspace", height: int = 340) -> go.Figure:
    """A bar a subspace, in percent, with its interval (of random ones the range over draws)."""
    rows = found.rows()
    value = [100 * row["accuracy"] for row in rows]
    figure = go.Figure(
        go.Bar(
            x=value,
            y=[row["subspace"] for row in rows],
            orientation="h",
            error_x={
                "type": "data",
                "array": [
                    100 * row["high"] - v if row["high"] == row["high"] else 0
                    for row, v in zip(rows, value, strict=True)
                ],
                "arrayminus": [
                    v - 100 * row["low"] if row["low"] == row["low"] else 0 for row, v in zip(rows, value, strict=True)
                ],
            },
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    )
    figure.update_xaxes(title="interchanges that give the source's answer (%)", range=[0, 100])
    figure.update_yaxes(autorange="reversed", automargin=True)
    return _finish(figure, height)
