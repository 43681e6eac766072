"""The box in which a prompt is written, with its model and examples; opening it stores the prompt and goes to its page.

And what a page that needs a prompt shows before it has one: the box, and the prompts read last.
"""

from collections.abc import Callable, Sequence

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app.components.inputs import choose_model, write
from app.components.parts import Part, Parts, icon, panel, title
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


def prompt_box(name: str = "box", text: str = "") -> html.Div:
    """Text, model, button, examples."""
    hint = "Write a prompt, for example: The capital of France is"
    words = write(f"{name}-text", "Prompt", text, hint=hint, lines=2, size="md")
    model = choose_model(f"{name}-model", w=190)
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


def box_panel(name: str = "box") -> html.Section:
    """The box on a page of its own."""
    return html.Section(html.Div(prompt_box(name), className="body", style={"paddingTop": 16}), className="ow-panel")


def cards(found: Sequence[Prompt], page: Callable[[str, str], str], said: Callable[[Prompt], str]) -> html.Div:
    """Stored prompts; each opens a page. said: the line below its text."""
    return html.Div(
        [dcc.Link(_card(p, said(p)), href=page(p.id, p.model), className="ow-card") for p in found],
        className="ow-cards",
    )


def _card(prompt: Prompt, said: str) -> list[Part]:
    return [html.Div(prompt.text, className="name ow-clamp", dir="auto"), html.Div(said, className="meta")]


def prompt_first(name: str, path: str, heading: str, lead: str) -> Parts:
    """The whole page of what needs a prompt first."""
    found = prompts.recent(9)
    shown = cards(found, _opens(path), lambda p: short_model(p.model))
    recent = [panel("Recent prompts", shown, export=False)] if found else []
    return [title(heading, lead=lead), box_panel(name), *recent]


def register_prompt_first(app: Dash, name: str, path: str) -> None:
    """Its box opens the same page with the prompt."""
    register(app, name, _opens(path))


def _opens(path: str) -> Callable[[str, str], str]:
    return lambda prompt, model: address(path, model=model, prompt=prompt)


def prompt_and_model(query: dict[str, str]) -> tuple[Prompt, str]:
    """The prompt that an address names, and the model that it names, or else the one the prompt was last opened with.

    BadInput where there is none, or no menu offers the model.
    """
    prompt = prompts.load(query["p"])
    return prompt, require_offered(query.get("m") or prompt.model)


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
