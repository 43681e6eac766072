"""Knockouts by layer: a line a set of positions with its random ones as a band, or a heat map of many."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SIGNED, _finish, label_text

if TYPE_CHECKING:
    from circuits.patching.knockout.record import KnockoutCurves

_LINES = 5
COLOURS = ("#3366cc", "#e69f00", "#8844aa", "#0f8f7f", "#666666")


@draws
def knockout_figure(curves: "KnockoutCurves", height: int | None = None) -> go.Figure:
    """Relative change of the answer's probability by layer."""
    figure = _lines(curves) if len(curves.sources) <= _LINES else _map(curves)
    every = max(1, len(curves.layers) // 32)
    figure.update_xaxes(title="layer in the middle of the window", tickvals=curves.layers[::every])
    return _finish(figure, height or (340 if len(curves.sources) <= _LINES else 120 + 18 * len(curves.sources)))


def _lines(curves: "KnockoutCurves") -> go.Figure:
    figure = go.Figure()
    for s, source in enumerate(curves.sources):
        drawn, colour = 100 * curves.random_change[s], COLOURS[s]
        drawn, name = drawn[np.isfinite(drawn).all(1)], label_text(source.name, 24)
        if len(drawn):
            ends = np.concatenate([drawn.max(0), drawn.min(0)[::-1]])
            figure.add_scatter(
                x=[*curves.layers, *curves.layers[::-1]],
                y=ends,
                fill="toself",
                fillcolor=colour,
                opacity=0.2,
                line={"width": 0},
                hoverinfo="skip",
                name=f"random, as many as {name}",
            )
        figure.add_scatter(
            x=curves.layers,
            y=100 * curves.change[s],
            mode="lines+markers",
            line={"color": colour},
            name=name,
            hovertemplate=f"{name}<br>layer %{{x}}: %{{y:.1f}} %<extra></extra>",
        )
    figure.update_yaxes(title="change of p (%)", zeroline=True)
    return figure


def _map(curves: "KnockoutCurves") -> go.Figure:
    z = 100 * curves.change
    top = float(np.abs(z).max(initial=0)) or 1.0
    names = [label_text(source.name, 24) for source in curves.sources]
    figure = go.Figure(
        go.Heatmap(
            z=np.round(z, 3),
            x=curves.layers,
            customdata=[[name] * z.shape[1] for name in names],
            colorscale=SIGNED,
            zmin=-top,
            zmax=top,
            zmid=0,
            hovertemplate="%{customdata}<br>layer %{x}: %{z:.1f} %<extra></extra>",
            colorbar={"title": {"text": "change of p (%)", "side": "right"}, "thickness": 12},
        )
    )
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, autorange="reversed", title="blocked")
    return figure
