"""The selected node of a circuit in words, numbers and links."""

from dash import dcc, html

from app import links
from app.components.parts import Parts, icon, stat
from app.library import prompts
from app.library.artifacts import is_registered
from app.library.models import MODELS, models
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.in_words import numbers
from circuits.graph.marking.known_labels import dictionary_at
from circuits.graph.naming import label, short
from circuits.graph.node_positions import Arrangement
from circuits.graph.rows import node_words
from probe.words import figures


def unit_link(found: CircuitGraph, node: int) -> str | None:
    """The page of a node's unit or head, where there is one for this graph's model."""
    kind, layer, unit = KINDS[found.nodes.kind[node]], int(found.nodes.layer[node]), int(found.nodes.unit[node])
    if unit < 0 or "imported" in found.facts or (found.model not in MODELS and found.model not in models()):
        return None
    prompt, token = prompts.prompt_id(found.prompt), int(found.nodes.pos[node])
    if kind == "neuron":
        return links.neuron_page(found.model, layer, unit, prompt=prompt, token=token)
    if kind == "head":
        return links.heads_page(found.model, prompt, token=token, layer=layer, head=f"{layer}.{unit}")
    name = dictionary_at(found, layer) if kind == "latent" else ""
    stored = bool(name) and is_registered("dictionary", name)
    return links.latent_page(name, unit, model=found.model, prompt=prompt, token=token) if stored else None


def node_facts(found: CircuitGraph, node: int, shown: Arrangement | None = None) -> Parts:
    """Name and numbers of one node, and the way to its unit."""
    head = [
        html.Strong(short(found, node), className="mono", style={"fontSize": 15}),
        html.Div(label(found, node), dir="auto"),
        *(html.Div(line, className="ow-sub", dir="auto") for line in node_words(found, node, shown)),
    ]
    if link := unit_link(found, node):
        page = [icon("external", small=True), " unit page"]
        head.insert(0, dcc.Link(page, href=link, className="ow-partial", style={"float": "right"}))
    stats = [stat(name, figures(value, 4)) for name, value in numbers(found, node)]
    return [html.Div(head), html.Div(stats, className="ow-stats", style={"marginTop": 8})]
