"""Two circuits compared: what is in both and what changed, as the record of the difference draws itself, and both link graphs.

The difference of two graphs of millions of edges takes a second or more, so it is a job of its own. It holds every edge of both,
so its result stays in memory, under both graphs' digests.
"""

from typing import TYPE_CHECKING

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components.parts import Part, Parts, graph, link_button, panel, segmented, title
from app.components.slot import register_slot, slot
from app.components.snippets import of_call
from app.components.still import still
from app.figures.linkgraph import link_figure
from app.frame.shell import Page
from app.jobs import work
from app.jobs.again import Arguments, task
from app.library.graphs import body, graph_of, shown_graph
from app.library.models import short_model
from app.methods.drawing import Look, drawn_panels
from circuits.graph.arrangement import arrange, first_keep
from circuits.graph.graph import CircuitGraph
from probe.errors import BadInput
from probe.progress import Progress
from probe.words import counted

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from circuits.comparison.difference import GraphDifference


MATCHES = [
    ("auto", "as fits"),
    ("position", "from the first token"),
    ("end", "from the last token"),
    ("none", "added up"),
]
SHOWN = 250  # nodes of each link graph
SIDES = ("a", "b")


def layout(name: str, other: str, query: dict[str, str]) -> Parts:
    """Both graphs' names at once; the difference follows."""
    if name == other:
        raise BadInput("A graph does not differ from itself. Choose another one in the list of circuits.")
    a, b = graph_of(name), graph_of(other)
    match = query.get("match", "auto") if query.get("match") in dict(MATCHES) else "auto"
    swap = link_button("Swap", links.circuits_beside(other, name), "beside", small=True)
    positions = html.Div(
        [html.Span("Positions match", className="ow-partial"), segmented("pair-match", MATCHES, match)]
    )
    positions.className = "ow-actions"
    return [
        dcc.Store(id="pair-names", data=[name, other]),
        *(dcc.Store(id=f"pair-{side}-clicked") for side in SIDES),
        title(
            "Two circuits",
            lead="a on the left, b on the right. Only what means the same in both is compared; the notes say what that is.",
            actions=[positions, swap],
        ),
        html.Div([_card("a", name, a), _card("b", other, b)], className="ow-grid even"),
        slot("pair", asked(name, other, match)),
        html.Div(id="pair-panels", className="ow-grid even ow-fills"),
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


def asked(name: str, other: str, match: str) -> str:
    """Queue the difference of two stored graphs, unless it is known."""
    if match not in dict(MATCHES):
        raise BadInput(f"Positions match {', '.join(dict(MATCHES))}; '{str(match)[:40]}' came.")
    key = work.key_of("difference", name, body(name), other, body(other), match)
    title_ = f"Compare {name} with {other}"
    page = links.circuits_beside(name, other) + ("" if match == "auto" else f"?match={match}")
    again = ["compare", {"name": name, "other": other, "match": match}]
    return work.submit(
        work.Work(key, title_, lambda p: run(name, other, match, p), page, "graph", alone=True, again=again)
    )


def run(name: str, other: str, match: str, progress: Progress) -> "GraphDifference":
    """The difference, by the names of two stored graphs."""
    from circuits.comparison.difference import difference

    with progress.stage("comparing", total=1, unit="step") as step:
        found = difference(graph_of(name), graph_of(other), match=match)
        step(1)
    return found


def shown(key: str | None, name: str, other: str, scheme: str) -> Part | Parts:
    """The difference's own panels, whose nodes lead to their graph, and the lines that make it."""
    found = work.required(key)
    made = of_call("compare-graphs", a=name, b=other, match=found.convention["match"])
    look = Look(scheme, lambda node, row: (at_node(node, name, other), ""))
    return still([*drawn_panels(found, "", look, "pair"), made])


def at_node(node: object, *names: str) -> str | None:
    """The first graph's page that has a node of this name; None where none has."""
    for name in names:
        try:
            return links.circuit_page(name, node=graph_of(name).find(str(node))[0])
        except BadInput:
            continue
    return None


def small_links(name: str, scheme: str) -> "Figure":
    """A graph's link graph, small: its strongest nodes, with the edges of its likeliest root."""
    found = shown_graph(name)
    kept = arrange(found, first_keep(found, SHOWN))
    return link_figure(found, kept, int(found.probability.argmax()), scheme).update_layout(showlegend=False)


def register(app: Dash) -> None:
    register_slot(app, "pair")

    @app.callback(
        Output("pair-panels", "children"),
        *(Output(f"pair-{side}", "figure") for side in SIDES),
        Input("pair-done", "data"),
        State("pair-names", "data"),
        State("scheme", "data"),
    )
    def show(key: str | None, names: list[str], scheme: str):
        if work.result(key) is None:
            return [no_update] * 3
        return shown(key, *names, scheme), *(small_links(n, scheme) for n in names)

    @app.callback(
        Output("pair-key", "data"),
        Input("pair-match", "value"),
        State("pair-names", "data"),
        prevent_initial_call=True,
    )
    def again(match: str, names: list[str]):
        return asked(names[0], names[1], match)

    for side in SIDES:
        app.clientside_callback(
            ClientsideFunction("openwork", "besideClicked"),
            Output(f"pair-{side}-clicked", "data"),
            Input(f"pair-{side}", "clickData"),
            State("pair-names", "data"),
        )
    app.clientside_callback(
        ClientsideFunction("openwork", "besideMatch"), Output("pair-panels", "data-match"), Input("pair-match", "value")
    )


PAGE = Page(
    r"/circuits/(?P<name>[^/]+)/beside/(?P<other>[^/]+)", "Two circuits", layout, register, ("pair-a", "pair-b")
)


@task("compare")
def _compare_again(arguments: Arguments) -> None:
    asked(arguments["name"], arguments["other"], arguments["match"])
