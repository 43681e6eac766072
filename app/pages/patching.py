"""Patching: a clean and a corrupted prompt, and where the difference lives."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Patching"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/patching", "Patching", layout)
