"""The selected node of a circuit in words, numbers and links."""

from typing import TYPE_CHECKING

import numpy as np
from dash import dcc, html

from app import links
from app.components.parts import Parts, icon, stat
from app.figures import linkgraph, node_words
from app.library import prompts
from app.library.models import MODELS, models
from app.pages.circuit.panels import stored_dictionary
from circuits.graph.graph import KINDS, CircuitGraph
from probe.words import figures

if TYPE_CHECKING:
    pass


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
    dictionary = _dictionary(found, layer) if kind == "latent" else None
    return links.latent_page(dictionary, unit, model=found.model, prompt=prompt, token=token) if dictionary else None


def _dictionary(found: CircuitGraph, layer: int) -> str | None:
    """The stored dictionary whose latents stand at a layer."""
    name = node_words.dictionary(found, layer)
    return name if name and stored_dictionary(name) else None


BELOW = "Below zero here, so it writes the opposite: it promotes what its direction suppresses."


def node_facts(found: CircuitGraph, node: int, shown: linkgraph.Arrangement | None = None) -> Parts:
    """Name and numbers of one node, and the way to its unit."""
    kind = KINDS[found.nodes.kind[node]]
    root = bool(found.roots[node])
    text = found.unit_tokens[node] if root else found.tokens[found.nodes.pos[node]]
    where = f"{node_words.word(kind)} {'of' if root else 'at'} {text!r}, position {found.nodes.pos[node]}"
    value = found.nodes.value[node]
    numbers = [
        ("value", value),
        ("activation", found.nodes.activation[node]),
        ("influence", np.nan if root else found.influence[node]),
        ("weight" if kind == "direction" else "probability", found.probability[node] or np.nan),
    ]
    if kind == "direction" and found.target(node).get("other_probability") is not None:
        told = found.target(node)
        numbers += [("first's probability", told["probability"]), ("other's probability", told["other_probability"])]
    link, lost = unit_link(found, node), shown is not None and node not in shown.nodes
    head = html.Div(
        [
            dcc.Link(
                [icon("external", small=True), " unit page"],
                href=link,
                className="ow-partial",
                style={"float": "right"},
            )
            if link
            else None,
            html.Strong(node_words.short(found, node), className="mono", style={"fontSize": 15}),
            html.Div(node_words.label(found, node), dir="auto"),
            html.Div(where, className="ow-sub", dir="auto"),
            html.Div(BELOW, className="ow-sub") if node_words.below(found, node) else None,
            html.Div("Not shown in the link graph: keep more nodes to see it there.", className="ow-sub")
            if lost
            else None,
        ]
    )
    return [
        head,
        html.Div(
            [stat(k, figures(v, 4)) for k, v in numbers if not np.isnan(v)],
            className="ow-stats",
            style={"marginTop": 8},
        ),
    ]
