"""What a node of a graph is called, in short and in a tooltip."""

import numpy as np

from app.library.labels import label_of
from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph
from probe.model.unit_names import LETTERS, unit_name
from probe.show.labels import label_text, plain
from probe.words import clip, figures

_WORDS = {
    "bias": "biases",
    "rest": "other units",
    "error": "reconstruction error",
    "first": "first position",
    "mlp": "whole MLP",
}


_SHORT = {"rest": "others", "mlp": "MLP"}


def describe(graph: CircuitGraph, node: int) -> str:
    """Hover text, escaped."""
    kind = KINDS[graph.nodes.kind[node]]
    parts = [
        f"<b>{label_text(short(graph, node), 24)}</b>  {word(kind)}",
        f"at {plain(graph.tokens[graph.nodes.pos[node]], 20)} (position {graph.nodes.pos[node]})",
    ]
    if kind in ROOTS:
        weight = "probability" if kind == "logit" else "weight"
        parts.append(f"{label_text(graph.unit_tokens[node], 60)}, {weight} {graph.probability[node]:.3f}")
    elif label(graph, node):
        parts.append(label_text(label(graph, node), 120))
    if not np.isnan(graph.nodes.activation[node]):
        parts.append(f"activation {figures(graph.nodes.activation[node])}")
    if below(graph, node):
        parts.append("below zero: it writes the opposite of its direction")
    parts.append(f"influence {graph.influence[node]:.4f}")
    return "<br>".join(parts)


def below(graph: CircuitGraph, node: int) -> bool:
    """Does this unit write with a negative activation, so that it does the opposite of what its direction stands for?"""
    return bool(graph.nodes.activation[node] < 0)


def word(kind: str) -> str:
    """A kind as people read it."""
    return _WORDS.get(kind, kind)


def short(graph: CircuitGraph, node: int) -> str:
    """`L5N120`, `L5H3`, `token`, `L3 bias`, `logit`: what a node is, without where."""
    kind, layer, unit = KINDS[graph.nodes.kind[node]], int(graph.nodes.layer[node]), int(graph.nodes.unit[node])
    if kind in LETTERS:
        return unit_name(kind, layer, unit)
    if kind in ("token", "position", *ROOTS):
        return kind
    return f"L{layer} {_SHORT.get(kind, kind)}"


def label(graph: CircuitGraph, node: int) -> str:
    """The text a unit was given: in this graph, else on the unit's own page (`app.library.labels`); empty where it has none."""
    kind = KINDS[graph.nodes.kind[node]]
    if kind not in UNITS:
        return ""
    if graph.unit_tokens[node] or kind not in ("neuron", "latent") or "imported" in graph.facts:
        return graph.unit_tokens[node]
    layer = int(graph.nodes.layer[node])
    owner = graph.model if kind == "neuron" else dictionary(graph, layer)
    return label_of(kind, owner, layer, int(graph.nodes.unit[node]))


def dictionary(graph: CircuitGraph, layer: int) -> str:
    """The name of the dictionary whose latents stand at a layer; empty where there is none."""
    return next((name for slot, name in graph.dictionaries.items() if slot.rpartition(".")[2] == str(layer)), "")


def titled(graph: CircuitGraph, node: int, width: int = 36) -> str:
    """What a node is, and the label of a unit that has one."""
    text = label(graph, node)
    return f"{short(graph, node)} · {clip(text, width)}" if text else short(graph, node)
