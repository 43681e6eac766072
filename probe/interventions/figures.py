"""Pictures of runs with changes: predictions before and after, continuations. Records to plotly figures; no model."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from probe.show.beside import draws
from probe.show.labels import _finish, plain, token_axis

if TYPE_CHECKING:
    from probe.interventions.edited_run import EditedRun
    from probe.interventions.generation import Generations

BEFORE, AFTER = "#8a919c", "#0a6ebd"


@draws
def edited_figure(run: "EditedRun", *, height: int = 420) -> go.Figure:
    """Probabilities of the likeliest tokens before and after; below, how far the prediction after each token moved."""
    figure = make_subplots(2, 1, row_heights=[0.6, 0.4], vertical_spacing=0.2)
    at = list(range(len(run.candidates)))
    for name, colour in (("before", BEFORE), ("after", AFTER)):
        values = [getattr(c, name) for c in run.candidates]
        figure.add_bar(x=at, y=values, name=name, marker={"color": colour}, row=1, col=1)
    figure.add_bar(
        x=list(range(len(run.kl))), y=np.round(run.kl, 6), marker={"color": AFTER}, showlegend=False, row=2, col=1
    )
    figure.update_xaxes(tickvals=at, ticktext=[plain(c.token) for c in run.candidates], row=1, col=1)
    figure.update_xaxes(**token_axis(run.tokens), row=2, col=1)
    figure.update_yaxes(title="probability", row=1, col=1)
    figure.update_yaxes(title="KL (nats)", row=2, col=1)
    return _finish(figure, height)


@draws
def generations_figure(found: "Generations", *, height: int = 380) -> go.Figure:
    """Probability of each generated token in its own run: without and with the edits."""
    figure, n = go.Figure(), len(found.prompt_tokens)
    for name, run, colour in (("without", found.clean, BEFORE), ("with edits", found.edited, AFTER)):
        figure.add_trace(
            go.Scatter(
                x=list(range(n, n + len(run.tokens))),
                y=run.probability,
                mode="lines+markers+text",
                name=name,
                text=[plain(t, 16) for t in run.tokens],
                textposition="top center" if name == "without" else "bottom center",
                line={"color": colour},
                hovertemplate="%{text}: %{y:.3f}<extra></extra>",
            )
        )
    figure.update_xaxes(title="position")
    figure.update_yaxes(title="probability of the token", range=[-0.1, 1.12])
    return _finish(figure, height)
