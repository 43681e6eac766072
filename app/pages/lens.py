"""Lens: what each layer would predict, layer by position, and chosen tokens followed through the layers.

Both are records of declared methods, drawn as on every page; what is followed is chosen here. The address holds model, prompt,
token, layer, `q` (the followed token: final, next or an id) and how the figures are turned.
"""

from dataclasses import replace
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components.parts import Parts, icon, panel, part_of, title
from app.components.promptbox import prompt_and_model, prompt_first
from app.frame.shell import Page
from app.jobs import readings, work
from app.library import prompts
from app.library.models import short_model
from app.library.prompts import Prompt
from app.methods import result_view
from app.methods.method_jobs import work_of
from app.methods.token_box import token_pick
from app.selection import SHOWN, Selection, selection_from
from probe.methods.call import Call

LEAD = "Write a prompt to see what each layer would predict, and to follow any token through the layers."
FOLLOWED = {"final": "final prediction", "next": "what really follows"}
_BEFORE = {"c": "colour", "v": "quantity", "w": "extent"}  # keys by which addresses of before turn the figures


def layout(query: dict[str, str]) -> Parts:
    """The page of a prompt, or the box where one is written."""
    if not query.get("p"):
        return prompt_first(links.LENS, "Logit lens", LEAD)
    prompt, model = prompt_and_model(query)
    follow = chosen_follow(query.get("q"))
    turned = {SHOWN + option: query[key][:40] for key, option in _BEFORE.items() if key in query}
    selection = {**turned, **selection_from(query), "model": model, "prompt": prompt.id, "follow": follow}
    return [
        dcc.Store(id="lens-args", data={"model": model, "id": prompt.id}),
        dcc.Store(id="selection", data=selection),
        title(
            prompt.text, eyebrow=f"Lens · {short_model(model)}", actions=ways(model, prompt.id, selection), clamp=True
        ),
        *result_view.result_view("lens", {"method": "logit-lens"}, work.submit(lens_work(model, prompt))),
        panel(
            "Follow a token", _choice(model), note="Read at every layer as the model would read its last.", export=False
        ),
        *result_view.result_view("follow", {"method": "follow-token"}, work.submit(follow_work(model, prompt, follow))),
    ]


def ways(model: str, prompt: str, selection: Selection) -> Parts:
    """To the other pages of this prompt."""
    chosen = {k: selection[k] for k in ("token", "layer", "head") if k in selection}
    places = [
        ("prompt", "Prompt", links.prompt_page(prompt, model, **chosen)),
        ("heads", "Heads", links.heads_page(model, prompt, **chosen)),
    ]
    return [dcc.Link([icon(symbol, small=True), word], href=href, className="ow-chip") for symbol, word, href in places]


def chosen_follow(text: object) -> int | str:
    """What is followed: `final`, `next` or a token id."""
    if isinstance(text, int) and text >= 0:
        return text
    if isinstance(text, str) and text.isdecimal() and len(text) < 10:
        return int(text)
    return "next" if text == "next" else "final"


def _choice(model: str) -> html.Div:
    """Which token is followed; the tables of next tokens choose one too."""
    own = [
        html.Button(name, id=f"lens-own-{which}", type="button", className="lens-own")
        for which, name in FOLLOWED.items()
    ]
    return html.Div([*own, token_pick("follow", model, "Follow any token, by text or id")], className="lens-choice")


# -- its jobs ----------------------------------------------------------------------------------------------------------------


def lens_work(model: str, prompt: Prompt) -> work.Work:
    """The logit lens at every layer and position, which other pages of the prompt read too."""
    call = Call.checked("logit-lens", model, {"prompt": prompt.text})
    return replace(
        work_of(call),
        run=lambda progress: readings.reading("lens", model, prompt.text, progress),
        link=links.lens_page(model, prompt.id),
        **_SEEN,
    )


def follow_work(model: str, prompt: Prompt, token: int | str) -> work.Work:
    """One token, or the final prediction or what really follows, at every layer and position; beside it one of these two."""
    tokens = [token, "next" if token == "final" else "final"]
    call = Call.checked("follow-token", model, {"prompt": prompt.text, "target": tokens})
    return replace(work_of(call), link=links.lens_page(model, prompt.id, q=token), **_SEEN)


_SEEN: dict[str, Any] = {"kind": "read", "store": None}
"""What is only looked at is not stored, and goes before longer work."""


# -- what it does ------------------------------------------------------------------------------------------------------------


def register(app: Dash) -> None:
    for which in FOLLOWED:
        button = f"lens-own-{which}"
        app.clientside_callback(
            ClientsideFunction("openwork", "lensFollow"), Output(button, "data-pressed"), Input(button, "n_clicks")
        )
        app.clientside_callback(
            ClientsideFunction("openwork", "lensFollowed"), Output(button, "aria-pressed"), Input("selection", "data")
        )
    key = part_of(result_view.place("follow"), "key")

    @app.callback(
        Output(key, "data", allow_duplicate=True),
        Input("selection", "data"),
        State("lens-args", "data"),
        State(key, "data"),
        prevent_initial_call=True,
    )
    def ask(selection: Selection | None, args: dict[str, Any], before: str | None):
        follow = chosen_follow((selection or {}).get("follow"))
        wanted = follow_work(args["model"], prompts.load(args["id"]), follow)
        return no_update if wanted.key == before else work.instead_of(before, wanted)


PAGE = Page(r"/lens", "Lens", layout, register)
