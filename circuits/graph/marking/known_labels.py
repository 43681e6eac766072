"""A graph with the labels that neurons and latents were given elsewhere, where it says nothing of them itself."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.marking.marks import with_numbers_of

Known = Mapping[tuple[str, str, int, int], str]
"""Texts by the kind of a unit, what it is of (a model, or a dictionary), its layer and its number."""


def with_known_labels(graph: CircuitGraph, known: Known) -> CircuitGraph:
    """The graph with these labels; one from elsewhere stays as it is, since its units may be other ones here."""
    nodes, texts = graph.nodes, list(graph.unit_tokens)
    if not known or "imported" in graph.facts:
        return graph
    for i in np.flatnonzero(nodes.where("neuron", "latent")).tolist():
        kind, layer = KINDS[nodes.kind[i]], int(nodes.layer[i])
        owner = graph.model if kind == "neuron" else dictionary_at(graph, layer)
        texts[i] = texts[i] or known.get((kind, owner, layer, int(nodes.unit[i])), "")
    assert len(graph.influence) == len(texts), "computed once for both"
    return with_numbers_of(graph, replace(graph, unit_tokens=texts))


def dictionary_at(graph: CircuitGraph, layer: int) -> str:
    """The name of the dictionary whose latents stand at a layer; empty where there is none."""
    return next((name for slot, name in graph.dictionaries.items() if slot.rpartition(".")[2] == str(layer)), "")
