"""Choosing a token of the vocabulary by text or id: a box, and below it what answers to what was written.

Lay out `token_pick("lens-pick", "follow")` on a page whose store `lens-pick-args` holds {model}; a chosen token becomes the
part `follow` of the page's selection, its id.
"""

from collections.abc import Callable

from dash import Dash, Input, Output, State, dcc, html, no_update

from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import write
from app.library import vocabulary
from probe.artifacts.json import Json


def token_pick(name: str, key: str, model: str, label: str = "Any token") -> html.Div:
    """The box and its answers."""
    box = write(f"{name}-text", label, hint="text or id, for example Paris", w=210, debounce=200)
    args = dcc.Store(id=f"{name}-args", data={"model": model, "key": key})
    return html.Div([args, box, drawn.rows(f"{name}-found", 230)], className="ow-tokenpick")


def register_token_pick(app: Dash, name: str) -> None:
    drawn.register_rows(app, f"{name}-found")

    @app.callback(
        Output(f"{name}-found-data", "data"),
        Input(f"{name}-text", "value"),
        State(f"{name}-args", "data"),
        prevent_initial_call=True,
    )
    def look(text: str | None, args: dict[str, str]):
        return answers(text or "", args) if args else no_update


def answers(text: str, args: dict[str, str]) -> Drawn:
    """Rows to pick from."""
    found = token_rows(args["model"], text, lambda i: {args["key"]: i})
    if found["rows"] is None:
        return {**found, "rows": [], "note": "The vocabulary is read together with the prompt; wait a moment."}
    return {**found, "note": "No token begins with this." if text.strip() and not found["rows"] else ""}


def token_rows(model: str, text: str, pick: Callable[[int], Json]) -> Drawn:
    """Tokens of a vocabulary that begin with a text. pick: what choosing one sets in the selection. Rows are None while the
    vocabulary was not read."""
    hits = vocabulary.found(model, text)
    columns = [{"key": "token", "label": "token", "kind": "token"}, {"key": "id", "label": "id", "kind": "text"}]
    rows = [{"token": word, "id": str(i), "pick": pick(i)} for i, word in hits or []]
    return {"columns": columns if rows else [], "rows": None if hits is None else rows, "label": "Tokens found"}
