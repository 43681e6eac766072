"""The browser over the units of a feature table."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(table: str, query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Units"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/units/table/(?P<table>[^/]+)", "Units", layout)
