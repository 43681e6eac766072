"""Training: runs, live and finished, and how dictionaries were judged."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Training"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/training", "Training", layout)
