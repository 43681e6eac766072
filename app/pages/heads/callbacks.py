"""What the heads page does: draws what is there, asks for what is not, and moves everything with one selection."""

import shlex
from typing import TYPE_CHECKING

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components import drawn
from app.components.edited import register_edited
from app.components.parts import panel
from app.components.slot import register_slot
from app.components.snippets import shell_for, snippets
from app.components.tokenpick import register_token_pick
from app.figures.heads import head_grid
from app.jobs import work
from app.jobs.work import instead_of
from app.library import prompts
from app.pages.heads import tables
from app.pages.heads.selected import patterns, register_one, register_reading, scores
from app.pages.heads.work import ablation_work, circuits_with, scores_work
from app.selection import Selection, changes, chosen_head, position
from probe.artifacts.json import Json
from probe.heads.scores import SCORES, HeadTable
from probe.model.unit_names import unit_name
from probe.show.html import shown

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns


def register(app: Dash) -> None:
    for name in ("heads-all", "heads-scores", "heads-one"):
        register_slot(app, name)
    for rows in ("table", "attended", "ov-here", "ov-word", "qk", "directions", "parts"):
        drawn.register_rows(app, f"heads-{rows}")
    for strip in ("heads-keys", "heads-queries"):
        drawn.register_strip(app, strip)
    drawn.register_thumbs(app, "heads-thumbs", "heads-metric")
    register_edited(app, "heads-edit")
    register_token_pick(app, "heads-pick")
    register_browser(app)
    register_all(app)
    register_one(app)
    register_reading(app)
    register_effect(app)


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


def base_of(heads: "HeadPatterns") -> Json:
    """All patterns as thumbnails, coarser where there are many."""
    return drawn.thumbs_data(
        heads.patterns, {}, {}, 40 if heads.patterns.shape[0] * heads.patterns.shape[1] <= 300 else 24
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
    def base(_: object, args: dict[str, str], selection: Selection | None):
        heads = patterns(args)
        if heads is None:
            return no_update, no_update
        return base_of(heads), changes(selection, tables.complete(selection, heads))

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
    def by_score(_: object, __: object, selection: Selection | None, metric: str, scheme: str, args: dict[str, str]):
        if (heads := patterns(args)) is None:
            return no_update
        at, chosen = position(selection, heads), (selection or {}).get("head")
        table = tables.table_of(heads, scores(args, selection), at)
        return {
            "tint": tables.tint(table),
            "grid": head_grid(table, metric, chosen, scheme),
            "rows": tables.head_rows(table, metric, chosen),
            "note": score_note(metric, table),
            "code": code_all(args["model"], heads, metric, at),
        }

    @app.callback(
        Output("heads-scores-key", "data"),
        Input("selection", "data"),
        State("heads-args", "data"),
        State("heads-scores-key", "data"),
        prevent_initial_call=True,
    )
    def explain_another(selection: Selection | None, args: dict[str, str], before: str | None):
        wanted = scores_work(args["model"], prompts.load(args["id"]), tables.chosen_target(selection))
        return no_update if wanted.key == before else instead_of(before, wanted)


def score_note(metric: str, table: HeadTable) -> str:
    """What the colours mean."""
    at = f" {table.pos} {shown(table.tokens[table.pos])}" if metric in ("direct", "write") else ""
    said = SCORES[metric][1].replace("the selected token", f"token{at}")
    said = said.replace("the next token", shown(table.target)) if metric == "direct" and table.target else said
    return f"Coloured by {SCORES[metric][0]}: {said}. Click a head; arrow keys move on."


def code_all(model: str, heads: "HeadPatterns", metric: str, at: int) -> Component:
    python = (
        "from probe import head_table, load_model\n\n"
        f"model = load_model({model!r})\n"
        f"record = head_table(model, {heads.prompt!r}, pos={at})\n"
        f"record.rows({metric!r})"
    )
    return snippets(python, shell_for("heads", model, heads.prompt, "--metric", metric, "--position", str(at)))


def register_effect(app: Dash) -> None:
    @app.callback(
        Output("heads-edit-key", "data"),
        Output("heads-code-edit", "children"),
        Input("heads-ablate", "n_clicks"),
        State("heads-how", "value"),
        State("heads-where", "value"),
        State("selection", "data"),
        State("heads-args", "data"),
        prevent_initial_call=True,
    )
    def ablate(clicks: int | None, how: str, where: str, selection: Selection | None, args: dict[str, str]):
        heads = patterns(args)
        if not clicks or heads is None:
            return no_update, no_update
        (layer, head), at = chosen_head(selection, heads), position(selection, heads)
        pos = at if where == "one" else None
        wanted = ablation_work(args["model"], prompts.load(args["id"]), layer, head, how, pos, at)
        return work.submit(wanted), code_edit(args["model"], heads.prompt, layer, head, how, pos, at)

    @app.callback(
        Output("heads-elsewhere", "children"),
        Input("selection", "data"),
        Input("heads-all-done", "data"),
        State("heads-args", "data"),
    )
    def elsewhere(selection: Selection | None, _: object, args: dict[str, str]):
        if (heads := patterns(args)) is None:
            return no_update
        layer, head = chosen_head(selection, heads)
        return elsewhere_panel(args["model"], args["id"], layer, head, position(selection, heads))


def code_edit(model: str, prompt: str, layer: int, head: int, how: str, pos: int | None, at: int) -> Component:
    """The same run, from Python; the command knows no mean."""
    where = "" if pos is None else f", pos={pos}"
    python = (
        "from probe import ablate_head, edited_run, load_model\n\n"
        f"model, prompt = load_model({model!r}), {prompt!r}\n"
        f"record = edited_run(model, prompt, ablate_head(model, prompt, {layer}, {head}, {how!r}{where}), pos={at})\n"
        "record.figure()"
    )
    change = f"ablate:{unit_name('head', layer, head, pos)}"
    shell = ["openwork", "edit", "--prompt", prompt, "--model", model, "--change", change, "--position", str(at)]
    return snippets(python, shlex.join(shell) if how == "zero" else None)


def elsewhere_panel(model: str, prompt: str, layer: int, head: int, at: int) -> Component:
    """Stored circuits with this head in them, and the way to patching."""
    names = circuits_with(model, layer, head)
    circuits = [dcc.Link(name, href=links.circuit_page(name), className="ow-chip") for name in names]
    none = html.Span(
        "No stored circuit has it as a node; trace one with heads as nodes (openwork trace --heads).",
        className="ow-partial",
    )
    patching = dcc.Link(
        "Patch heads on this prompt",
        href=links.patching_page(model, prompt, token=at, layer=layer, head=f"{layer}.{head}"),
        className="ow-chip",
    )
    return panel(
        f"Where else {unit_name('head', layer, head)} is",
        html.Div([*(circuits or [none]), patching], className="ow-actions"),
        export=False,
    )
