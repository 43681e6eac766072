"""Groups of units as figures."""

from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from circuits.graph.figures import NEGATIVE, POSITIVE, graph_figure
from probe.show.beside import draws
from probe.show.labels import SEQUENTIAL, _finish, label_text, token_axis

if TYPE_CHECKING:
    from circuits.supernodes.collapse import Collapsed
    from circuits.supernodes.groups import Supernodes
    from circuits.supernodes.subgraph import Subgraph

GREY = "#999999"
NAMED = 16
"Groups with a written name; the others show theirs under the pointer."


@draws
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


@draws
def subgraph_figure(small: "Subgraph", **options: Any) -> go.Figure:
    """Link graph of the pinned units, the leaves and the logits; options as for a whole graph."""
    return graph_figure(small.graph, shown=np.ones(len(small.graph.nodes), bool), **options)


@draws
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
