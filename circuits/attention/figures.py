"""Pictures of what passes inside attention: which heads carry an edge, which pairs of sources make a score."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SIGNED, label_text, plain

if TYPE_CHECKING:
    from circuits.attention.loadings_record import HeadLoadings
    from circuits.attention.qk import QKAttribution


@draws
def loadings_figure(found: "HeadLoadings", edge: int = 0, height: int = 520) -> go.Figure:
    """One edge: layers upwards, heads across, and beside them what passes each layer without its heads.

    The two have a scale each, since what passes by is often many times what one head carries.
    """
    n_layers, n_heads = found.heads.shape[1:]
    figure = go.Figure(
        [
            _signed(found.heads[edge], np.arange(n_heads), "through the head", 1.02, _hover(found, edge)),
            _signed(found.bypass[edge][:, None], np.array([-1.5]), "past the heads", 1.14, None),
        ]
    )
    ticks = list(range(0, n_heads, max(1, n_heads // 16)))
    texts = ["bypass", *(f"H{t}" for t in ticks)]
    figure.update_xaxes(tickvals=[-1.5, *ticks], ticktext=texts, showgrid=False, zeroline=False)
    figure.update_yaxes(title="layer", dtick=max(1, n_layers // 15), showgrid=False, zeroline=False)
    source, target = (label_text(n, 48) for n in found.names[edge])
    return _laid_out(figure, f"{source} → {target}: {found.weight[edge]:.4g}", height)


def _hover(found: "HeadLoadings", edge: int) -> np.ndarray | None:
    """The key position that a head's part was read from most."""
    if found.keys is None:
        return None
    best = np.abs(found.keys[edge]).argmax(-1)
    names = np.array([f"{i} {plain(t, 20)}" for i, t in enumerate(found.tokens)])
    return np.where(found.heads[edge] != 0, names[best], "")


def _signed(
    z: np.ndarray, x: np.ndarray, name: str, bar: float, hover: np.ndarray | None, y: np.ndarray | None = None
) -> go.Heatmap:
    """A heat map of signed numbers: blue raises, red lowers, white is 0."""
    most = float(np.abs(z).max(initial=0)) or 1.0
    told = "" if hover is None else "<br>mostly from %{text}"
    return go.Heatmap(
        z=z,
        x=x,
        y=y if y is not None else np.arange(len(z)),
        text=hover,
        colorscale=SIGNED,
        zmid=0,
        zmin=-most,
        zmax=most,
        xgap=1,
        ygap=1,
        name=name,
        colorbar={"title": {"text": name, "side": "right"}, "x": bar, "thickness": 12},
        hovertemplate="layer %{y}, head %{x}<br>%{z:.4g}" + told + "<extra>" + name + "</extra>",
    )


@draws
def qk_figure(found: "QKAttribution", height: int = 560) -> go.Figure:
    """The sources that matter most to the query (down) against those that matter most to the key (across)."""
    z = found.block
    heat = _signed(z, np.arange(z.shape[1]), "part of the score", 1.02, None)
    rows, columns = ([label_text(found.names[i], 28) for i in side] for side in (found.shown_query, found.shown_key))
    heat.text = [[f"query side {r}<br>key side {c}" for c in columns] for r in rows]
    heat.hovertemplate = "%{text}<br>%{z:.4g}<extra></extra>"
    figure = go.Figure([heat])
    figure.update_xaxes(tickvals=list(range(len(columns))), ticktext=columns, title="key side", showgrid=False)
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=rows, title="query side", autorange="reversed", showgrid=False
    )
    return _laid_out(figure, f"{label_text(found.title, 90)}: {found.score:.4g}", height)


def _laid_out(figure: go.Figure, title: str, height: int) -> go.Figure:
    """No background of its own, so that it looks right in light and dark."""
    return figure.update_layout(
        title={"text": title, "font": {"size": 13}},
        height=height,
        margin={"l": 60, "r": 40, "t": 50, "b": 60},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12},
    )
