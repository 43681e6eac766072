"""A box for a token of a vocabulary, by its text or its id, and below it the tokens that begin with what was written.

In a form a token that is picked is written into the box. On a page of one model it becomes a part of the selection, as its id:
`token_pick("follow", model)`. What is done on either is registered once (`app.methods.block`).
"""

from collections.abc import Mapping
from typing import Any

from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html

from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import write
from app.components.parts import part_of
from app.components.plain_rows import row_data
from app.library import vocabulary

TOKEN, MODEL, ABOUT = "ask-token", "ask-model", "block-about"
"""Types of ids: the box, beside it the model that its form asks for, and what the form is of (`app.methods.block`)."""
FOUND, _SELECTS = "ask-found", "selection"
_NOT_YET = "Tokens are offered here as soon as the model has read something."


def token_box(name: Mapping[str, str], label: str, value: str = "", hint: str = "", **more: Any) -> html.Div:
    """The box and what answers to it. A run asks what stands in the box, so that is told with every key."""
    box = write({**name, "type": TOKEN}, label, value, hint=hint, **more)
    return html.Div([box, drawn.rows({**name, "type": FOUND}, 230)], className="ow-tokenpick")


def token_pick(key: str, model: str, label: str = "Any token") -> html.Div:
    """The box on a page; what is picked becomes this part of the selection."""
    of_form = {"at": _SELECTS, "of": key, "part": ""}
    known = [
        dcc.Store(id={"type": MODEL, "at": _SELECTS}),
        dcc.Store(id={"type": ABOUT, "at": _SELECTS}, data={"model": model}),
    ]
    return html.Div([*known, token_box(of_form, label, hint="text or id, for example Paris", w=210)])


def register(app: Dash) -> None:
    token = {"type": TOKEN, "at": MATCH, "of": MATCH, "part": MATCH}
    found = {**token, "type": FOUND}
    drawn.register_rows(app, found)
    app.clientside_callback(
        ClientsideFunction("openwork", "tokenPicked"),
        Output(token, "value"),
        Input("selection", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(part_of(found, "data"), "data"),
        Input(token, "value"),
        State(token, "id"),
        State({"type": MODEL, "at": MATCH}, "value"),
        State({"type": ABOUT, "at": MATCH}, "data"),
        prevent_initial_call=True,
    )
    def look(text: str | None, name: Mapping[str, str], model: str | None, about: Mapping[str, Any] | None):
        return answers(text or "", model or (about or {}).get("model") or "", name)


def answers(text: str, model: str, name: Mapping[str, str]) -> Drawn:
    """Tokens that begin with a text, to pick from, once the model's vocabulary was read; of `id:504` the token it is."""
    written = text[:200]
    bare = written.removeprefix("id:")
    hits = vocabulary.found(model, bare)
    if hits is None:
        return {**row_data("Tokens found", []), "note": _NOT_YET if written.strip() else ""}
    if bare != written:
        hits = [(i, word) for i, word in hits if str(i) == bare]
        return {**row_data("Tokens found", []), "note": f"the token {hits[0][1]!r}" if hits else ""}
    picks = [pick(name, i, written) for i, _ in hits]
    note = "" if hits or not written.strip() else "No token begins with this."
    return {**row_data("Tokens found", [{"token": word, "id": i} for i, word in hits], picks=picks), "note": note}


def pick(name: Mapping[str, str], token: int, written: str) -> dict[str, Any]:
    """What choosing a token sets in the selection."""
    if name["at"] == _SELECTS:
        return {name["of"]: token}
    return {f"pick.{name['at']}.{name['of']}.{name['part']}": f"{token}|{written}"}
