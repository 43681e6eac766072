"""The panels of a circuit's page that show the whole graph: link graph, connections, nodes, how it was made."""

from typing import TYPE_CHECKING

import dash_mantine_components as dmc
import numpy as np
from dash import html

from app.components import drawn, snippets
from app.components.drawn import Drawn
from app.components.inputs import write
from app.components.parts import Parts, fact_list, graph, panel, segmented
from app.components.snippets import of_call, python_of_graph
from app.library.artifacts import registered
from app.pages.circuit import components
from circuits.attribution.traced_again import traced_by
from circuits.graph.graph import CircuitGraph
from circuits.graph.in_words import provenance
from circuits.graph.link_graph_nodes import FIRST_EDGES, LEAST, first_keep
from probe.artifacts.manifest import read_manifest

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def shares(found: CircuitGraph, query: dict[str, str]) -> tuple[float, float | str]:
    """Influence of nodes and of edges kept, as the address says, or to begin with; of components, how many edges and which."""
    if found.of_task:
        return components.asked(query)

    def given(key: str, other: float) -> float:
        try:
            asked = float(query[key])
        except (KeyError, ValueError):
            return other
        return other if np.isnan(asked) else round(float(np.clip(asked, LEAST, 1.0)), 2)

    return given("k", first_keep(found)), given("e", FIRST_EDGES)


OF_PROMPT = "Size by influence; rings are pins. A click shows a node's edges, Ctrl and click pins it."
OF_COMPONENTS = (
    "Size by the scores of its edges; rings are pins. A click shows its edges, on the logits all; Ctrl+click pins it."
)


def link_panels(
    found: CircuitGraph,
    name: str,
    keep: float,
    edges: float | str,
    plotted: "tuple[Figure, str, Drawn]",
    connected: tuple[Drawn, Parts],
) -> Parts:
    """The link graph with its sliders and search, and beside it the edges of the selected node.

    plotted: figure, words, strip. connected: rows, facts. Both as in `graph_callbacks`.
    """
    figure, words, strip = plotted
    rows, facts = connected
    height = (
        components.height(found.n_layers) if found.of_task else int(np.clip(20 * (found.n_layers + 2) + 130, 380, 860))
    )
    tools = components.tools(found, keep, str(edges), words) if found.of_task else _tools(keep, float(edges), words)
    wide = {"minWidth": max(0, 46 * len(found.tokens))}
    plot = panel(
        "Link graph",
        [
            tools,
            html.Div(drawn.rows("graph-found", 240), id="graph-found-box", hidden=True),
            html.Div(drawn.token_strip("graph-strip", strip), hidden=found.of_task),
            html.Div(
                html.Div(
                    graph("links", height, f"Link graph: {'head' if found.of_task else 'position'} by layer", figure),
                    style=wide,
                ),
                className="ow-scroll" if found.of_task else "ow-scroll ow-from-end",
                style={"marginTop": 8},
            ),
            html.Div(found.lines_mean, className="ow-partial"),
        ],
        note=OF_COMPONENTS if found.of_task else OF_PROMPT,
        tools=full_button(),
        foot=snippets.snippets(*made_again(found, name)),
    )
    which = segmented("direction", [("in", "incoming"), ("out", "outgoing")], "in")
    beside = panel(
        "Connections",
        [
            html.Div(facts, id="node-facts", style={"marginBottom": 12}),
            html.Div(drawn.rows("edges", height + 30, rows), className="tight"),
        ],
        tools=which,
        foot=of_call("node-edges", graph=name, node=str(int(found.probability.argmax()))),
    )
    return [html.Div([plot, beside], className="ow-grid two")]


def _tools(keep: float, edges: float, words: str) -> html.Div:
    """Search, and the two sliders with what they keep, in words."""
    hint = "Find a node: L5N120, a label, a token"
    edges_mean = (
        "Share of the influence that the kept edges carry. Below 0.98, keeping more nodes can lose one that was kept: edges are "
        "chosen anew among the nodes, and a node left without edges goes."
    )
    parts = [
        write("graph-find", "Find a node", hint=hint, w=270, debounce=200),
        _slider("keep", "Nodes kept", keep, "Influence kept", "Share of the influence that the shown nodes hold"),
        _slider("edges-kept", "Edges kept", edges, "Influence of edges kept", edges_mean),
        html.Span(words, id="shown", className="ow-partial num"),
    ]
    return html.Div(parts, className="ow-bar-tools")


def _slider(id: str, words: str, value: float, label: str, meaning: str) -> html.Span:
    options = {"w": 120, "size": "sm", "label": None, "updatemode": "mouseup", "thumbLabel": label}
    slider = dmc.Slider(id=id, min=LEAST, max=1.0, step=0.01, value=value, **options)
    return html.Span([words, slider], className="ow-partial", title=meaning)


def full_button() -> html.Button:
    """A button that gives its panel the whole screen."""
    return html.Button("Full screen", className="ow-button", type="button", **{"data-do": "full"})


def nodes_panel(name: str, rows: Drawn) -> html.Section:
    """The link graph as a table."""
    python = python_of_graph(name, "graph.rows(50)")
    return panel(
        "Nodes shown",
        drawn.rows("nodes", 420, rows),
        note=html.Span("The same nodes as a table, those that matter most first.", id="nodes-note"),
        foot=snippets.snippets(python, f"openwork graph show {snippets.shlex.quote(name)} --top 50"),
    )


def made_panel(found: CircuitGraph, name: str) -> html.Section:
    """Conventions and origin."""
    pairs = provenance(found, read_manifest(registered("graph", name), "graph"))
    python = python_of_graph(name, "graph.report()")
    shell = f"openwork graph show {snippets.shlex.quote(name)} --json"
    return panel("How it was made", fact_list(pairs), foot=snippets.snippets(python, shell))


def made_again(found: CircuitGraph, name: str) -> tuple[str, str | None]:
    """Lines that make this graph again; where nothing tells them, those that open what is stored."""
    if (call := traced_by(found)) is not None:
        return snippets.lines_of(call, "graph", "graph.figure()")
    return python_of_graph(name, "graph.figure()"), None
