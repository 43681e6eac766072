"""Two prompts side by side, aligned by token."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(identity: str, other: str, query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Two prompts"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/p/(?P<identity>[^/]+)/beside/(?P<other>[^/]+)", "Two prompts", layout)
