"""Heads: every head of a model on a prompt by any score, and one head from both ends, following one selection.

What is told of the heads is what the methods `head-table` and `one-head` tell; where a head looks is there before the model has
read what it moves. The address holds model, prompt, token (the query), `s` (the key), head, the score, and `y` (the next token
that is explained).
"""

from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components.appearing import appearing
from app.components.parts import Parts, icon, panel, part_of, title
from app.components.promptbox import prompt_and_model, prompt_first
from app.frame.shell import Page
from app.jobs import work
from app.jobs.readings import patterns_work
from app.library import prompts, recent_records
from app.library.models import short_model
from app.library.prompts import Prompt
from app.methods import result_view
from app.methods.block import Block
from app.methods.change_buttons import UNIT, changing
from app.methods.old_jobs import run_of_before
from app.methods.token_box import token_pick
from app.pages.heads import thumbnails
from app.pages.heads.work import reading_work, scores_work
from app.selection import SHOWN, Selection, chosen_head, position, selection_from
from probe.interventions.change_text import OF_HEAD
from probe.model.unit_names import UnitName, unit_name

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns

LEAD = "Write a prompt to see where every attention head looks, what it moves, and what it adds to the prediction."
CHANGE = Block(
    "head-change",
    "edit",
    fields=("changes", "generate"),
    key="edit",
    title="Without it, or changed",
    note="The model is run again, and its prediction after the selected token compared.",
)
Args = dict[str, str]


def layout(query: dict[str, str]) -> Parts:
    """The page of a prompt, or the box where one is written."""
    if not query.get("p"):
        return prompt_first(links.HEADS, "Attention heads", LEAD)
    prompt, model = prompt_and_model(query)
    selection = {**selection_from(query), **_numbers(query), "model": model, "prompt": prompt.id}
    metric = thumbnails.chosen_metric(query.get("metric") or selection.get(f"{SHOWN}metric"))
    selection |= {f"{SHOWN}metric": metric}
    patterns = work.submit(patterns_work(model, prompt))
    scores = work.submit(scores_work(model, prompt, selection.get("target")))
    reading, heads = None, recent_records.known("heads", model, prompt.text)
    if heads is not None:
        selection = complete(selection, heads)
        reading = work.submit(_reading(model, prompt, selection))
    seen = {"selection": selection}
    return [
        dcc.Store(id="heads-args", data={"model": model, "id": prompt.id}),
        dcc.Store(id="selection", data=selection),
        dcc.Store(id="heads-begin"),
        title(
            prompt.text, eyebrow=f"Heads · {short_model(model)}", actions=_ways(model, prompt.id, selection), clamp=True
        ),
        thumbnails.every_head(metric, heads),
        _told("heads-look", *result_view.result_view("look", {"method": ""}, patterns, **seen)),
        _told("heads-read", *result_view.result_view("read", {"method": "one-head"}, reading, **seen)),
        _told("heads-scores", *result_view.result_view("scores", {"method": "head-table"}, scores, **seen)),
        html.Div(_another_target(model), id="heads-target"),
        html.Div(_change(model, prompt, selection, query), id="heads-change", className="ow-stack"),
        panel("Where else it is", html.Div(id="heads-elsewhere"), note="Nodes of stored circuits that are this head."),
    ]


def _another_target(model: str) -> html.Section:
    note = "By default what the model finds likeliest after each token."
    return panel("Explain another next token", token_pick("target", model), note=note, export=False)


def complete(selection: Selection | None, heads: "HeadPatterns") -> Selection:
    """A selection with token and head in range."""
    head = "{}.{}".format(*chosen_head(selection, heads))
    return {**(selection or {}), "token": position(selection, heads), "head": head}


def _told(name: str, *parts: Any) -> html.Div:
    return html.Div(parts, id=name, className="ow-stack")


def _numbers(query: dict[str, str]) -> dict[str, int]:
    """The key position and the explained token of an address."""
    pairs = (("s", "source"), ("y", "target"))
    return {name: int(query[k]) for k, name in pairs if query.get(k, "").isdecimal() and len(query[k]) < 10}


def _ways(model: str, prompt: str, selection: Selection) -> Parts:
    """To the other pages of this prompt."""
    chosen = {k: selection[k] for k in ("token", "layer", "head") if k in selection}
    places = [
        ("prompt", "Prompt", links.prompt_page(prompt, model, **chosen)),
        ("lens", "Lens", links.lens_page(model, prompt, **{k: v for k, v in chosen.items() if k != "head"})),
    ]
    return [dcc.Link([icon(symbol, small=True), word], href=href, className="ow-chip") for symbol, word, href in places]


def _reading(model: str, prompt: Prompt, chosen: Selection) -> work.Work:
    layer, head = (int(n) for n in chosen["head"].split("."))
    return reading_work(model, prompt, layer, head, chosen.get("target"))


def _change(model: str, prompt: Prompt, selection: Selection, query: dict[str, str]) -> Parts:
    """What happens when the head is taken away, or changed otherwise."""
    layer, _, head = str(selection.get("head") or "0.0").partition(".")
    name = unit_name("head", int(layer), int(head))
    asked = {"prompt": prompt.text, "pos": selection.get("token", -1), "changes": [f"ablate:{name}"]}
    return [changing(CHANGE.at, name, OF_HEAD), CHANGE.layout(model, asked, query), *run_of_before(query.get("edit"))]


def _elsewhere(model: str, prompt: Prompt, chosen: Selection) -> Parts:
    """Stored circuits with this head in them, and the way to patching."""
    layer, head = (int(n) for n in chosen["head"].split("."))
    place = links.patching_page(model, prompt.id, token=chosen["token"], layer=layer, head=chosen["head"])
    patching = dcc.Link("Patch heads on this prompt", href=place, className="ow-chip")
    return [
        appearing("heads-circuits", model, UnitName(layer, "head", head)),
        html.Div(patching, className="ow-actions"),
    ]


# -- what it does ------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    thumbnails.register(app)
    look, read, scores = (result_view.place(at) for at in ("look", "read", "scores"))
    app.clientside_callback(
        ClientsideFunction("openwork", "headsAddress"),
        Output("heads-thumbs", "data-address"),
        Input("selection", "data"),
    )
    # Through the browser: a slot that is asked for by what another slot's callback set off, Dash takes for a circle.
    app.clientside_callback(
        ClientsideFunction("openwork", "headsBegin"),
        Output("heads-thumbs", "data-begun"),
        Input("heads-begin", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("heads-base", "data"),
        Output("heads-begin", "data"),
        Input(part_of(look, "done"), "data"),
        State("heads-args", "data"),
        State("selection", "data"),
        prevent_initial_call=True,  # what is in memory is laid out with the page
    )
    def base(_: object, args: Args, selection: Selection | None):
        heads = recent_records.known("heads", args["model"], prompts.load(args["id"]).text)
        if heads is None:
            return no_update, no_update
        chosen = complete(selection, heads)
        return thumbnails.base_of(heads), {name: chosen[name] for name in ("token", "head")}

    @app.callback(
        Output(part_of(read, "key"), "data", allow_duplicate=True),
        Output(part_of(scores, "key"), "data", allow_duplicate=True),
        Output({"type": UNIT, "at": CHANGE.at}, "data"),
        Output(CHANGE.part("fixed"), "data"),
        Output("heads-elsewhere", "children"),
        Input("selection", "data"),
        State("heads-args", "data"),
        State(part_of(read, "key"), "data"),
        State(part_of(scores, "key"), "data"),
        State({"type": UNIT, "at": CHANGE.at}, "data"),
        State("heads-elsewhere", "children"),
        prevent_initial_call="initial_duplicate",
    )
    def follow(selection: Selection | None, args: Args, reading: str, scored: str, unit: str, there: Any):
        model, prompt = args["model"], prompts.load(args["id"])
        if (heads := recent_records.known("heads", model, prompt.text)) is None:
            return (no_update,) * 5
        chosen = complete(selection, heads)
        read, scores = _reading(model, prompt, chosen), scores_work(model, prompt, chosen.get("target"))
        name = "L" + chosen["head"].replace(".", "H")
        return (
            no_update if read.key == reading else work.instead_of(reading, read),
            no_update if scores.key == scored else work.instead_of(scored, scores),
            no_update if unit == name else name,  # what is written below stays
            {"prompt": prompt.text, "pos": chosen["token"]},
            no_update if unit == name and there else _elsewhere(model, prompt, chosen),
        )


PAGE = Page(r"/heads", "Heads", layout, register)
"""Its figures are those of records, which are dressed everywhere."""
