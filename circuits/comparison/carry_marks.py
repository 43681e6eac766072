"""What people marked in a graph, carried to a new graph of the same prompt: pins, groups and labels of nodes that are the same.

A node is the same where kind, layer, number and position are (`identities`). What the new graph lacks is left out.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from circuits.comparison.identity import identities
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.store import load_graph
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest
from probe.errors import OpenworkError
from probe.show.made import made_by, remember


def carried(old: CircuitGraph, new: CircuitGraph) -> CircuitGraph:
    """The new graph with the marks of the old one; as it is where the two are of different models, tokens or dictionaries."""
    same = ("model", "tokens", "dictionaries")
    if any(getattr(old, name) != getattr(new, name) for name in same):
        return new
    before, after = identities([old, new], "position").where
    place = {int(key): node for node, key in enumerate(after)}
    there = [place.get(int(key)) for key in before]
    groups = {name: [n for i in members if (n := there[i]) is not None] for name, members in old.supernodes.items()}
    texts = list(new.unit_tokens)
    for i in np.flatnonzero(old.nodes.where(*UNITS)):
        if old.unit_tokens[i] and (node := there[i]) is not None:
            texts[node] = old.unit_tokens[i]
    pinned = [n for i in old.pinned if (n := there[i]) is not None]
    marked = replace(new, pinned=pinned, supernodes={k: v for k, v in groups.items() if v}, unit_tokens=texts)
    return remember(marked, made_by(new))


def marked_as_stored(folder: Path, graph: CircuitGraph, weights: str) -> CircuitGraph:
    """The graph with the marks of the one that it replaces, if there is one and its units are the same: of the same weights, and
    of dictionaries that were not learned anew since."""
    try:
        before = read_manifest(folder, "graph")
        learned = [read_manifest(place("dictionary", n), "dictionary").created for n in graph.dictionaries.values()]
        if before.model is None or before.model.weights != weights or any(one > before.created for one in learned):
            return graph
        return carried(load_graph(folder), graph)
    except OpenworkError:  # there is none, or a damaged one, which is why it is traced again
        return graph
