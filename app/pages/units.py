"""Neurons and features: what there is to browse."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Neurons and features"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/units", "Neurons and features", layout)
