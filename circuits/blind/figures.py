"""A blind study as a figure."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from circuits.graph.figures import POSITIVE
from probe.show.beside import draws
from probe.show.labels import _finish

if TYPE_CHECKING:
    from circuits.blind.study import Study


@draws
def study_figure(study: "Study", height: int = 320) -> go.Figure:
    """The histogram of a unit's activations; no text is in it."""
    found = study.evidence["statistics"]
    edges, counts = found["edges"], found["counts"]
    filled = [i for i, n in enumerate(counts) if n]
    bins = range(filled[0], filled[-1] + 1) if filled else range(0)
    bars = go.Bar(
        x=[(edges[i] + edges[i + 1]) / 2 for i in bins],
        y=[counts[i] for i in bins],
        width=[edges[i + 1] - edges[i] for i in bins],
        marker={"color": POSITIVE},
        hovertemplate="%{x:.4g}: %{y:,} tokens<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title="activation")
    figure.update_yaxes(title="tokens")
    return _finish(figure, height)
