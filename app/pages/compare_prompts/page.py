"""Two prompts side by side, aligned by token: losses, predictions by layer, and the heads and units that differ."""

from dash import Dash, dcc, html
from dash.development.base_component import Component

from app import links
from app.components import drawn, snippets
from app.components.parts import Parts, graph, link_button, panel, title
from app.components.slot import slot
from app.figures.lens import FEW
from app.frame.shell import Page
from app.jobs import work
from app.jobs.readings import start_reading
from app.library import prompts
from app.library.artifacts import read_by
from app.library.models import require_offered, short_model
from app.pages.compare_prompts import callbacks
from app.pages.compare_prompts.work import comparing
from app.selection import selection_from
from probe.model.sizes import model_size


def layout(identity: str, other: str, query: dict[str, str]) -> Parts:
    """The aligned tokens above, and what differs at the selected column below."""
    a, b = prompts.load(identity), prompts.load(other)
    model = query.get("m") or a.model
    require_offered(model)
    key = work.submit(comparing(model, a, b))
    for one in (a, b):
        start_reading(model, one)  # so that the pages one goes on to are ready
    column = int(query["c"]) if query.get("c", "").isdecimal() and len(query["c"]) < 9 else None
    selection = {**selection_from(query), "model": model, "prompt": identity, "column": column}
    return [
        dcc.Store(id="beside-args", data={"a": a.id, "b": b.id, "model": model}),
        dcc.Store(id="selection", data={k: v for k, v in selection.items() if v is not None}),
        title("Two prompts", eyebrow=f"Side by side · {short_model(model)}", actions=_actions(model, a.id, b.id)),
        html.Div([_card("A", a, model), _card("B", b, model)], className="ow-grid even"),
        slot("beside", key),
        html.Div(panels(model, a.text, b.text), className="ow-stack ow-fills"),
    ]


def _actions(model: str, a: str, b: str) -> Parts:
    return [
        link_button("Swap", links.beside_page(b, a, model), "redo"),
        link_button("Patch B into A", links.patching_page(model, a, b), "patching"),
    ]


def _card(name: str, prompt: prompts.Prompt, model: str) -> dcc.Link:
    words = [html.Div(f"Prompt {name}", className="meta"), html.Div(prompt.text, className="name ow-clamp", dir="auto")]
    return dcc.Link(words, href=links.prompt_page(prompt.id, model), className="ow-card")


def code(model: str, a: str, b: str, show: str) -> Component:
    """The comparison in both languages."""
    learned = read_by(model)
    names = ["compare_prompts", *(["load_dictionary"] if learned else []), "load_model"]
    loaded = f", [{', '.join(f'load_dictionary({name!r}, model)' for name in learned)}]" if learned else ""
    call = f"record = compare_prompts(model, {a!r}, {b!r}{loaded})"
    options = [part for name in learned for part in ("--dictionary", name)]
    return snippets.snippets(
        f"from probe import {', '.join(names)}\n\nmodel = load_model({model!r})\n{call}\n{show}",
        snippets.shell_for("compare", model, a, "--with", b, *options),
    )


def shallow(model: str) -> bool:
    """Is a row for each layer lower than a figure?"""
    size = model_size(model)
    return size is not None and size.layers <= FEW


def panels(model: str, a: str, b: str) -> Parts:
    """Tokens; lens and next tokens; divergence; heads and units."""
    legend = html.Span(["B is surprised less", html.Span(className="ow-signed-ramp"), "more"], className="ow-legend")
    tokens = panel(
        "Tokens, aligned",
        [
            html.Div(id="beside-columns", className="ow-columns-box ow-data"),
            dcc.Store(id="beside-columns-data"),
            html.Div(id="beside-facts", className="ow-stats", style={"marginTop": 14}),
        ],
        note="A above B, coloured by loss; below, how many nats more B's token surprises. Click a column; arrow keys move.",
        tools=legend,
        foot=code(model, a, b, "record.alignment.columns"),
    )
    lens = panel(
        "Layer by layer",
        html.Div(drawn.rows("beside-lens", 1100), className="tight"),
        note=html.Span(
            "What both would predict at the selected column, and how far apart the predictions are.",
            id="beside-lens-note",
        ),
        foot=code(model, a, b, "record.kl[:, -1]"),
    )
    following = panel(
        "Next token",
        drawn.rows("beside-next"),
        note="The likeliest tokens after either, with their probability after both.",
        foot=code(model, a, b, "record.rows(-1)"),
    )
    parting = panel(
        "Where the predictions part",
        html.Div(graph("beside-kl", 420, "KL between the predictions, layer by aligned token"), className="ow-scroll"),
        note="KL divergence from A's prediction to B's, nats. Click a cell to go there.",
        flush=True,
        foot=code(model, a, b, "record.figure()"),
    )
    heads = panel(
        "Heads that look elsewhere",
        drawn.rows("beside-heads", 420),
        note="Total variation distance between the two attention patterns (0 equal, 1 disjoint), keys matched by the alignment.",
        foot=code(model, a, b, "record.head_rows(-1)"),
    )
    units = panel(
        "Units that differ most",
        drawn.rows("beside-units", 420),
        note="By the length of the difference in what they write at the selected column.",
        foot=code(model, a, b, "record.units[-1]"),
    )
    sides = ([lens, parting], [following]) if shallow(model) else ([lens], [following, parting])  # near in height
    return [
        tokens,
        html.Div([html.Div(side, className="ow-stack") for side in sides], className="ow-grid even"),
        html.Div([heads, units], className="ow-grid even"),
    ]


def register(app: Dash) -> None:
    callbacks.register(app)


PAGE = Page(r"/p/(?P<identity>[^/]+)/beside/(?P<other>[^/]+)", "Two prompts", layout, register, ("beside-kl",))
