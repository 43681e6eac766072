"""How long the residual stream is: by layer and position, and by layer at one position among the others.

The stream grows by what every layer writes, and some positions (most often the first) grow far beyond the rest; so norms are
shown on a logarithmic scale.
"""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.labels import _finish, plain, put, token_axis

if TYPE_CHECKING:
    from probe.lens.logit import LensResult


def norm_figure(lens: "LensResult", height: int | None = None) -> go.Figure:
    """Layer (upwards) by position; colour is log10 of the length of the residual stream after the layer, over the range of all
    positions but the first, which may lie beyond it.

    >>> lens = ow.logit_lens(model, "When Mary went")
    >>> len(ow.norm_figure(lens).data)
    1
    """
    norms = np.asarray(lens.resid_norm, dtype=float)
    logs = np.log10(np.maximum(norms, 1e-12))
    ordinary = logs[:, 1:] if logs.shape[1] > 1 else logs
    words = [
        [f"{plain(t, 24)} ({p}), {_layer(label)}: {norms[i, p]:.4g}" for p, t in enumerate(lens.tokens)]
        for i, label in enumerate(lens.layers)
    ]
    bar = {"title": {"text": "log10 of the norm", "side": "right"}, "thickness": 10, "outlinewidth": 0}
    trace = go.Heatmap(
        z=np.round(logs, 4),
        zmin=float(ordinary.min()),
        zmax=float(ordinary.max()),
        colorscale="Cividis",
        colorbar=bar,
        customdata=words,
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure = go.Figure(trace)
    rows = list(range(len(lens.layers)))
    keep = rows[:: max(1, len(rows) // 12)]
    put(figure.layout.yaxis, tickvals=keep, ticktext=[lens.layers[i] for i in keep], title="layer")
    put(figure.layout.xaxis, **token_axis(lens.tokens), title="token read")
    return _finish(figure, height or 260)


def growth_figure(lens: "LensResult", pos: int = -1, height: int = 260) -> go.Figure:
    """The length of the stream by layer: at one position, and the median and middle 80 % of all others."""
    norms, at = np.asarray(lens.resid_norm, dtype=float), pos % len(lens.tokens)
    rest, rows = np.delete(norms, at, axis=1), list(range(len(lens.layers)))
    figure = go.Figure()
    if rest.shape[1]:
        low, middle, high = np.round(np.percentile(rest, [10, 50, 90], axis=1), 4)
        shade = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        figure.add_scatter(x=rows, y=low, **shade)
        figure.add_scatter(x=rows, y=high, fill="tonexty", fillcolor="rgba(128,128,128,.22)", **shade)
        figure.add_scatter(
            x=rows, y=middle, mode="lines", name="other tokens (median, middle 80 %)", line={"color": "#8a8a8a"}
        )
    name = f"{plain(lens.tokens[at], 18)} ({at})"
    own = {"color": "#0a6ebd", "width": 2}
    figure.add_scatter(
        x=rows, y=np.round(norms[:, at], 4), mode="lines+markers", name=name, line=own, marker={"size": 4}
    )
    figure.update_traces(hovertemplate="%{y:.4g}", selector={"mode": "lines+markers"})
    keep = rows[:: max(1, -(-len(rows) // 8))]
    put(figure.layout.xaxis, tickvals=keep, ticktext=[lens.layers[i] for i in keep], title="layer")
    near = np.ptp(np.log10(np.maximum(norms, 1e-12))) < 2
    put(figure.layout.yaxis, type="log", title="norm", dtick="D2" if near else 1)
    put(figure.layout, hovermode="x unified")
    return _finish(figure, height)


def _layer(label: str) -> str:
    return "the embedding" if label == "embed" else f"after layer {label}"
