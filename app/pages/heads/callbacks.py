"""What the heads page does: draws what is there, asks for what is not, and moves everything with one selection."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components import drawn
from app.components.appearing import appearing
from app.components.parts import Parts
from app.components.slot import register_slot
from app.components.snippets import snippets
from app.figures.heads import head_grid, pattern_marked
from app.jobs.work import instead_of
from app.library import prompts
from app.methods.block import Block
from app.methods.changing import UNIT
from app.pages.heads.chosen import Chosen, chosen, chosen_target, complete
from app.pages.heads.drawing import base_of, direct, facts, head_rows, pattern_bytes, read_tables, tint
from app.pages.heads.work import scores_work
from app.selection import Selection, changes
from probe.artifacts.json import Json
from probe.methods.call import Call
from probe.model.unit_names import UnitName
from probe.show.html import shown

CHANGE = Block(
    "head-change",
    "edit",
    fields=("changes", "generate"),
    key="edit",
    title="Without it, or changed",
    note="The model is run again, and its prediction after the selected token compared.",
)
Args = dict[str, str]


def register(app: Dash) -> None:
    for name in ("heads-all", "heads-scores", "heads-one"):
        register_slot(app, name)
    drawn.register_rows(app, "heads-table")
    for strip in ("heads-keys", "heads-queries"):
        drawn.register_strip(app, strip)
    drawn.register_thumbs(app, "heads-thumbs", "heads-metric")
    register_browser(app)
    register_all(app)
    register_one(app)
    register_read(app)


def register_browser(app: Dash) -> None:
    """What needs no server: merging scores into the thumbnails, the address, hovering, clicks on figures."""
    merge = ClientsideFunction("openwork", "headsMerge")  # the patterns do not wait for the scores that tint them
    thumbs, again = Output("heads-thumbs-data", "data"), Output("heads-thumbs-data", "data", allow_duplicate=True)
    app.clientside_callback(merge, thumbs, Input("heads-base", "data"), State("heads-tint", "data"))
    tinted = ClientsideFunction("openwork", "headsTinted")
    app.clientside_callback(
        tinted, again, Input("heads-tint", "data"), State("heads-base", "data"), prevent_initial_call=True
    )
    address = ClientsideFunction("openwork", "headsAddress")
    app.clientside_callback(
        address, Output("heads-metric", "data-address"), Input("selection", "data"), Input("heads-metric", "value")
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "headsHover"), Output("heads-keys", "data-hover"), Input("heads-hover", "data")
    )
    for figure in ("heads-grid", "heads-pattern"):
        click = ClientsideFunction("openwork", "headsClick")
        app.clientside_callback(
            click, Output(figure, "data-clicked"), Input(figure, "clickData"), prevent_initial_call=True
        )


def register_all(app: Dash) -> None:
    @app.callback(
        Output("heads-base", "data"),
        Output("selection", "data", allow_duplicate=True),
        Input("heads-all-done", "data"),
        State("heads-args", "data"),
        State("selection", "data"),
        prevent_initial_call=True,  # what is in memory is laid out with the page
    )
    def base(_: object, args: Args, selection: Selection | None):
        if (at := chosen(args, selection)) is None:
            return no_update, no_update
        return base_of(at.heads), changes(selection, complete(selection, at.heads))

    @app.callback(
        {
            "tint": Output("heads-tint", "data"),
            "grid": Output("heads-grid", "figure"),
            "rows": Output("heads-table-data", "data"),
            "note": Output("heads-metric-note", "children"),
            "code": Output("heads-code-all", "children"),
        },
        Input("heads-all-done", "data"),
        Input("heads-scores-done", "data"),
        Input("selection", "data"),
        Input("heads-metric", "value"),
        State("scheme", "data"),
        State("heads-args", "data"),
    )
    def by_score(_: object, __: object, selection: Selection | None, metric: str, scheme: str, args: Args):
        if (at := chosen(args, selection)) is None:
            return no_update
        scored = at.table(metric)
        call = Call("head-table", at.model, {"prompt": at.prompt.text, "pos": at.query, "metric": metric})
        return {
            "tint": tint(scored),
            "grid": head_grid(scored, metric, f"{at.layer}.{at.head}", scheme),
            "rows": head_rows(scored, metric, at.name),
            "note": f"Coloured by {scored.about(metric)}. Click a head; arrow keys move on.",
            "code": snippets(call.python(), call.shell()),
        }

    @app.callback(
        Output("heads-scores-key", "data"),
        Input("selection", "data"),
        State("heads-args", "data"),
        State("heads-scores-key", "data"),
        prevent_initial_call=True,
    )
    def explain_another(selection: Selection | None, args: Args, before: str | None):
        wanted = scores_work(args["model"], prompts.load(args["id"]), chosen_target(selection))
        return no_update if wanted.key == before else instead_of(before, wanted)


def register_one(app: Dash) -> None:
    @app.callback(
        {
            "name": Output("heads-name", "children"),
            "pattern": Output("heads-pattern", "figure"),
            "keys": Output("heads-keys-data", "data"),
            "queries": Output("heads-queries-data", "data"),
            "keys_title": Output("heads-keys-title", "children"),
            "queries_title": Output("heads-queries-title", "children"),
            "wanted": Output("heads-one-key", "data"),
            "code": Output("heads-code-one", "children"),
            "hover": Output("heads-hover", "data"),
            "unit": Output({"type": UNIT, "at": CHANGE.at}, "data"),
            "asked": Output(CHANGE.part("fixed"), "data"),
            "elsewhere": Output("heads-elsewhere", "children"),
        },
        Input("selection", "data"),
        Input("heads-all-done", "data"),
        State("scheme", "data"),
        State("heads-args", "data"),
        State("heads-one-key", "data"),
        State("heads-hover", "data"),
        State({"type": UNIT, "at": CHANGE.at}, "data"),
    )
    def one(
        selection: Selection | None,
        _: object,
        scheme: str,
        args: Args,
        before: str | None,
        hovered: Json | None,
        unit: str,
    ):
        if (at := chosen(args, selection)) is None:
            return no_update
        same = bool(hovered) and hovered["head"] == f"{at.layer}.{at.head}"
        return {
            **looks(at, scheme),
            "wanted": instead_of(before, at.reading_work),
            "hover": no_update if same else hover(at),
            "unit": no_update if unit == at.name else at.name,  # what is written below stays
            "asked": {"prompt": at.prompt.text, "pos": at.query},
            "elsewhere": no_update if same else elsewhere(at),
        }


def looks(at: Chosen, scheme: str) -> dict[str, Any]:
    """The pattern of the head, with the selected query and key marked, and both strips."""
    pattern, words = at.heads.patterns[at.layer, at.head], at.heads.tokens
    call = Call("one-head", at.model, {"prompt": at.prompt.text, "head": at.name, "pos": at.query, "key": at.key})
    strip = {"label": "is looked at", "key": "source"}
    return {
        "name": at.name,
        "pattern": pattern_marked(at.heads, at.layer, at.head, at.query, at.key, scheme),
        "keys": drawn.strip_data(words, at.heads.token_ids, pattern[at.query], **strip),
        "queries": drawn.strip_data(words, at.heads.token_ids, pattern[:, at.key], label="looks"),
        "keys_title": f"What {shown(words[at.query])} (query {at.query}) looks at",
        "queries_title": f"Who looks at {shown(words[at.key])} (key {at.key})",
        "code": snippets(call.python(), call.shell()),
    }


def hover(at: Chosen) -> Json:
    """The head's whole pattern, for the hovering of strips."""
    return {"head": f"{at.layer}.{at.head}", **pattern_bytes(at.heads.patterns[at.layer, at.head])}


def elsewhere(at: Chosen) -> Parts:
    """Stored circuits with this head in them, and the way to patching."""
    place = links.patching_page(at.model, at.prompt.id, token=at.query, layer=at.layer, head=f"{at.layer}.{at.head}")
    patching = dcc.Link("Patch heads on this prompt", href=place, className="ow-chip")
    return [
        appearing("heads-circuits", at.model, UnitName(at.layer, "head", at.head)),
        html.Div(patching, className="ow-actions"),
    ]


def register_read(app: Dash) -> None:
    @app.callback(
        Output("heads-facts", "children"),
        *(Output(f"heads-at-{name}", "children") for name in ("attended", "here", "word", "qk", "directions")),
        Output("heads-at-direct", "children"),
        Input("selection", "data"),
        Input("heads-all-done", "data"),
        Input("heads-one-done", "data"),
        Input("heads-scores-done", "data"),
        State("heads-args", "data"),
    )
    def read(selection: Selection | None, _: object, __: object, ___: object, args: Args):
        if (at := chosen(args, selection)) is None:
            return (no_update,) * 7
        return [facts(at), *read_tables(at).values(), direct(at)]
