"""Connections, tokens and paths as figures."""

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from circuits.graph.figures import COLOURS, NEGATIVE, POSITIVE, SYMBOLS
from probe.show.beside import draws
from probe.show.labels import _finish, label_text, plain, token_axis

if TYPE_CHECKING:
    from circuits.weights.connections import Connections
    from circuits.weights.record import Branch, TopPaths
    from circuits.weights.tokens import TokenRanking


@draws
def connections_figure(found: "Connections", k: int = 20) -> go.Figure:
    """The k strongest connections, excitation to the right, inhibition to the left."""
    shown = found.units[:k]
    labels = [f"{c.source} {' '.join(c.through) or 'same token'} ({c.reader})" for c in shown]
    return _bars([c.strength for c in shown], labels, f"strength into {found.target}")  # names of units hold no markup


@draws
def tokens_figure(ranking: "TokenRanking", k: int = 12) -> go.Figure:
    """Tokens at both ends."""
    ends = [*ranking.highest[:k], *reversed(ranking.lowest[:k])]
    return _bars([t.score for t in ends], [plain(t.token, 34) for t in ends], f"{ranking.target} ({ranking.reader})")


def _bars(values: list[float], labels: list[str], title: str) -> go.Figure:
    at = list(range(len(values)))
    bars = go.Bar(
        x=values,
        y=at,
        orientation="h",
        marker={"color": [POSITIVE if v >= 0 else NEGATIVE for v in values]},
        hovertemplate="%{x:.4g}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_yaxes(tickvals=at, ticktext=labels, autorange="reversed", automargin=True)
    figure.update_xaxes(title=title)
    return _finish(figure, max(220, 24 * len(values) + 90))


@draws
def paths_figure(paths: "TopPaths", height: int = 560) -> go.Figure:
    """The tree of paths: position across, layer upwards; blue stops raise the target, dashed vermilion ones lower it."""
    placed: dict[int, tuple[float, float]] = {}
    taken: dict[tuple[int, float], int] = {}
    branches = _flat(paths.tree)
    for branch, _ in branches:
        placed[id(branch)] = _place(branch, paths, taken)
    figure = go.Figure()
    most = max((abs(b.value) for b, before in branches if before is not None), default=0.0) or 1.0
    for branch, before in branches:
        if before is not None:
            figure.add_trace(_line(placed[id(branch)], placed[id(before)], branch.value, most))
    for kind in dict.fromkeys(b.node.kind for b, _ in branches):
        figure.add_trace(_stops([b for b, _ in branches if b.node.kind == kind], kind, placed, paths, most))
    figure.update_xaxes(**token_axis(paths.tokens), zeroline=False, range=[-0.6, len(paths.tokens) - 0.4])
    root = paths.tree.node
    layers = [*range(0, root.layer, max(1, root.layer // 12)), root.layer]
    names = ["embed", *(str(i) for i in layers)]
    names[-1] = "logits" if root.kind == "logit" else names[-1]
    figure.update_yaxes(title="layer", zeroline=False, tickvals=[-1, *layers], ticktext=names)
    figure.update_layout(legend={"orientation": "h", "y": 1.08}, hovermode="closest")
    return _finish(figure, height)


def _flat(branch: "Branch", before: "Branch | None" = None) -> "list[tuple[Branch, Branch | None]]":
    found = [(branch, before)]
    for child in branch.children:
        found += _flat(child, branch)
    return found


_WITHIN = {"head": 0.2, "bias": 0.35, "error": 0.8}


def _place(branch: "Branch", paths: "TopPaths", taken: dict[tuple[int, float], int]) -> tuple[float, float]:
    """Heads below the units of their layer; stops at one place side by side."""
    node = branch.node
    y = node.layer + _WITHIN.get(node.kind, 0.6 if node.layer >= 0 and node.kind != "logit" else 0.0)
    nth = taken[(node.pos, y)] = taken.get((node.pos, y), -1) + 1
    offset = (nth + 1) // 2 * (1 if nth % 2 else -1) * 0.12
    return node.pos + max(-0.45, min(0.45, offset)), y


def _line(end: tuple[float, float], start: tuple[float, float], value: float, most: float) -> go.Scatter:
    raises = value >= 0
    width = 1 + 5 * abs(value) / most
    line = {"color": POSITIVE if raises else NEGATIVE, "width": width, "dash": "solid" if raises else "dash"}
    xs, ys = zip(start, end, strict=True)
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, opacity=0.45, hoverinfo="skip", showlegend=False)


def _stops(
    branches: "list[Branch]", kind: str, placed: dict[int, tuple[float, float]], paths: "TopPaths", most: float
) -> go.Scatter:
    hover = [f"{label_text(b.node.name(paths.tokens), 60)}<br>share {b.value:.4g}" for b in branches]
    return go.Scatter(
        x=[placed[id(b)][0] for b in branches],
        y=[placed[id(b)][1] for b in branches],
        mode="markers",
        name=kind,
        text=hover,
        hovertemplate="%{text}<extra></extra>",
        marker={
            "symbol": SYMBOLS.get(kind, "circle-open"),
            "color": COLOURS.get(kind, "#999999"),
            "size": [8 + 10 * min(1.0, abs(b.value) / most) for b in branches],
        },
    )
