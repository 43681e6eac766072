"""Heads: every head by a metric, and one head in detail."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Heads"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/heads", "Heads", layout)
