"""Lens: layer by position, and one token through the layers."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Lens"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/lens", "Lens", layout)
