"""Sufficiency as a figure."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from circuits.graph.figures import POSITIVE
from circuits.validation.figures import QUIET
from probe.show.beside import draws
from probe.show.labels import _finish, label_text

if TYPE_CHECKING:
    from circuits.faithfulness.subgraph_test import TriedSubgraph
    from circuits.faithfulness.sufficiency import Sufficiency


@draws
def tried_figure(tried: "TriedSubgraph", *, height: int = 460) -> go.Figure:
    """Predicted against measured movements, and the subgraph beside random ones."""
    return tried.test.figure(height=height)


@draws
def sufficiency_figure(found: "Sufficiency", *, height: int = 380) -> go.Figure:
    """How much of each root is left with the subgraph alone, beside random subgraphs of its size."""
    rows, figure = found.roots, go.Figure()
    at = list(range(len(rows)))
    figure.add_trace(go.Bar(x=at, y=[r.share for r in rows], name="subgraph", marker={"color": POSITIVE}))
    if any(r.random for r in rows):
        mean = [float(np.mean(r.random)) for r in rows]
        error = {"type": "data", "array": [float(np.std(r.random)) for r in rows], "color": "#888"}
        bars = go.Bar(x=at, y=mean, name="random (standard deviation)", marker={"color": QUIET}, error_y=error)
        figure.add_trace(bars)
    figure.add_hline(y=1, line={"color": QUIET, "dash": "dot", "width": 1})
    figure.update_xaxes(tickvals=at, ticktext=[label_text(r.root, 28) for r in rows])
    figure.update_yaxes(title="share of the root that is left")
    return _finish(figure, height)
