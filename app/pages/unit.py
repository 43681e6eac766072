"""One unit: a latent or a neuron."""

from typing import Any

from app.components.parts import empty, title
from app.shell import Page


def layout(source: str, where: str, unit: str, query: dict[str, str]) -> list[Any]:
    """To come."""
    return [title("Unit"), empty("Nothing here yet", "To come.")]


PAGE = Page(r"/units/(?P<source>table|neuron|latent)/(?P<where>[^/]+)/(?P<unit>\d+)", "Unit", layout)
