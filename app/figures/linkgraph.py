"""The link graph of a circuit in the page's clothes; `circuits.graph.figures` draws it."""

import plotly.graph_objects as go

from app.figures.dress import MONO, dress, tilt
from circuits.graph.figures import graph_figure, link_traces
from circuits.graph.graph import CircuitGraph
from circuits.graph.node_positions import Arrangement
from probe.artifacts.json import Json

MAX_EDGES = 60  # drawn in each direction
_WHOLE = 7  # tokens; the picture of more may be wider than its frame, and is first seen at its right end


def link_figure(graph: CircuitGraph, shown: Arrangement, node: int | None = None, scheme: str = "light") -> go.Figure:
    """Position across, layer upwards, with the edges of a node; the legend stands above."""
    figure = graph_figure(graph, shown=shown, node=node, n_edges=MAX_EDGES, dark=scheme == "dark")
    many, long = (len(graph.tokens) > most and not graph.of_task for most in (12, _WHOLE))
    margin = {"l": 8 if long else 58, "r": 58 if long else 8, "t": 8, "b": 62 if many else 46 if graph.of_task else 34}
    at_end = {"x": 1, "xanchor": "right"} if long else {"x": 0}
    return dress(
        figure,
        scheme,
        xaxis={**tilt(many), "tickfont": MONO, "title": "head" if graph.of_task else None},
        yaxis={"side": "right" if long else "left"},
        margin=margin,
        dragmode="pan",
        uirevision="keep",
        legend={"yref": "container", "y": 1, "yanchor": "top", **at_end},
    )


def edges_exchanged(graph: CircuitGraph, shown: Arrangement, node: int, scheme: str) -> list[Json]:
    """x and y of the traces that another node changes, which are the figure's first."""
    traces = link_traces(graph, shown, node, MAX_EDGES, scheme == "dark")
    return [{axis: list(trace[axis]) for axis in ("x", "y")} for trace in traces]
