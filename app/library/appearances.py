"""The circuits a unit or a head appears in: the nodes of stored graphs, each read once, and again when it is replaced."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.library.artifacts import library
from app.library.graphs import nodes_of
from circuits.graph.store import StoredNodes
from probe.artifacts.manifest import Manifest
from probe.model.unit_names import UnitName


@dataclass(frozen=True)
class Appearance:
    """One node of a stored graph that is this unit."""

    graph: str
    prompt: str
    node: int
    pos: int
    token: str
    activation: float

    def row(self) -> dict[str, Any]:
        """As a line of a table."""
        at = {"at token": self.token, "position": str(self.pos), "activation": self.activation}
        return {"circuit": self.graph, "prompt": self.prompt[:90], **at}


def appearances_of(
    model: str, unit: UnitName, dictionary: str | None = None, limit: int = 200
) -> tuple[list[Appearance], int]:
    """Where a unit of a model is a node, newest graph first, and how many graphs were looked at. dictionary: of a latent."""
    appearances: list[Appearance] = []
    looked = 0
    for folder, manifest in library().kinds["graph"]:
        if _model_of(manifest) == model and (stored := nodes_of(folder)) is not None:
            looked += 1
            appearances += _in(stored, folder.name, unit, dictionary)
    return appearances[:limit], looked


def _in(stored: StoredNodes, name: str, unit: UnitName, dictionary: str | None) -> list[Appearance]:
    """The nodes of one graph that are this unit; of a latent only where its dictionary stands in its layer."""
    if unit.kind == "latent" and dictionary not in stored.dictionaries.values():
        return []
    if unit.kind == "latent" and stored.dictionaries.get(str(unit.layer), dictionary) != dictionary:
        return []
    nodes, tokens = stored.nodes, stored.tokens
    same = nodes.where(unit.kind) & (nodes.layer == unit.layer) & (nodes.unit == unit.unit)
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


def _model_of(manifest: Manifest) -> str:
    return manifest.model.name if manifest.model else str(manifest.facts.get("model", ""))
