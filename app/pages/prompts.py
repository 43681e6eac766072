"""Prompts: write one, or open one again."""

from datetime import datetime
from urllib.parse import quote

from dash import dcc, html

from app.components import promptbox
from app.components.parts import Parts, empty, panel, title
from app.frame.shell import Page
from app.library import prompts
from app.library.models import short_model


def layout(query: dict[str, str]) -> Parts:
    """The box and every stored prompt (its callbacks are registered by the home page)."""
    found = prompts.recent(60)
    box = html.Section(
        html.Div(promptbox.prompt_box(), className="body", style={"paddingTop": 16}), className="ow-panel"
    )
    head = title("Prompts", lead="A prompt has its own address; the text itself never stands in it.")
    if not found:
        return [head, box, empty("No prompt was opened yet", "Write one above; it is kept here.")]
    cards = [
        dcc.Link(
            [
                html.Div(p.text, className="name ow-clamp", dir="auto"),
                html.Div(f"{short_model(p.model)} · {datetime.fromtimestamp(p.used):%d %B, %H:%M}", className="meta"),
            ],
            href=f"/p/{p.id}?m={quote(p.model)}",
            className="ow-card",
        )
        for p in found
    ]
    return [head, box, panel("Opened before", html.Div(cards, className="ow-cards"))]


PAGE = Page(r"/p", "Prompts", layout)
