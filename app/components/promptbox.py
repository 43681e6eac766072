"""The box in which a prompt is written, with its model and examples; opening it stores the prompt and goes to its page."""

from collections.abc import Callable

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html, no_update

from app.components.parts import icon
from app.library import prompts
from app.library.models import first_model, models, require_offered, short_model
from app.links import prompt_page
from probe.errors import OpenworkError

EXAMPLES = (
    "The capital of France is",
    "When Mary and John went to the store, John gave a drink to",
    "The war lasted from the year 1732 to the year 17",
    "def add(a, b):\n    return a +",
)


def prompt_box(name: str = "box", text: str = "") -> html.Div:
    """Text, model, button, examples."""
    words = dmc.Textarea(
        id=f"{name}-text",
        value=text,
        placeholder="Write a prompt, for example: The capital of France is",
        autosize=True,
        minRows=2,
        maxRows=8,
        size="md",
        **{"aria-label": "Prompt"},
    )
    model = dmc.Select(
        id=f"{name}-model",
        data=[{"value": m, "label": short_model(m)} for m in models()],
        value=first_model(),
        w=190,
        allowDeselect=False,
        **{"aria-label": "Model"},
    )
    button = dmc.Button("Look inside", id=f"{name}-open", rightSection=icon("arrow", small=True))
    examples = [
        html.Button(example, id={"type": f"{name}-example", "index": i}, type="button")
        for i, example in enumerate(EXAMPLES)
    ]
    row = html.Div(
        [html.Div(examples, className="ow-examples"), html.Div([model, button], className="ow-actions")],
        className="ow-title",
        style={"marginTop": 12},
    )
    return html.Div([words, row])


def register(app: Dash, name: str = "box", page: Callable[[str, str], str] = prompt_page) -> None:
    """What the box does; `page` makes the address it opens from a prompt's id and a model."""
    app.clientside_callback(
        ClientsideFunction("openwork", "example"),
        Output(f"{name}-text", "value"),
        Input({"type": f"{name}-example", "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output(f"{name}-text", "error"),
        Input(f"{name}-open", "n_clicks"),
        State(f"{name}-text", "value"),
        State(f"{name}-model", "value"),
        prevent_initial_call=True,
    )
    def open_prompt(clicks: int | None, text: str | None, model: str):
        if not clicks:
            return no_update, no_update
        try:
            require_offered(model)
            return page(prompts.store(text or "", model).id, model), None
        except OpenworkError as error:
            return no_update, str(error)
