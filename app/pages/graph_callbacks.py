"""What the page of a circuit does: follows its trace, draws what is kept, and lists the edges of the selected node."""

from functools import lru_cache
from typing import Any
from urllib.parse import quote

import numpy as np
from dash import Dash, Input, Output, Patch, State, dcc, html, no_update

from app import connections, jobs, linkgraph
from app.analyses import graph_mark, stored_graph
from app.components import drawn
from app.components.parts import duration, empty, error, meter, stat
from app.library import registered
from circuits.graph import KINDS, CircuitGraph
from probe.errors import BadInput


def exists(name: str) -> bool:
    try:
        registered("graph", name)
    except BadInput:
        return False
    return True


def waiting(name: str) -> Any:
    """Progress of the trace, or why there is no graph."""
    job = jobs.table().latest(f"trace:{name}")
    if job is None:
        return empty("No such circuit", "It may have been removed. Trace the prompt again.")
    if job.state == "done":
        return html.Div(
            [html.P("The graph is ready."), dcc.Link("Open it", href=f"/circuits/{quote(name)}?ready=1")],
            className="ow-state",
        )
    if not job.active:
        return error(job.message, heading="The prompt was not traced")
    eta = f", about {duration(job.eta)} left" if job.eta else ""
    return html.Div(
        [html.H3(job.title), html.P(f"{job.stage or 'waiting for other work'}{eta}"), meter(job.share)],
        className="ow-state",
    )


def starting_node(found: CircuitGraph, selection: dict[str, Any]) -> dict[str, Any]:
    """The node of the address, or the likeliest logit."""
    node = selection.get("node")
    if not (isinstance(node, int) and 0 <= node < len(found.nodes)):
        selection["node"] = int(found.probability.argmax())
    selection.pop("head", None)
    selection.pop("layer", None)
    return selection


@lru_cache(maxsize=32)
def _arranged(name: str, mark: int, keep: float) -> linkgraph.Arrangement:
    """Positions are the same until the graph of this name is replaced, which changes its `mark`."""
    return linkgraph.arrange(stored_graph(name), keep)


def arranged(name: str, keep: float | None) -> tuple[CircuitGraph, linkgraph.Arrangement]:
    """A graph and what of it is shown."""
    found = stored_graph(name)
    return found, _arranged(name, graph_mark(name), round(float(keep or 0.8), 2))


def chosen(selection: dict[str, Any] | None, found: CircuitGraph) -> int:
    """The selected node."""
    return starting_node(found, dict(selection or {}))["node"]


def node_facts(found: CircuitGraph, node: int) -> list[Any]:
    """Name and numbers of one node."""
    kind = KINDS[found.nodes.kind[node]]
    root = bool(found.roots[node])
    text = found.unit_tokens[node] if root else found.tokens[found.nodes.pos[node]]
    where = f"{linkgraph.word(kind)} {'of' if root else 'at'} {text!r}, position {found.nodes.pos[node]}"
    value = found.nodes.value[node]
    numbers = [
        ("value", value),
        ("activation", found.nodes.activation[node]),
        ("influence", np.nan if root else found.influence[node]),
        ("weight" if kind == "direction" else "probability", found.probability[node] or np.nan),
    ]
    head = html.Div(
        [
            html.Strong(linkgraph.short(found, node), className="mono", style={"fontSize": 15}),
            html.Div(linkgraph.label(found, node), dir="auto"),
            html.Div(where, className="ow-sub", dir="auto"),
        ]
    )
    return [
        head,
        html.Div(
            [stat(k, f"{v:.4g}".replace("-", "−")) for k, v in numbers if not np.isnan(v)],
            className="ow-stats",
            style={"marginTop": 8},
        ),
    ]


def register(app: Dash) -> None:
    drawn.register_strip(app, "graph-strip")
    for rows in ("edges", "nodes"):
        drawn.register_rows(app, rows)
    register_plot(app)
    register_click(app)

    @app.callback(
        Output("waiting", "children"),
        Output("url", "href", allow_duplicate=True),
        Input("waiting-poll", "n_intervals"),
        State("waiting-for", "data"),
        prevent_initial_call=True,
    )
    def follow(_: Any, name: str | None):
        if not name:
            return no_update, no_update
        return (no_update, f"/circuits/{quote(name)}?ready=1") if exists(name) else (waiting(name), no_update)


def register_plot(app: Dash) -> None:
    @app.callback(
        Output("links", "figure"),
        Output("shown", "children"),
        Output("graph-strip-data", "data"),
        Input("keep", "value"),
        Input("graph-name", "data"),
        State("selection", "data"),
        State("scheme", "data"),
    )
    def plot(keep: float, name: str, selection: dict[str, Any] | None, scheme: str):
        found, shown = arranged(name, keep)
        per_token = np.bincount(found.nodes.pos[shown.nodes], found.influence[shown.nodes], minlength=len(found.tokens))
        strip = drawn.strip_data(found.tokens, found.token_ids, per_token, label="influence of its nodes")
        words = f"{100 * shown.held:.0f} %: {len(shown.nodes):,} of {len(found.nodes):,} nodes shown"
        return linkgraph.graph_figure(found, shown, chosen(selection, found), scheme), words, strip

    @app.callback(
        Output("nodes-data", "data"), Input("keep", "value"), Input("graph-name", "data"), Input("selection", "data")
    )
    def nodes(keep: float, name: str, selection: dict[str, Any] | None):
        found, shown = arranged(name, keep)
        at = (selection or {}).get("token")
        return connections.node_rows(found, shown, at if isinstance(at, int) and at < len(found.tokens) else None)


def register_click(app: Dash) -> None:
    @app.callback(
        Output("selection", "data", allow_duplicate=True),
        Input("links", "clickData"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def click(data: dict[str, Any] | None, selection: dict[str, Any] | None):
        node = (data or {}).get("points", [{}])[0].get("customdata")
        node = node[0] if isinstance(node, list) else node
        return no_update if node is None else {**(selection or {}), "node": int(node)}

    @app.callback(
        Output("edges-data", "data"),
        Output("node-facts", "children"),
        Output("links", "figure", allow_duplicate=True),
        Input("selection", "data"),
        Input("direction", "value"),
        State("graph-name", "data"),
        State("keep", "value"),
        State("scheme", "data"),
        prevent_initial_call="initial_duplicate",
    )
    def edges_of(selection: dict[str, Any] | None, direction: str, name: str, keep: float, scheme: str):
        found, shown = arranged(name, keep)
        node = chosen(selection, found)
        patch = Patch()
        traces = [*linkgraph.edge_traces(found, shown, node, scheme), linkgraph.ring_trace(found, shown, node, scheme)]
        for i, trace in enumerate(traces):
            patch["data"][i]["x"], patch["data"][i]["y"] = list(trace.x), list(trace.y)
        return connections.connection_rows(found, node, direction), node_facts(found, node), patch
