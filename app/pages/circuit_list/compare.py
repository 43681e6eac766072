"""Two circuits compared: the method that tells what is in both and what changed, asked at once, and both link graphs."""

from typing import TYPE_CHECKING

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components.parts import Parts, graph, link_button, panel, title
from app.figures.linkgraph import link_figure
from app.frame.shell import Page
from app.jobs import work
from app.jobs.repeat_job import Arguments, task
from app.library.artifacts import registered
from app.library.graphs import graph_of, shown_graph
from app.library.models import short_model
from app.methods import method_jobs as calls
from app.methods.block import Block
from app.selection import selection_from
from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import read_graph
from circuits.graph.link_graph_nodes import first_keep
from circuits.graph.node_positions import arrange
from probe.errors import BadInput
from probe.methods.call import Call
from probe.words import counted

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PAIR = Block("pair", "compare-graphs", fields=("match",), key="result", title="What changed")
SHOWN = 250  # nodes of each link graph
SIDES = ("a", "b")


def layout(name: str, other: str, query: dict[str, str]) -> Parts:
    """Both graphs' names at once; the difference follows."""
    if name == other:
        raise BadInput("A graph does not differ from itself. Choose another one in the list of circuits.")
    a, b = read_graph(graph_of(name)), read_graph(graph_of(other))
    given = {"a": name, "b": other, **({"match": query["match"][:20]} if "match" in query else {})}
    key = work.given(query.get(PAIR.key), calls.WHAT) or work.submit(
        calls.work_of(Call.checked(PAIR.method, "", given))
    )
    swap = link_button("Swap", links.circuits_beside(other, name), "beside", small=True)
    lead = "a on the left, b on the right. Only what means the same in both is compared; the notes say what that is."
    return [
        dcc.Store(id="selection", data=selection_from(query)),
        dcc.Store(id="pair-names", data=[name, other]),
        *(dcc.Store(id=f"pair-{side}-clicked") for side in SIDES),
        title("Two circuits", lead=lead, actions=[swap]),
        html.Div([_card("a", name, a), _card("b", other, b)], className="ow-grid even"),
        html.Div(PAIR.layout("", given, {**query, PAIR.key: key}), className="ow-compared"),
        html.Div([_links(side, g) for side, g in zip(SIDES, (a, b), strict=True)], className="ow-grid even ow-fills"),
    ]


def _card(side: str, name: str, found: CircuitGraph) -> Component:
    size = f"{counted(len(found.nodes), 'node')} · {counted(len(found.edges), 'edge')}"
    facts = f"{short_model(found.model) or 'unnamed model'} · {size}"
    words = [
        html.Div(f"{side} · {name}", className="ow-eyebrow", dir="auto"),
        html.Div(found.prompt or "(a graph without a prompt)", className="name ow-clamp", dir="auto"),
        html.Div(f"{facts} · replacement {found.scores.replacement:.3f}", className="meta"),
    ]
    return dcc.Link(words, href=links.circuit_page(name), className="ow-card")


def _links(side: str, found: CircuitGraph) -> Component:
    height = int(np.clip(14 * (found.n_layers + 2) + 110, 340, 560))
    wide = {"minWidth": 30 * len(found.tokens)}
    return panel(
        f"Link graph of {side}",
        html.Div(html.Div(graph(f"pair-{side}", height, f"Link graph of {side}"), style=wide), className="ow-scroll"),
        note=f"The {SHOWN} most influential nodes; a click opens the graph at that node.",
    )


def small_links(name: str, scheme: str) -> "Figure":
    """A graph's link graph, small: its strongest nodes, with the edges of its likeliest root."""
    found = shown_graph(name)
    kept = arrange(found, first_keep(found, SHOWN))
    return link_figure(found, kept, int(found.probability.argmax()), scheme).update_layout(showlegend=False)


def register(app: Dash) -> None:
    @app.callback(
        *(Output(f"pair-{side}", "figure") for side in SIDES),
        Input(PAIR.part("done"), "data"),
        State("pair-names", "data"),
        State("scheme", "data"),
    )
    def show(key: str | None, names: list[str], scheme: str):
        return [small_links(n, scheme) for n in names] if key else [no_update] * 2

    for side in SIDES:
        app.clientside_callback(
            ClientsideFunction("openwork", "besideClicked"),
            Output(f"pair-{side}-clicked", "data"),
            Input(f"pair-{side}", "clickData"),
            State("pair-names", "data"),
        )


PAGE = Page(
    r"/circuits/(?P<name>[^/]+)/beside/(?P<other>[^/]+)", "Two circuits", layout, register, ("pair-a", "pair-b")
)


@task("compare")
def _compare_again(arguments: Arguments) -> None:
    """A comparison that was queued before it was a method."""
    a, b = (registered("graph", arguments[which]).name for which in ("name", "other"))
    asked = {"a": a, "b": b, "match": arguments["match"]}
    work.submit(calls.work_of(Call.checked(PAIR.method, "", asked)))
