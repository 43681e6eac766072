"""The heat map of causal tracing: layers upwards, tokens across, the subject's with a star."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SIGNED, _finish, label_text, plain, token_axis

if TYPE_CHECKING:
    from circuits.patching.causal_tracing.record import CausalTrace

SHOWN = {
    "indirect": "indirect effect",
    "low": "indirect effect, low end of 95%",
    "high": "indirect effect, high end of 95%",
}


@draws
def trace_figure(
    trace: "CausalTrace", what: Literal["indirect", "low", "high"] = "indirect", height: int | None = None
) -> go.Figure:
    """Layer by position. what: the mean over draws, or an end of its interval."""
    low, high = trace.interval
    z = {"indirect": trace.indirect, "low": low, "high": high}[what]
    top = float(np.abs(z[np.isfinite(z)]).max(initial=0)) or 1.0
    hover = [
        [
            f"layer {layer} at {label_text(repr(token), 30)}<br>{trace.indirect[layer, pos]:.4f} "
            f"({low[layer, pos]:.4f} to {high[layer, pos]:.4f})"
            for pos, token in enumerate(trace.tokens)
        ]
        for layer in range(len(z))
    ]
    figure = go.Figure(
        go.Heatmap(
            z=np.round(z, 6),
            colorscale=SIGNED,
            zmin=-top,
            zmax=top,
            zmid=0,
            customdata=hover,
            hovertemplate="%{customdata}<extra></extra>",
            colorbar={"title": {"text": SHOWN[what], "side": "right"}, "thickness": 12},
        )
    )
    axis = token_axis(trace.tokens)
    texts = [f"{plain(trace.tokens[i])}{'*' if i in trace.subject else ''}" for i in axis["tickvals"]]
    figure.update_xaxes(**{**axis, "ticktext": texts}, title="position put back (* subject)")
    figure.update_yaxes(title="layer")
    return _finish(figure, height or int(np.clip(110 + 18 * len(z), 240, 900)))
