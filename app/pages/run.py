"""One training run."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(name: str, query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Training run"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/training/(?P<name>[^/]+)", "Training run", layout)
