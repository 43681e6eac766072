"""Circuits: every stored attribution graph."""

from typing import Any

from dash import html

from app.components.parts import copyable, empty, error, panel, title
from app.library import library
from app.pages.home import card
from app.shell import Page


def layout(query: dict[str, str]) -> list[Any]:
    """Cards of graphs, newest first, or how to make one."""
    stored = library()
    head = title(
        "Circuits",
        lead="Each graph says which parts of the model wrote what a prediction reads. Edges into a node add up to its value.",
    )
    broken = [
        error(reason, heading=f"{name} cannot be read") for name, reason in stored.damaged if name.startswith("graphs/")
    ]
    found = stored.kinds["graph"]
    if not found:
        sentence = "Open a prompt and press “Trace this prompt”, or trace one in the shell:"
        return [
            head,
            *broken,
            empty("No circuit yet", sentence, copyable('openwork trace --prompt "The capital of France is"')),
        ]
    cards = html.Div([card("graph", folder, manifest) for folder, manifest in found[:120]], className="ow-cards")
    note = f"{len(found)} stored" + (", the newest 120 shown" if len(found) > 120 else "")
    return [head, *broken, panel("Stored graphs", cards, note=note)]


PAGE = Page(r"/circuits", "Circuits", layout)
