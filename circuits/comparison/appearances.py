"""The stored circuits in which a unit or a head is a node: the nodes of every graph, read once, and again when it is replaced."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from circuits.graph.store import StoredNodes, load_nodes
from probe.artifacts.manifest import Manifest
from probe.artifacts.stored import library
from probe.model.unit_names import UnitName
from probe.show.record import Record
from probe.words import counted

MOST = 200
"""Most appearances that are listed."""


@dataclass(frozen=True)
class Appearance:
    """One node of a stored graph that is this unit."""

    graph: str
    prompt: str
    node: int
    pos: int
    token: str
    activation: float


@dataclass(frozen=True, kw_only=True)
class Appearances(Record):
    """Where a unit is a node, newest graph first; looked: how many graphs of its model were looked at."""

    found: tuple[Appearance, ...]
    looked: int

    def summary(self) -> str:
        """Whether it appears, and in how many circuits it was looked for."""
        many = f"{counted(self.looked, 'stored circuit')} of this model looked at"
        if not self.looked:
            return "No circuit of this model is stored."
        return f"{many}." if self.found else f"In none of them: {many}."

    def rows(self) -> list[dict[str, Any]]:
        """A row for each node."""
        return [
            {
                "circuit": one.graph,
                "prompt": one.prompt[:90],
                "at token": one.token,
                "position": str(one.pos),
                "activation": one.activation,
            }
            for one in self.found
        ]


def appearances_of(model: str, unit: UnitName, dictionary: str | None = None) -> Appearances:
    """Where a unit of a model is a node, by the model's name. dictionary: whose latent it is."""
    found: list[Appearance] = []
    looked = 0
    for folder, manifest in library().kinds["graph"]:
        if _model_of(manifest) == model and (stored := _nodes_of(folder)) is not None:
            looked += 1
            found += _in(stored, folder.name, unit, dictionary)
    return Appearances(found=tuple(found[:MOST]), looked=looked)


def _nodes_of(folder: Path) -> StoredNodes | None:
    """The nodes of a stored graph; None where they cannot be read (who opens it is told why)."""
    try:
        return _read(folder, (folder / "manifest.json").stat().st_mtime_ns)
    except Exception:  # a foreign file may hold anything, and who asks makes a list
        return None


@lru_cache(400)
def _read(folder: Path, mark: int) -> StoredNodes:
    """mark: changes when the graph is replaced."""
    return load_nodes(folder)


def _in(stored: StoredNodes, name: str, unit: UnitName, dictionary: str | None) -> Iterator[Appearance]:
    """The nodes of one graph that are this unit; of a latent only where its dictionary stands in its layer."""
    if unit.kind == "latent" and dictionary not in stored.dictionaries.values():
        return
    if unit.kind == "latent" and stored.dictionaries.get(str(unit.layer), dictionary) != dictionary:
        return
    nodes, tokens = stored.nodes, stored.tokens
    same = nodes.where(unit.kind) & (nodes.layer == unit.layer) & (nodes.unit == unit.unit)
    for i in np.flatnonzero(same):
        pos = int(nodes.pos[i])
        token = tokens[pos] if 0 <= pos < len(tokens) else ""
        yield Appearance(name, stored.prompt, int(i), pos, token, float(nodes.activation[i]))


def _model_of(manifest: Manifest) -> str:
    return manifest.model.name if manifest.model else str(manifest.facts.get("model", ""))
