"""One circuit: its link graph, the edges of the node one clicks, its scores, and whether it adds up."""

from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
import numpy as np
from dash import dcc, html

from app import jobs, linkgraph, prompts
from app.analyses import stored_graph
from app.components import drawn, snippets
from app.components.parts import graph, icon, panel, segmented, stat, title
from app.library import models, registered, short_model
from app.pages.graph_callbacks import exists, register, starting_node, waiting
from app.selection import selection_from
from app.shell import Page
from circuits.graph import UNITS, CircuitGraph
from probe.artifact import place, read_manifest
from probe.errors import BadInput


def layout(name: str, query: dict[str, str]) -> list[Any]:
    """The page of a stored graph; of one that is being traced, its progress."""
    job = jobs.table().latest(f"trace:{name}")
    if job is not None and (job.active or job.state in ("failed", "cancelled", "interrupted")) and not exists(name):
        return [
            title("Tracing", eyebrow="Circuit"),
            dcc.Store(id="waiting-for", data=name),
            dcc.Interval(id="waiting-poll", interval=600),
            html.Div(waiting(name), id="waiting"),
        ]
    found = stored_graph(name)
    return [
        dcc.Store(id="graph-name", data=name),
        dcc.Store(id="selection", data=starting_node(found, selection_from(query))),
        title(
            found.prompt or "(a graph without a prompt)",
            eyebrow=f"Circuit · {short_model(found.model)}",
            actions=[_prompt_link(found), *_exports(name)],
            clamp=True,
        ),
        _scores(found),
        *_panels(found, name),
    ]


def _prompt_link(found: CircuitGraph) -> Any:
    """To the hub of the graph's prompt, where its model is one the pages may load."""
    if found.model not in models() or "imported" in found.facts:
        return None
    identity = prompts.prompt_id(found.prompt)
    try:
        prompts.load(identity)
    except BadInput:
        prompts.store(found.prompt, found.model)
    return dcc.Link(
        dmc.Button("The prompt", variant="default", size="xs", leftSection=icon("prompt", small=True)),
        href=f"/p/{identity}?m={quote(found.model)}",
    )


def _exports(name: str) -> list[Any]:
    def button(label: str, form: str) -> Any:
        return html.A(
            dmc.Button(label, variant="default", size="xs", leftSection=icon("download", small=True)),
            href=f"/export/graph/{quote(name)}/{form}.json",
            download="",
        )

    return [button("Neuronpedia JSON", "neuronpedia"), button("Openwork JSON", "openwork")]


def basis(found: CircuitGraph) -> str:
    """`layers 4, 7, neurons elsewhere`: where latents stand for neurons; `resid_post.4` for a place in the stream."""
    slots = sorted(found.dictionaries, key=lambda k: (not k.isdecimal(), int(k) if k.isdecimal() else 0, k))
    elsewhere = ", neurons elsewhere" if found.nodes.where("neuron").any() else ""
    return f"layer{'s' if len(slots) > 1 else ''} {', '.join(slots)}{elsewhere}"


_PLURALS = {"neuron": "neurons", "latent": "latents", "mlp": "MLPs", "head": "heads"}


def units(found: CircuitGraph) -> str:
    """`latents, heads`: the kinds of units there are."""
    return ", ".join(_PLURALS[k] for k in UNITS if found.nodes.where(k).any()) or "none"


def _scores(found: CircuitGraph) -> html.Section:
    numbers = [
        stat("conservation", power(found.residual_relative), conservation_note(found)),
        stat("replacement", f"{found.scores.replacement:.3f}", "share of influence that ends in tokens and biases"),
        stat(
            "completeness",
            f"{found.scores.completeness:.3f}",
            "share of what nodes read that comes from explained parts",
        ),
        stat("nodes", f"{len(found.nodes):,}", f"{len(found.edges):,} edges"),
        stat(
            "units",
            units(found),
            basis(found) if found.dictionaries else "of every MLP" if units(found) == "neurons" else "",
        ),
    ]
    return html.Section(
        html.Div(numbers, className="body ow-stats", style={"paddingTop": 14}), className="ow-panel", id="scores"
    )


def conservation_note(found: CircuitGraph) -> str:
    """What the residual says, or why it is not known."""
    if np.isnan(found.residual_relative):
        return str(found.convention.get("conservation_residual", "")).removeprefix("unknown: ")[:120]
    return f"Edges sum to every node's value within {power(found.residual_relative)} of the size of the sum"


def _panels(found: CircuitGraph, name: str) -> list[Any]:
    height = int(np.clip(20 * (found.n_layers + 2) + 130, 380, 860))
    wide = {"minWidth": max(0, 46 * len(found.tokens))}
    slider = html.Div(
        [
            html.Span("Influence kept", className="ow-partial"),
            dmc.Slider(
                id="keep",
                min=0.3,
                max=1.0,
                step=0.01,
                value=linkgraph.first_keep(found),
                w=170,
                size="sm",
                label=None,
                updatemode="mouseup",
                **{"aria-label": "Influence kept"},
            ),
            html.Span(id="shown", className="ow-partial num"),
        ],
        className="ow-actions",
    )
    plot = panel(
        "Link graph",
        [
            drawn.token_strip("graph-strip"),
            html.Div(
                html.Div(graph("links", height, "Link graph: position by layer"), style=wide),
                className="ow-scroll",
                style={"marginTop": 8},
            ),
        ],
        note="Size by influence. Click a node for its edges, a token for its nodes.",
        tools=slider,
        foot=snippets.snippets(*_snippets(found, name)),
    )
    which = segmented("direction", [("in", "incoming"), ("out", "outgoing")], "in")
    edges = panel(
        "Connections",
        [
            html.Div(id="node-facts", style={"marginBottom": 12}),
            html.Div(drawn.rows("edges", height + 30), className="tight"),
        ],
        tools=which,
    )
    nodes = panel(
        "Nodes shown",
        drawn.rows("nodes", 420),
        note=html.Span("The same nodes as a table, most influential first.", id="nodes-note"),
    )
    made = panel(
        "How it was made",
        html.Dl(
            [part for k, v in provenance(found, name) for part in (html.Dt(k.replace("_", " ")), html.Dd(v))],
            className="ow-facts",
        ),
    )
    return [html.Div([plot, edges], className="ow-grid two"), nodes, *_marked(found), made]


def _marked(found: CircuitGraph) -> list[Any]:
    """What a person pinned and grouped, in a graph that has any of it."""
    groups = {**({"pinned": found.pinned} if found.pinned else {}), **found.supernodes}
    if not groups:
        return []
    facts = []
    for name, members in list(groups.items())[:60]:
        more = f", and {len(members) - 20} more" if len(members) > 20 else ""
        listed = ", ".join(f"{linkgraph.titled(found, i)}@{found.nodes.pos[i]}" for i in members[:20])
        facts += [html.Dt(name[:60], dir="auto"), html.Dd(listed + more, dir="auto")]
    return [panel("Pinned and grouped", html.Dl(facts, className="ow-facts"))]


def _snippets(found: CircuitGraph, name: str) -> tuple[str, str | None]:
    """Lines that make this graph again: with its dictionaries, its number of nodes and the tokens it explains."""
    used = list(dict.fromkeys(found.dictionaries.values()))
    ours = isinstance(found.convention.get("max_nodes", 0), int) and "imported" not in found.facts
    other = not ours or found.nodes.where("mlp", "head", "direction").any()
    if other or not all(stored_dictionary(d) for d in used):  # then only the stored graph is left
        stored = f'graph = load_graph(place("graph", {name!r}))\ngraph.figure()'
        return f"from circuits import load_graph\nfrom probe.artifact import place\n\n{stored}", None
    return snippets.python_trace(found, used), snippets.shell_trace(found, used)


def stored_dictionary(name: str) -> bool:
    """Whether a dictionary of this name is at hand."""
    try:
        return place("dictionary", name).is_dir()
    except BadInput:
        return False


def power(value: float) -> str:
    """`4e−7`: one digit and the exponent; `unknown` for NaN."""
    if np.isnan(value) or value == 0:
        return "0" if value == 0 else "unknown"
    digit, _, exponent = f"{value:.0e}".partition("e")
    return f"{digit}e{int(exponent)}".replace("-", "−")


def provenance(found: CircuitGraph, name: str) -> list[tuple[str, str]]:
    """Conventions and origin as short texts."""
    manifest = read_manifest(registered("graph", name), "graph")
    origin = found.facts.get("imported")
    origin = origin if isinstance(origin, dict) else {}
    dropped = origin.get("links_left_out")
    left_out = {f"links left out, {k}": v for k, v in dropped.items()} if isinstance(dropped, dict) else {}
    facts = {
        **found.convention,
        **({"imported from": str(origin.get("from", ""))} if origin else {}),
        **left_out,
        "made": manifest.created[:16].replace("T", " "),
        **{f"version of {k}": v for k, v in manifest.versions.items() if k in ("torch", "transformer-lens")},
    }
    return [(k, str(v)[:80]) for k, v in facts.items() if isinstance(v, str | int | float | bool)]


PAGE = Page(r"/circuits/(?P<name>[^/]+)", "Circuit", layout, register, ("links",))
