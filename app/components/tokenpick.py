"""Choosing a token of the vocabulary by text or id: a box, and below it what answers to what was written.

Lay out `token_pick("lens-pick", "follow")` on a page whose store `lens-pick-args` holds {model}; a chosen token becomes the
part `follow` of the page's selection, its id.
"""

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from app.components import drawn
from app.library import vocabulary
from probe.artifacts.json import Json


def token_pick(name: str, key: str, model: str, label: str = "Any token") -> html.Div:
    """The box and its answers."""
    box = dmc.TextInput(
        id=f"{name}-text",
        placeholder="text or id, for example Paris",
        size="xs",
        w=210,
        debounce=200,
        **{"aria-label": label},
    )
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


def answers(text: str, args: dict[str, str]) -> Json:
    """Rows to pick from."""
    hits = vocabulary.found(args["model"], text)
    columns = [{"key": "token", "label": "token", "kind": "token"}, {"key": "id", "label": "id", "kind": "text"}]
    rows = [{"token": word, "id": str(i), "pick": {args["key"]: i}} for i, word in hits or []]
    note = "The vocabulary is read together with the prompt; wait a moment." if hits is None else ""
    note = "No token begins with this." if hits == [] and text.strip() else note
    return {"columns": columns if rows else [], "rows": rows, "note": note, "label": "Tokens found"}
