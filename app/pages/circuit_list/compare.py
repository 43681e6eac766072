"""Two circuits compared: what is in both and what changed, what is in one only, and both link graphs side by side.

The difference of two graphs of millions of edges takes a second or more, so it is a job of its own, and its result stays in
memory under both graphs' digests.
"""

from typing import TYPE_CHECKING

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn, snippets
from app.components.parts import Parts, graph, link_button, panel, segmented, title
from app.components.slot import register_slot, slot
from app.figures import linkgraph
from app.figures.dress import dress
from app.frame.shell import Page
from app.jobs import work
from app.jobs.again import Arguments, task
from app.library.graphs import body, graph_of
from app.library.models import short_model
from app.pages.circuit_list.compare_tables import edge_table, node_table, stats
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
    return [
        dcc.Store(id="pair-names", data=[name, other]),
        *(dcc.Store(id=f"pair-{side}-clicked") for side in SIDES),
        title(
            "Two circuits",
            lead="a on the left, b on the right. Only what means the same in both is compared; the notes say what that is.",
            actions=[swap],
        ),
        html.Div([_card("a", name, a), _card("b", other, b)], className="ow-grid even"),
        slot("pair", asked(name, other, match)),
        html.Div(_panels(name, other, a, b, match), className="ow-stack ow-fills"),
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


def _panels(name: str, other: str, a: CircuitGraph, b: CircuitGraph, match: str) -> Parts:
    lines = f"a, b = load_graph({name!r}), load_graph({other!r})\nrecord = difference(a, b, match={match!r})\nrecord.figure()"
    python = snippets.python(lines, circuits=["difference", "load_graph"])
    quoted = f"{snippets.shlex.quote(name)} {snippets.shlex.quote(other)}"
    how = snippets.snippets(python, f"openwork graph diff {quoted} --match {match}")
    positions = segmented("pair-match", MATCHES, match)
    wide = [{"minWidth": max(0, 30 * len(g.tokens))} for g in (a, b)]
    height = int(np.clip(14 * (max(a.n_layers, b.n_layers) + 2) + 110, 340, 560))
    both = [
        panel(
            f"Link graph of {side}",
            html.Div(html.Div(graph(f"pair-{side}", height, f"Link graph of {side}"), style=w), className="ow-scroll"),
            note=html.Span(f"The {SHOWN} most influential nodes; a click opens the graph at that node."),
        )
        for side, w in zip(SIDES, wide, strict=True)
    ]
    return [
        panel(
            "What differs",
            [html.Div(id="pair-stats", className="ow-stats"), html.Ul(id="pair-notes", className="ow-notes")],
            tools=html.Div([html.Span("Positions match", className="ow-partial"), positions], className="ow-actions"),
            foot=how,
        ),
        html.Div(
            [
                panel(
                    "Influence in both",
                    graph("pair-figure", 460, "Influence in b against influence in a"),
                    note="A node on the diagonal matters as much in both; one on an axis is in one graph only.",
                ),
                panel(
                    "Changed most",
                    html.Div(drawn.rows("pair-both", 480), className="tight"),
                    note="Nodes of both graphs.",
                ),
            ],
            className="ow-grid even",
        ),
        html.Div(
            [
                panel("Only in a", html.Div(drawn.rows("pair-only-a", 420), className="tight")),
                panel("Only in b", html.Div(drawn.rows("pair-only-b", 420), className="tight")),
            ],
            className="ow-grid even",
        ),
        html.Div(both, className="ow-grid even"),
        panel("Edges that changed most", drawn.rows("pair-edges", 420), note="By the influence that runs along."),
    ]


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


def link_figure(name: str, scheme: str) -> "Figure":
    """A graph's link graph, small: its strongest nodes, with the edges of its likeliest root."""
    found = graph_of(name)
    shown = linkgraph.arrange(found, linkgraph.first_keep(found, SHOWN))
    return linkgraph.graph_figure(found, shown, int(found.probability.argmax()), scheme).update_layout(showlegend=False)


def register(app: Dash) -> None:
    register_slot(app, "pair")
    for table in ("both", "only-a", "only-b", "edges"):
        drawn.register_rows(app, f"pair-{table}")

    @app.callback(
        Output("pair-stats", "children"),
        Output("pair-notes", "children"),
        Output("pair-figure", "figure"),
        *(Output(f"pair-{side}", "figure") for side in SIDES),
        *(Output(f"pair-{table}-data", "data") for table in ("both", "only-a", "only-b", "edges")),
        Input("pair-done", "data"),
        State("pair-names", "data"),
        State("scheme", "data"),
    )
    def show(key: str | None, names: list[str], scheme: str):
        found = work.result(key)
        if found is None:
            return [no_update] * 9
        tables = [node_table(found, where, (names[0], names[1])) for where in ("both", "a", "b")]
        notes = [html.Li(note[:400], dir="auto") for note in found.notes[:30]]
        figure = dress(found.figure(), scheme)
        figure.update_xaxes(title="influence in a").update_yaxes(title="influence in b")  # the cards above name both
        figures = [figure, *(link_figure(n, scheme) for n in names)]
        return [stats(found), notes, *figures, *tables, edge_table(found)]

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
        ClientsideFunction("openwork", "besideMatch"), Output("pair-stats", "data-match"), Input("pair-match", "value")
    )


FIGURES = ("pair-figure", "pair-a", "pair-b")
PAGE = Page(r"/circuits/(?P<name>[^/]+)/beside/(?P<other>[^/]+)", "Two circuits", layout, register, FIGURES)


@task("compare")
def _compare_again(arguments: Arguments) -> None:
    asked(arguments["name"], arguments["other"], arguments["match"])
