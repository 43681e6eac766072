"""Prompts: write one, or open one again."""

from datetime import datetime

from app.components import promptbox
from app.components.parts import Parts, empty, panel, title
from app.frame.shell import Page
from app.library import prompts
from app.library.models import short_model


def layout(query: dict[str, str]) -> Parts:
    """The box and every stored prompt (its callbacks are registered by the home page)."""
    found = prompts.recent(60)
    head = title("Prompts", lead="A prompt has its own address; the text itself never stands in it.")
    if not found:
        return [head, promptbox.box_panel(), empty("No prompt was opened yet", "Write one above; it is kept here.")]
    cards = promptbox.prompt_cards(
        found, said=lambda p: f"{short_model(p.model)} · {datetime.fromtimestamp(p.used):%d %B, %H:%M}"
    )
    return [head, promptbox.box_panel(), panel("Opened before", cards)]


PAGE = Page(r"/p", "Prompts", layout)
