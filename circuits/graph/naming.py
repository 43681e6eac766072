"""What a graph is called that has no name yet; what a node is called: in short, with its label, and in the few words that stand
beside a pointer."""

import hashlib

import numpy as np

from circuits.graph.component_graph import ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.graph.nodes import KINDS, ROOTS, UNITS
from probe.model.unit_names import LETTERS, unit_name
from probe.show.labels import label_text, plain
from probe.words import clip, figures

_WORDS = {
    "bias": "biases",
    "rest": "other units",
    "error": "reconstruction error",
    "first": "first position",
    "mlp": "whole MLP",
    "kv": "keys and values",
}
_SHORT = {"rest": "others", "mlp": "MLP"}


def content_name(graph: CircuitGraph) -> str:
    """Words of the prompt and a hash of everything that was traced, grouped and pinned: equal graphs, equal names."""
    digest = hashlib.sha256(
        repr((graph.model, graph.token_ids, graph.pinned, sorted(graph.supernodes.items()))).encode()
    )
    for array in (*vars(graph.nodes).values(), *vars(graph.edges).values()):
        digest.update(array.tobytes())
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in graph.prompt[:32].lower()).split()
    return f"{'-'.join(words) or 'graph'}-{digest.hexdigest()[:8]}"


def word(kind: str) -> str:
    """A kind as people read it."""
    return _WORDS.get(kind, kind)


def kind_of(graph: CircuitGraph, node: int) -> str:
    """What sort of node it is, as people read it."""
    return "logits" if graph.of_task and graph.roots[node] else word(KINDS[graph.nodes.kind[node]])


def short(graph: CircuitGraph, node: int) -> str:
    """`L5N120`, `L5H3`, `token`, `L3 bias`, `logit`: what a node is, without where."""
    if graph.of_task:
        return graph.name(node)
    kind, layer, unit = KINDS[graph.nodes.kind[node]], int(graph.nodes.layer[node]), int(graph.nodes.unit[node])
    if kind in LETTERS:
        return unit_name(kind, layer, unit)
    if kind in ("token", "position", *ROOTS):
        return kind
    return f"L{layer} {_SHORT.get(kind, kind)}"


def label(graph: CircuitGraph, node: int) -> str:
    """The text that was given to a unit; empty where it has none, and for what is no unit."""
    return graph.unit_tokens[node] if KINDS[graph.nodes.kind[node]] in UNITS else ""


def titled(graph: CircuitGraph, node: int, width: int = 36) -> str:
    """What a node is, and the label of a unit that has one."""
    text = label(graph, node)
    return f"{short(graph, node)} · {clip(text, width)}" if text else short(graph, node)


def below(graph: CircuitGraph, node: int) -> bool:
    """Does this unit write with a negative activation, so that it does the opposite of what its direction stands for?"""
    return bool(graph.nodes.activation[node] < 0)


def described(graph: CircuitGraph, node: int) -> str:
    """All of it for a hover text, escaped."""
    if isinstance(graph, ComponentGraph):
        return _component(graph, node)
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


def _component(graph: ComponentGraph, node: int) -> str:
    """A component, and what its edges come to."""
    return "<br>".join(
        [
            f"<b>{label_text(graph.name(node), 24)}</b>  {kind_of(graph, node)}",
            *([label_text(label(graph, node), 120)] if label(graph, node) else []),
            *(
                [f"its edges together {figures(graph.net[node])}, sizes {figures(graph.influence[node])}"]
                if graph.scored
                else []
            ),
        ]
    )
