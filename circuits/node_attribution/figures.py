"""Nodes by layer, and by head or position: blue for the right answer, red against it; sizes alone where scores have no sign."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from probe.show.beside import draws
from probe.show.labels import SEQUENTIAL, SIGNED, _finish

if TYPE_CHECKING:
    from circuits.node_attribution.scores import NodeScores
    from circuits.node_attribution.unit_edge_scores import UnitEdgeScores

MOST_HEADS = 64
"""Units of a layer that have columns of their own; of more, a layer's sum is shown."""


@draws
def node_figure(scores: "NodeScores", across: str = "unit", *, height: int | None = None) -> go.Figure:
    """A row a layer. across: `unit` (heads and what else a layer has few of), or `position`."""
    grid, names, columns, title = _plane(scores, across)
    worth = -grid if scores.signed else grid
    top = float(np.abs(worth[np.isfinite(worth)]).max(initial=0)) or 1.0
    what = "for the right answer" if scores.signed else "size"
    heat: dict[str, Any] = (
        {"colorscale": SIGNED, "zmin": -top, "zmid": 0} if scores.signed else {"colorscale": SEQUENTIAL, "zmin": 0}
    )
    figure = go.Figure(
        go.Heatmap(
            z=np.round(worth, 6),
            zmax=top,
            customdata=names,
            hovertemplate="%{customdata}<br>worth %{z:.4f} of the metric<extra></extra>",
            colorbar={"title": {"text": what, "side": "right"}, "thickness": 12},
            **heat,
        )
    )
    every = max(1, len(columns) // 32)
    figure.update_xaxes(tickvals=list(range(0, len(columns), every)), ticktext=columns[::every], title=title)
    figure.update_yaxes(title="layer", tickformat="d")
    return _finish(figure, height or int(np.clip(90 + 18 * len(grid), 240, 900)))


def _plane(scores: "NodeScores", across: str) -> tuple[np.ndarray, np.ndarray, list[str], str]:
    """Sums of scores by layer and column, what a place is called, the columns' names, and what they are."""
    nodes = scores.nodes
    columns, labels, title = _by_position(scores) if across == "position" and nodes.by_position else _by_unit(scores)
    shape = (int(nodes.layer.max()) + 1, len(labels))
    known = np.isfinite(scores.score) & (columns >= 0)
    place = nodes.layer[known] * shape[1] + columns[known]
    total = np.bincount(place, scores.score[known], minlength=shape[0] * shape[1])
    there = np.bincount(place, minlength=len(total)) > 0
    grid = np.where(there, total, np.nan).reshape(shape)
    names = np.array([[f"L{layer} {label}" for label in labels] for layer in range(shape[0])], object)
    return grid, names, labels, title


def _by_position(scores: "NodeScores") -> tuple[np.ndarray, list[str], str]:
    first = int(scores.nodes.position.min())
    return (
        scores.nodes.position - first,
        [str(p) for p in range(first, 0)],
        "position, from the last token (all units together)",
    )


def _by_unit(scores: "NodeScores") -> tuple[np.ndarray, list[str], str]:
    """A column for each head (of each side), and one for what a layer has once; of many units, one for all."""
    nodes, labels = scores.nodes, []
    columns = np.full(len(nodes), -1)
    for at, family in enumerate(nodes.families):
        here = nodes.family == at
        width = int(nodes.unit[here].max()) + 1
        if width < 1 or width > MOST_HEADS:
            columns[here] = len(labels)
            labels.append({"mlp": "MLP", "rest": "rest"}.get(family, f"{family}s"))
        else:
            columns[here] = len(labels) + nodes.unit[here]
            side = "" if family == "head" or len(nodes.families) == 1 else f" {family}"
            labels += [f"{i}{side}" for i in range(width)]
    if len(labels) == 1:  # which says what it is
        return columns, labels, ""
    return columns, labels, "head" if "head" in nodes.families or len(nodes.families) > 1 else nodes.families[0]


@draws
def unit_edge_figure(scores: "UnitEdgeScores", *, height: int | None = None) -> go.Figure:
    """A row a unit that writes, a column a unit that reads, the last one the logits."""
    columns = [*scores.units, "logits"]
    place = {name: i for i, name in enumerate(columns)}
    grid = np.full((len(scores.units), len(columns)), np.nan)
    for sender, receiver, value in zip(scores.senders, scores.receivers, scores.score, strict=True):
        if sender in place and receiver in place:
            grid[place[sender], place[receiver]] = -value
    top = float(np.abs(grid[np.isfinite(grid)]).max(initial=0)) or 1.0
    names = np.array([[f"{a} → {b}" for b in columns] for a in scores.units], object)
    figure = go.Figure(
        go.Heatmap(
            z=np.round(grid, 6),
            colorscale=SIGNED,
            zmin=-top,
            zmax=top,
            zmid=0,
            customdata=names,
            hovertemplate="%{customdata}<br>worth %{z:.4f} of the metric<extra></extra>",
            colorbar={"title": {"text": "for the right answer", "side": "right"}, "thickness": 12},
        )
    )
    every = max(1, len(columns) // 40)
    for axis, labels, title in ((figure.update_xaxes, columns, "reads"), (figure.update_yaxes, scores.units, "writes")):
        axis(tickvals=list(range(0, len(labels), every)), ticktext=labels[::every], title=title)
    return _finish(figure, height or int(np.clip(120 + 16 * len(grid), 300, 900)))
