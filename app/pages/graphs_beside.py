"""Two circuits compared."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(name: str, other: str, query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Two circuits"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/circuits/(?P<name>[^/]+)/beside/(?P<other>[^/]+)", "Two circuits", layout)
