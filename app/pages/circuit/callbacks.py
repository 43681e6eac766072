"""What the page of a circuit does: follows its trace, draws what is kept, and lists the edges of the selected node."""

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, Patch, State, ctx, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn, slot
from app.components.drawn import Drawn
from app.components.parts import Part, Parts
from app.components.polling import in_turn
from app.components.still import still
from app.figures.linkgraph import edges_exchanged, link_figure
from app.library.artifacts import is_registered
from app.library.graphs import graph_mark, graph_of, reading, shown_graph, stored_graph
from app.methods.method_jobs import maker_of
from app.pages.circuit import components, editing, validation
from app.pages.circuit.node import node_facts
from app.pages.circuit.scores import scores_in_sight
from app.selection import Selection
from circuits.graph import rows
from circuits.graph.component_graph import ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.graph.link_graph_nodes import FIRST_EDGES, FIRST_NODES
from circuits.graph.node_positions import Arrangement, arrange

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WAITING = 600  # milliseconds between questions about a trace


def waiting(name: str) -> Component:
    """Progress of the trace, or why there is no graph."""
    return html.Div(slot.waiting(maker_of(name)), className="ow-state")


def starting_node(found: CircuitGraph, selection: Selection) -> Selection:
    """The node of the address, or the likeliest logit."""
    node = selection.get("node")
    if not (isinstance(node, int) and 0 <= node < len(found.nodes)):
        selection["node"] = int(found.probability.argmax())
    selection.pop("head", None)
    selection.pop("layer", None)
    return selection


@lru_cache(maxsize=32)
def _arranged(name: str, mark: int, keep: float) -> Arrangement:
    """Positions are the same until the graph of this name is replaced, which changes its `mark`."""
    return arrange(stored_graph(name), keep)


def arranged(name: str, keep: float | None, edges: float | str | None = None) -> tuple[CircuitGraph, Arrangement]:
    """A graph and what of it is shown."""
    with reading:
        found, mark = shown_graph(name), graph_mark(name)
        if found.of_task:
            size, rule = components.asked({"k": str(keep or ""), "e": str(edges or "")})
            return found, components.arranged(name, mark, int(size), rule)
        return found, _arranged(name, mark, round(float(keep or FIRST_NODES), 2))


def chosen(selection: Selection | None, found: CircuitGraph) -> int:
    """The selected node."""
    return starting_node(found, dict(selection or {}))["node"]


# -- what the page is told, when it is laid out and later --------------------------------------------------------------------


def plotted(
    name: str, keep: float, selection: Selection | None, scheme: str, edges: float | str | None = None
) -> "tuple[Figure, str, Drawn]":
    """The link graph, how much of the graph it shows, and the strip of tokens above it."""
    found, shown = arranged(name, keep, edges)
    figure = link_figure(found, shown, chosen(selection, found), scheme)
    if isinstance(found, ComponentGraph):
        return figure, components.said_of(found, shown), components.strip()
    per_token = np.bincount(found.nodes.pos[shown.nodes], found.influence[shown.nodes], minlength=len(found.tokens))
    strip = drawn.strip_data(found.tokens, found.token_ids, per_token, label="influence of its nodes")
    words = f"{100 * shown.held:.0f} %: {len(shown.nodes):,} of {len(found.nodes):,} nodes shown"
    return figure, words, strip


def connected(
    name: str, keep: float, selection: Selection | None, direction: str, edges: float | str | None = None
) -> tuple[Drawn, Part | Parts]:
    """The edges of the selected node as rows, and its name and numbers."""
    found, shown = arranged(name, keep, edges)
    node = chosen(selection, found)
    return rows.edge_table(found, node, direction), still(node_facts(found, node, shown))


def shown_rows(name: str, keep: float, selection: Selection | None, edges: float | str | None = None) -> Drawn:
    """The nodes of the link graph as rows; those of the selected token, where there is one."""
    found, shown = arranged(name, keep, edges)
    at = (selection or {}).get("token")
    at_token = isinstance(at, int) and at < len(found.tokens) and not found.of_task
    return rows.node_table(found, shown, at if at_token else None)


def register(app: Dash) -> None:
    drawn.register_strip(app, "graph-strip")
    for table in ("edges", "nodes", "graph-found"):
        drawn.register_rows(app, table)
    register_waiting(app)
    register_plot(app)
    register_click(app)
    register_scores(app)
    editing.register(app)
    validation.register(app)


def register_waiting(app: Dash) -> None:
    @app.callback(
        Output("waiting", "children"),
        Output("url", "href", allow_duplicate=True),
        Input("waiting-poll", "n_intervals"),
        State("waiting-for", "data"),
        running=in_turn("waiting-poll", WAITING),
        prevent_initial_call=True,
    )
    def follow(_: object, name: str | None):
        if not name:
            return no_update, no_update
        return (
            (no_update, f"/circuits/{quote(name)}?ready=1")
            if is_registered("graph", name)
            else (waiting(name), no_update)
        )

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("graph-compare", "value"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def compare(other: str | None, name: str):
        return links.circuits_beside(name, other) if other else no_update


def unmoved(name: str) -> bool:
    """Whether what was moved is the slider of edges, which the link graph of a prompt does not follow."""
    return ctx.triggered_id == "edges-kept" and not graph_of(name).of_task


def register_plot(app: Dash) -> None:
    @app.callback(
        Output("links", "figure"),
        Output("shown", "children"),
        Output("graph-strip-data", "data"),
        Input("keep", "value"),
        Input("edges-kept", "value"),
        Input("graph-marks", "data"),
        Input("scheme", "data"),
        State("graph-name", "data"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def plot(keep: float, edges: float | str, _: object, scheme: str, name: str, selection: Selection | None):
        if unmoved(name):
            return no_update, no_update, no_update
        return plotted(name, keep, selection, scheme, edges)

    @app.callback(
        Output("nodes-data", "data"),
        Input("keep", "value"),
        Input("edges-kept", "value"),
        Input("graph-marks", "data"),
        Input("selection", "data"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def nodes(keep: float, edges: float | str, _: object, selection: Selection | None, name: str):
        return no_update if unmoved(name) else shown_rows(name, keep, selection, edges)

    @app.callback(
        Output("graph-found-data", "data"),
        Output("graph-found-box", "hidden"),
        Input("graph-find", "value"),
        State("graph-name", "data"),
        prevent_initial_call=True,
    )
    def find(text: str | None, name: str):
        wanted = (text or "").strip()
        return (rows.found_table(shown_graph(name), wanted[:200]), False) if wanted else (no_update, True)


def register_click(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "clicked"), Output("node-facts", "data-clicked"), Input("links", "clickData")
    )

    @app.callback(
        Output("edges-data", "data"),
        Output("node-facts", "children"),
        Output("links", "figure", allow_duplicate=True),
        Input("selection", "data"),
        Input("direction", "value"),
        Input("graph-marks", "data"),
        State("graph-name", "data"),
        State("keep", "value"),
        State("edges-kept", "value"),
        State("scheme", "data"),
        prevent_initial_call=True,
    )
    def edges_of(
        selection: Selection | None, direction: str, _: object, name: str, keep: float, kept: float | str, scheme: str
    ):
        edges, facts = connected(name, keep, selection, direction, kept)
        found, shown = arranged(name, keep, kept)
        patch = Patch()
        for i, trace in enumerate(edges_exchanged(found, shown, chosen(selection, found), scheme)):
            patch["data"][i]["x"], patch["data"][i]["y"] = trace["x"], trace["y"]
        return edges, facts, patch


def register_scores(app: Dash) -> None:
    @app.callback(
        Output("scores-live", "children"),
        Input("keep", "value"),
        Input("edges-kept", "value"),
        Input("graph-marks", "data"),
        State("graph-name", "data"),
    )
    def scores(keep: float, edges: float | str, _: object, name: str):
        found, shown = arranged(name, keep, edges) if graph_of(name).of_task else (graph_of(name), None)
        if isinstance(found, ComponentGraph):
            return components.stats(found, shown)
        return scores_in_sight(name, round(float(keep or FIRST_NODES), 2), round(float(edges or FIRST_EDGES), 2))
