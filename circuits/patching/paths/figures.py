"""Paths from heads and MLPs by layer, blue where the path moves the metric up; bars where other things send."""

import re
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SIGNED, _finish

if TYPE_CHECKING:
    from circuits.patching.paths.record import PathPatching

_PLACE = re.compile(r"L(?P<layer>\d+)H(?P<head>\d+)|(?:mlp_out|mlp_write)\.(?P<mlp>\d+)")
_BARS = 40


@draws
def path_figure(paths: "PathPatching", height: int | None = None) -> go.Figure:
    """A row a layer, a column a head, the last one the MLP; of other senders the strongest as bars."""
    places = [_PLACE.fullmatch(name.partition("@")[0]) for name in paths.senders]
    names = {name.partition("@")[2] for name in paths.senders}
    whole = all(places) and len(names) == 1 and len(paths.senders) > 1
    figure = _map(paths, [p for p in places if p]) if whole else _bars(paths)
    return _finish(figure, height or (int(np.clip(110 + 18 * len(paths.heads), 240, 900)) if whole else 360))


def _map(paths: "PathPatching", places: list[re.Match[str]]) -> go.Figure:
    width = max(paths.heads)
    grid, names = np.full((len(paths.heads), width + 1), np.nan), np.full((len(paths.heads), width + 1), "", object)
    for i, place in enumerate(places):
        at = (int(place["mlp"]), width) if place["mlp"] is not None else (int(place["layer"]), int(place["head"]))
        grid[at], names[at] = paths.effect[i], f"{paths.senders[i]}<br>{100 * paths.share[i]:.1f} % of the way"
    top = float(np.abs(grid[np.isfinite(grid)]).max(initial=0)) or 1.0
    figure = go.Figure(
        go.Heatmap(
            z=np.round(grid, 6),
            colorscale=SIGNED,
            zmin=-top,
            zmax=top,
            zmid=0,
            customdata=names,
            hovertemplate="%{customdata}<br>moves by %{z:.4f}<extra></extra>",
            colorbar={"title": {"text": "moves the metric by", "side": "right"}, "thickness": 12},
        )
    )
    figure.update_xaxes(tickvals=list(range(width + 1)), ticktext=[*map(str, range(width)), "MLP"], title="head")
    figure.update_yaxes(title="layer")
    return figure


def _bars(paths: "PathPatching") -> go.Figure:
    rows = paths.rows(_BARS)
    effect = np.array([row["effect"] for row in rows])
    ends = np.array([[row["low"], row["high"]] for row in rows])
    spread = np.abs(np.nan_to_num(ends - effect[:, None]))
    figure = go.Figure(
        go.Bar(
            x=[row["sender"] for row in rows],
            y=effect,
            error_y={"type": "data", "array": spread[:, 1], "arrayminus": spread[:, 0]},
            hovertemplate="%{x}<br>moves by %{y:.4f}<extra></extra>",
        )
    )
    figure.update_xaxes(title="sender", type="category")
    figure.update_yaxes(title="moves the metric by")
    return figure
