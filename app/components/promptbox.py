"""The box in which a prompt is written, with its model and examples; opening it stores the prompt and goes to its page.

And what a page that needs a prompt shows before it has one: the box, and the prompts read last. A page has one box at most.
"""

from collections.abc import Callable, Iterable

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app.components.inputs import choose_model, write
from app.components.parts import Parts, card, icon, panel, title
from app.library import prompts
from app.library.models import require_offered, short_model
from app.library.prompts import Prompt
from app.links import address, prompt_page
from probe.errors import OpenworkError

EXAMPLES = (
    "The capital of France is",
    "When Mary and John went to the store, John gave a drink to",
    "The war lasted from the year 1732 to the year 17",
    "def add(a, b):\n    return a +",
)


def box_panel(path: str = "") -> html.Section:
    """Text, model, button, examples. path: of the page that it opens, by default the prompt's own."""
    hint = "Write a prompt, for example: The capital of France is"
    button = dmc.Button("Look inside", id="box-open", rightSection=icon("arrow", small=True))
    examples = [
        html.Button(example, id={"type": "box-example", "index": i}, type="button")
        for i, example in enumerate(EXAMPLES)
    ]
    below = [
        html.Div(examples, className="ow-examples"),
        html.Div([choose_model("box-model", w=190), button], className="ow-actions"),
    ]
    parts = [
        dcc.Store(id="box-path", data=path),
        write("box-text", "Prompt", hint=hint, lines=2, size="md"),
        html.Div(below, className="ow-title", style={"marginTop": 12}),
    ]
    return html.Section(html.Div(parts, className="body", style={"paddingTop": 16}), className="ow-panel")


def prompt_cards(
    found: Iterable[Prompt], path: str = "", said: Callable[[Prompt], str] = lambda p: short_model(p.model)
) -> html.Div:
    """Stored prompts; each opens a page, by its path as the box does. said: the line below its text."""
    return html.Div([card(p.text, said(p), href=_page(path, p.id, p.model)) for p in found], className="ow-cards")


def prompt_first(path: str, heading: str, lead: str) -> Parts:
    """The whole page of what needs a prompt first."""
    found = prompts.recent(9)
    recent = [panel("Recent prompts", prompt_cards(found, path), export=False)] if found else []
    return [title(heading, lead=lead), box_panel(path), *recent]


def _page(path: str, prompt: str, model: str) -> str:
    return address(path, model=model, prompt=prompt) if path else prompt_page(prompt, model)


def prompt_and_model(query: dict[str, str]) -> tuple[Prompt, str]:
    """The prompt that an address names, and the model that it names, or else the one the prompt was last opened with.

    BadInput where there is none, or no menu offers the model.
    """
    prompt = prompts.load(query["p"])
    return prompt, require_offered(query.get("m") or prompt.model)


def register(app: Dash) -> None:
    """What the box does, on whichever page it stands."""
    app.clientside_callback(
        ClientsideFunction("openwork", "example"),
        Output("box-text", "value"),
        Input({"type": "box-example", "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("box-text", "error"),
        Input("box-open", "n_clicks"),
        State("box-text", "value"),
        State("box-model", "value"),
        State("box-path", "data"),
        prevent_initial_call=True,
    )
    def open_prompt(clicks: int | None, text: str | None, model: str, path: str):
        if not clicks:
            return no_update, no_update
        try:
            require_offered(model)
            return _page(path, prompts.store(text or "", model).id, model), None
        except OpenworkError as error:
            return no_update, str(error)
