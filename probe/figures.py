"""Pictures of what `probe` finds: records to plotly figures. No model, no callbacks.

Tokens are hostile text and plotly text is pseudo-HTML, so axes are integers with escaped, shortened tick texts. No figure
shows plotly's upload button: pass `config=CONFIG` wherever a figure is shown.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from probe.html import shaped, shown

if TYPE_CHECKING:
    from probe.heads import HeadPatterns
    from probe.lens import LensResult

CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
SEQUENTIAL, SIGNED = "Viridis", "RdBu"
CELLS = 26 * 64
"Most cells that carry a text; more are slow to draw and too small to read."
_QUANTITIES = {
    "probability": ("top_probs", "probability of the likeliest token", SEQUENTIAL),
    "entropy": ("entropy", "entropy (nats)", "Cividis"),
    "kl": ("kl", "KL to the model's prediction (nats)", "Cividis"),
    "rank": ("rank_of_final", "log10 of 1 + rank of the final prediction", "Cividis"),
}


def plain(text: str, width: int = 12) -> str:
    """Text safe inside plotly labels: shown spaces and controls, cut to `width`, `& < >` escaped."""
    short = shown(text)
    short = short if len(short) <= width else short[: width - 1] + "…"
    return shaped(short).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def label_text(text: str, width: int = 40) -> str:
    """A name, a label or a title safe inside plotly labels: its spaces are spaces. `plain` is for single tokens."""
    short = text if len(text) <= width else text[: width - 1] + "…"
    short = "".join(c if c.isprintable() else " " for c in short)
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def token_axis(tokens: list[str], every: int | None = None) -> dict[str, Any]:
    """Tick values and texts for an axis of token positions."""
    step = every or max(1, len(tokens) // 64)
    at = list(range(0, len(tokens), step))
    return {"tickmode": "array", "tickvals": at, "ticktext": [plain(tokens[i]) for i in at]}


def lens_figure(lens: "LensResult", colour: str = "probability", height: int | None = None) -> go.Figure:
    """Layer (upwards) by position; each cell the likeliest next token, coloured by `probability`, `entropy`, `kl` or `rank`."""
    name, title, scale = _QUANTITIES[colour]
    z = getattr(lens, name)
    z = z[..., 0] if colour == "probability" else np.log10(1 + z) if colour == "rank" else z
    first = [[row[0] for row in layer] for layer in lens.top_tokens]
    text = [[plain(t, 9) for t in layer] for layer in first] if z.size <= CELLS else None
    hover = [
        [
            "<br>".join(f"{plain(t, 24)}  {p:.3f}" for t, p in list(zip(tokens, lens.top_probs[i, j], strict=True))[:5])
            for j, tokens in enumerate(layer)
        ]
        for i, layer in enumerate(lens.top_tokens)
    ]
    trace = go.Heatmap(
        z=z,
        text=text,
        texttemplate="%{text}" if text else None,
        textfont={"size": 10},
        customdata=hover,
        colorscale=scale,
        zmin=0,
        zmax=1 if colour == "probability" else None,
        colorbar={"title": {"text": title, "side": "right"}, "thickness": 12},
        hovertemplate="layer %{y}, position %{x}<br>%{customdata}<extra></extra>",
    )
    figure = go.Figure(trace)
    layers = list(range(len(lens.layers)))
    keep = layers[:: max(1, len(layers) // 16)]
    figure.update_yaxes(tickvals=keep, ticktext=[lens.layers[i] for i in keep], title="layer")
    figure.update_xaxes(**token_axis(lens.tokens), title="token read", side="bottom")
    return _finish(figure, height or 60 + 20 * len(layers))


def pattern_figure(heads: "HeadPatterns", layer: int, head: int, height: int = 420) -> go.Figure:
    """One head: queries downwards, keys across."""
    trace = go.Heatmap(
        z=heads.patterns[layer, head],
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=1,
        colorbar={"title": {"text": "attention", "side": "right"}, "thickness": 12},
        hovertemplate="query %{y}, key %{x}: %{z:.3f}<extra></extra>",
    )
    figure = go.Figure(trace)
    figure.update_yaxes(**token_axis(heads.tokens), autorange="reversed", title="query")
    figure.update_xaxes(**token_axis(heads.tokens), title="key")
    figure.update_layout(title={"text": f"L{layer}H{head}", "font": {"size": 14}})
    return _finish(figure, height)


def _finish(figure: go.Figure, height: int) -> go.Figure:
    """Margins, a transparent ground and grey lines, so that a figure sits in light and dark pages."""
    lines = {"gridcolor": "rgba(128,128,128,0.2)", "zerolinecolor": "rgba(128,128,128,0.4)"}
    figure.update_xaxes(**lines)
    figure.update_yaxes(**lines)
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
    )
    return figure
