"""Pictures of what reading graphs gives: groups, collapsed graphs, merged graphs, differences. No model, no callbacks."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from circuits.figures import NEGATIVE, POSITIVE
from circuits.reading.identity import is_unit
from probe.figures import SEQUENTIAL, _finish, label_text, token_axis

if TYPE_CHECKING:
    from circuits.reading.collapsed import Collapsed
    from circuits.reading.compare import GraphDifference
    from circuits.reading.groups import Supernodes
    from circuits.reading.merge import MergedGraph

GREY = "#999999"
MOST_POINTS = 2000
"Nodes drawn of each kind; the most influential."
NAMED = 16
"Groups with a written name; the others show theirs under the pointer."


def supernodes_figure(found: "Supernodes", height: int = 560) -> go.Figure:
    """Likeness of the compared units, members of a group side by side; the largest groups first, units of none last."""
    at = {int(n): i for i, n in enumerate(found.nodes)}
    order = [at[n] for g in found.groups for n in g.nodes if n in at]
    order += [i for i in range(len(found.nodes)) if i not in set(order)]
    names = [label_text(found.graph.name(int(found.nodes[i])), 24) for i in order]
    trace = go.Heatmap(
        z=found.likeness[np.ix_(order, order)],
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=1,
        colorbar={"title": {"text": "likeness", "side": "right"}, "thickness": 12},
        hovertemplate="%{customdata}: %{z:.2f}<extra></extra>",
        customdata=[[f"{a}, {b}" for b in names] for a in names] if len(names) <= 120 else None,
    )
    figure = go.Figure(trace)
    ticks, texts, start = [], [], 0
    for group in found.groups:
        size = sum(n in at for n in group.nodes)
        at_row = start + (size - 1) / 2
        if not ticks or at_row - ticks[-1] > len(order) / 30:  # names of small groups would lie on each other
            ticks, texts = [*ticks, at_row], [*texts, label_text(group.name, 28)]
        box = {"x0": start - 0.5, "x1": start + size - 0.5, "y0": start - 0.5, "y1": start + size - 0.5}
        figure.add_shape(type="rect", line={"color": NEGATIVE, "dash": "dot" if group.weak else "solid"}, **box)
        start += size
    figure.update_yaxes(tickvals=ticks, ticktext=texts, autorange="reversed")
    figure.update_xaxes(showticklabels=False)
    return _finish(figure, height)


def collapsed_figure(small: "Collapsed", n_edges: int = 60, height: int = 560) -> go.Figure:
    """Groups at their mean position and layer, edges by the influence they carry; dashed vermilion edges push against their
    target (`CircuitGraph.pushes`)."""
    nodes, figure = small.graph.nodes, go.Figure()
    x = np.array([nodes.pos[m].mean() for m in small.members])
    y = np.array([nodes.layer[m].mean() for m in small.members])
    x, named = _spread_out(x, y, max(small.graph.n_layers / 24, 0.5)), np.argsort(-small.influence)[:NAMED]
    top = int(np.argmax([small.graph.probability[m].sum() for m in small.members]))  # the likeliest logit
    strongest = np.argsort(-small.flow, kind="stable")[:n_edges]
    most = max(float(small.flow.max(initial=0.0)), 1e-30)
    for i in strongest:
        ends, along = [small.source[i], small.target[i]], small.pushes[i] >= 0
        line = {"color": POSITIVE if along else NEGATIVE, "dash": "solid" if along else "dash"}
        figure.add_trace(
            go.Scatter(
                x=x[ends],
                y=y[ends],
                mode="lines",
                line={**line, "width": 0.5 + 4 * float(small.flow[i]) / most},
                opacity=0.6,
                hoverinfo="skip",
                showlegend=False,
            )
        )
    hover = [
        f"{label_text(name, 60)}<br>{len(m)} nodes, influence {v:.3f}"
        for name, m, v in zip(small.names, small.members, small.influence, strict=True)
    ]
    for name, mine, symbol, colour in (
        ("supernode", np.array(small.grouped), "hexagon", "#E69F00"),
        ("other", ~np.array(small.grouped), "circle", GREY),
    ):
        rows = np.flatnonzero(mine)
        figure.add_trace(
            go.Scatter(
                x=x[rows],
                y=y[rows],
                mode="markers+text",
                name=name,
                text=[label_text(small.names[i], 28) if i in named or i == top else "" for i in rows],
                textposition="top center",
                customdata=[hover[i] for i in rows],
                hovertemplate="%{customdata}<extra></extra>",
                marker={
                    "symbol": symbol,
                    "color": colour,
                    "size": 8 + 18 * np.sqrt(small.influence[rows] / max(float(small.influence.max()), 1e-30)),
                },
            )
        )
    figure.update_xaxes(**token_axis(small.graph.tokens), title="mean position", zeroline=False)
    figure.update_yaxes(title="mean layer", zeroline=False)
    figure.update_layout(legend={"orientation": "h", "y": 1.06})
    return _finish(figure, height)


def _spread_out(x: np.ndarray, y: np.ndarray, room: float) -> np.ndarray:
    """Nodes that would lie on each other, moved to either side: each takes the first free column near its position."""
    placed: list[tuple[float, float]] = []
    out = x.copy()
    for i in np.lexsort((y, x)):
        for step in range(9):
            at = x[i] + (step + 1) // 2 * 0.24 * (-1 if step % 2 else 1)
            if all(abs(at - px) > 0.2 or abs(y[i] - py) > room for px, py in placed):
                break
        out[i] = at
        placed.append((at, float(y[i])))
    return out


def merged_figure(merged: "MergedGraph", k: int = 25, height: int | None = None) -> go.Figure:
    """The k strongest units: mean influence with its bootstrap interval, and each prompt's own value as a faint point."""
    units = np.flatnonzero(is_unit(merged.nodes))
    shown = units[np.argsort(-merged.spread.mean[units], kind="stable")[:k]][::-1]
    y, mean = np.arange(len(shown)), merged.spread.mean[shown]
    figure = go.Figure()
    for prompt, values, held in zip(merged.prompts, merged.influence, merged.held, strict=True):
        mine = held[shown]
        figure.add_trace(
            go.Scatter(
                x=values[shown][mine],
                y=y[mine] + 0.25,
                mode="markers",
                name="one prompt",
                text=[label_text(prompt, 60)] * int(mine.sum()),
                hovertemplate="%{text}<br>influence %{x:.4f}<extra></extra>",
                marker={"size": 6, "color": GREY, "opacity": 0.7},
                legendgroup="prompt",
                showlegend=prompt is merged.prompts[0],
            )
        )
    known = ~np.isnan(merged.spread.low[shown])
    error = {
        "type": "data",
        "array": np.where(known, merged.spread.high[shown] - mean, 0),
        "arrayminus": np.where(known, mean - merged.spread.low[shown], 0),
    }
    count = merged.held[:, shown].sum(0)
    figure.add_trace(
        go.Scatter(
            x=mean,
            y=y,
            error_x={**error, "color": POSITIVE},
            mode="markers",
            name="mean and 95% interval",
            customdata=[f"in {n} of {len(merged.prompts)} prompts" for n in count],
            hovertemplate="mean %{x:.4f}, %{customdata}<extra></extra>",
            marker={"size": 9, "color": POSITIVE},
        )
    )
    figure.update_yaxes(tickvals=y, ticktext=[label_text(merged.nodes.names[i], 28) for i in shown], zeroline=False)
    figure.update_xaxes(title="influence, per probability explained", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": 1.06})
    return _finish(figure, height or 140 + 18 * len(shown))


def difference_figure(found: "GraphDifference", height: int = 520) -> go.Figure:
    """Influence in b against influence in a; nodes of one graph only lie on its axis, equal ones on the diagonal."""
    x, y = np.nan_to_num(found.influence)
    most = float(max(x.max(initial=0.0), y.max(initial=0.0), 1e-12))
    states, figure = np.array(found.where), go.Figure()
    line = {"color": GREY, "dash": "dot", "width": 1}
    figure.add_trace(go.Scatter(x=[0, most], y=[0, most], mode="lines", line=line, name="equal", hoverinfo="skip"))
    for state, colour, symbol in (
        ("both", POSITIVE, "circle"),
        ("a", NEGATIVE, "triangle-right"),
        ("b", "#E69F00", "star"),
    ):
        mine = np.flatnonzero(states == state)
        mine = mine[np.argsort(-np.maximum(x, y)[mine], kind="stable")[:MOST_POINTS]]
        figure.add_trace(
            go.Scatter(
                x=x[mine],
                y=y[mine],
                mode="markers",
                name="in both" if state == "both" else f"only in {state}",
                text=[label_text(found.nodes.names[i], 60) for i in mine],
                hovertemplate="%{text}<br>a %{x:.4f}, b %{y:.4f}<extra></extra>",
                marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.7},
            )
        )
    figure.update_xaxes(title=f"influence in a: {label_text(found.prompts[0], 40)}", rangemode="tozero")
    figure.update_yaxes(title=f"influence in b: {label_text(found.prompts[1], 40)}", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": 1.06})
    return _finish(figure, height)
