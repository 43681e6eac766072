"""What a page that needs a prompt shows before it has one: the box, and the prompts read last."""

from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from app import prompts
from app.components.parts import panel, title
from app.components.promptbox import check_model_name, prompt_box
from app.library import short_model
from app.links import address
from probe.errors import OpenworkError


def prompt_first(name: str, path: str, heading: str, lead: str) -> list[Any]:
    """The whole page. Its links load the page anew, because the path stays the same and only the query changes."""
    box = html.Section(html.Div(prompt_box(name), className="body", style={"paddingTop": 16}), className="ow-panel")
    cards = [
        html.A(
            [html.Div(p.text, className="name ow-clamp", dir="auto"), html.Div(short_model(p.model), className="meta")],
            href=address(path, model=p.model, prompt=p.id),
            className="ow-card",
        )
        for p in prompts.recent(9)
    ]
    recent = [panel("Recent prompts", html.Div(cards, className="ow-cards"), export=False)] if cards else []
    go = dcc.Location(id=f"{name}-go", refresh=True)
    return [go, title(heading, lead=lead), box, *recent]


def register_prompt_first(app: Dash, name: str, path: str) -> None:
    app.clientside_callback(
        ClientsideFunction("openwork", "example"),
        Output(f"{name}-text", "value"),
        Input({"type": f"{name}-example", "index": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(f"{name}-go", "href"),
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
            check_model_name(model)
            return address(path, model=model, prompt=prompts.store(text or "", model).id), None
        except OpenworkError as error:
            return no_update, str(error)
