"""What people marked in a graph, carried to a new graph of the same prompt: pins, groups and labels of nodes that are the same.

A node is the same where kind, layer, number and position are (`identities`). What the new graph lacks is left out.
"""

from dataclasses import replace

import numpy as np

from circuits.comparison.identity import identities
from circuits.graph.graph import UNITS, CircuitGraph


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
    return replace(new, pinned=pinned, supernodes={k: v for k, v in groups.items() if v}, unit_tokens=texts)
