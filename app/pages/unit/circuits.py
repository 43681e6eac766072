"""The circuits a unit appears in: stored graphs are read once each (their nodes, not their edges), and again when replaced."""

from dataclasses import dataclass

import numpy as np

from app import links
from app.library.artifacts import library
from app.library.graphs import nodes_of
from app.library.units import PageUnit
from circuits.graph.store import StoredNodes
from probe.artifacts.manifest import Manifest


@dataclass(frozen=True)
class Appearance:
    """One node of a stored graph that is this unit."""

    graph: str
    prompt: str
    node: int
    pos: int
    token: str
    activation: float

    @property
    def href(self) -> str:
        return links.circuit_page(self.graph, node=self.node)


def circuits_of(found: PageUnit, limit: int = 200) -> tuple[list[Appearance], int]:
    """Where this unit is a node, newest graph first; and how many graphs were looked at."""
    appearances: list[Appearance] = []
    looked = 0
    for folder, manifest in library().kinds["graph"]:
        if _model_of(manifest) != found.model:
            continue
        if (stored := nodes_of(folder)) is None:
            continue
        looked += 1
        appearances += _in(stored, folder.name, found)
    return appearances[:limit], looked


def _in(stored: StoredNodes, name: str, found: PageUnit) -> list[Appearance]:
    """The nodes of one graph that are this unit; of a latent only where its dictionary stands in its layer."""
    if found.kind == "latent" and found.dictionary not in stored.dictionaries.values():
        return []
    if found.kind == "latent" and stored.dictionaries.get(str(found.layer), found.dictionary) != found.dictionary:
        return []
    nodes, tokens = stored.nodes, stored.tokens
    same = nodes.where(found.kind) & (nodes.layer == found.layer)
    same &= nodes.unit == (found.number if found.kind == "neuron" else _within(found))
    return [
        Appearance(
            graph=name,
            prompt=stored.prompt,
            node=int(i),
            pos=int(nodes.pos[i]),
            token=tokens[nodes.pos[i]] if 0 <= nodes.pos[i] < len(tokens) else "",
            activation=float(nodes.activation[i]),
        )
        for i in np.flatnonzero(same)
    ]


def _within(found: PageUnit) -> int:
    """The number of a latent within its layer's dictionary, as graphs count."""
    if found.table is None or found.row is None:
        return found.number
    from app.library.tables import open_table

    return open_table(found.table).layer(found.row)[1]


def _model_of(manifest: Manifest) -> str:
    return manifest.model.name if manifest.model else str(manifest.facts.get("model", ""))
