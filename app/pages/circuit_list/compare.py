"""Two circuits compared: what is in both and what changed, what is in one only, and both link graphs side by side.

The difference of two graphs of millions of edges takes a second or more, so it is a job of its own, and its result stays in
memory under both graphs' digests.
"""

from typing import Any

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components import drawn, snippets
from app.components.parts import graph, link_button, panel, segmented, stat, title
from app.components.slot import register_slot, slot
from app.figures import linkgraph
from app.figures.dress import dress
from app.frame.shell import Page
from app.jobs import work
from app.library.graphs import body, graph_of
from app.library.models import short_model
from app.pages.circuit.panels import opening
from circuits.graph.graph import CircuitGraph
from probe.errors import BadInput
from probe.progress import Progress
from probe.words import counted

MATCHES = [
    ("auto", "as fits"),
    ("position", "from the first token"),
    ("end", "from the last token"),
    ("none", "added up"),
]
LISTED = 100
SHOWN = 250  # nodes of each link graph
SIDES = ("a", "b")


def layout(name: str, other: str, query: dict[str, str]) -> list[Any]:
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


def _card(side: str, name: str, found: CircuitGraph) -> Any:
    size = f"{counted(len(found.nodes), 'node')} · {counted(len(found.edges), 'edge')}"
    facts = f"{short_model(found.model) or 'unnamed model'} · {size}"
    words = [
        html.Div(f"{side} · {name}", className="ow-eyebrow", dir="auto"),
        html.Div(found.prompt or "(a graph without a prompt)", className="name ow-clamp", dir="auto"),
        html.Div(f"{facts} · replacement {found.scores.replacement:.3f}", className="meta"),
    ]
    return dcc.Link(words, href=links.circuit_page(name), className="ow-card")


def _panels(name: str, other: str, a: CircuitGraph, b: CircuitGraph, match: str) -> list[Any]:
    python = (
        f"a, b = (load_graph(place('graph', name)) for name in ({name!r}, {other!r}))\n"
        f"record = difference(a, b, match={match!r})\nrecord.figure()"
    )
    quoted = f"{snippets.shlex.quote(name)} {snippets.shlex.quote(other)}"
    how = snippets.snippets(opening(python, "difference"), f"openwork graph diff {quoted} --match {match}")
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


# -- the work --------------------------------------------------------------------------------------------------------------


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


def run(name: str, other: str, match: Any, progress: Progress) -> Any:
    """The difference, by the names of two stored graphs."""
    from circuits.comparison.difference import difference

    with progress.stage("comparing", total=1, unit="step") as step:
        found = difference(graph_of(name), graph_of(other), match=match)
        step(1)
    return found


def stats(found: Any) -> list[Any]:
    """Counts and agreement in numbers."""
    s = found.summary()
    nodes, edges, correlation = s["nodes"], s["edges"], s["edge_correlation"]
    return [
        stat("nodes in both", f"{nodes['both']:,}", f"{nodes['only_a']:,} only in a · {nodes['only_b']:,} only in b"),
        stat("edges in both", f"{edges['both']:,}", f"{edges['only_a']:,} only in a · {edges['only_b']:,} only in b"),
        stat("overlap", _share(s["overlap"]), "of influence: 1 for equal graphs, 0 for strangers"),
        stat("edges agree", _share(correlation), "correlation of the weights of edges in both"),
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def node_table(found: Any, where: str, names: tuple[str, str]) -> dict[str, Any]:
    """Nodes in `both`, in `a` or in `b`, those that differ most first; a row opens its node."""
    rows, owner = found.rows(LISTED, where=where), names[where == "b"]
    stored = graph_of(owner)
    number = {"both": int((found.held.all(0)).sum()), "a": int((found.held[0] & ~found.held[1]).sum())}
    total = number.get(where, int((found.held[1] & ~found.held[0]).sum()))
    shown = [{**r, "href": _at(stored, owner, r["node"])} for r in rows]
    mine = [(f"influence_{where}", "influence"), (f"activation_{where}", "activation")]
    keys = [("influence_a", "influence in a"), ("influence_b", "in b")] if where == "both" else mine
    columns = [
        {"key": "node", "label": "node", "kind": "unit"},
        {"key": "kind", "label": "kind", "kind": "text"},
        *([{"key": "influence_change", "label": "change", "kind": "signed"}] if where == "both" else []),
        *({"key": k, "label": label, "kind": "num"} for k, label in keys),
    ]
    note = f"{len(rows)} of {total:,}." if total > len(rows) else "" if rows else "None."
    return {"columns": columns, "rows": shown, "note": note, "label": f"Nodes in {where}", "sorts": True}


def _at(found: CircuitGraph, name: str, node: str) -> str:
    """The graph's page at a node by its name; the page alone where positions were added up, so that no one node is meant."""
    try:
        return links.circuit_page(name, node=found.find(node)[0])
    except BadInput:
        return links.circuit_page(name)


def edge_table(found: Any) -> dict[str, Any]:
    """Edges whose influence differs most."""
    columns = [
        {"key": "from", "label": "from", "kind": "unit"},
        {"key": "to", "label": "to", "kind": "unit"},
        {"key": "in", "label": "in", "kind": "text"},
        {"key": "weight_a", "label": "weight in a", "kind": "num"},
        {"key": "weight_b", "label": "in b", "kind": "num"},
        {"key": "flow_a", "label": "influence along it in a", "kind": "num"},
        {"key": "flow_b", "label": "in b", "kind": "num"},
    ]
    return {"columns": columns, "rows": found.edge_rows(LISTED), "note": "", "label": "Edges", "sorts": True}


def link_figure(name: str, scheme: str) -> Any:
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
