"""The circuits a unit appears in: stored graphs are read once each (their nodes, not their edges), and again when replaced."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app import links
from app.library.artifacts import library
from app.library.memory import Recent
from app.pages.unit.address import Looked
from circuits.graph.graph import KINDS
from probe.artifacts.manifest import Manifest, read_manifest, require_files
from probe.artifacts.steady import steady
from probe.artifacts.untrusted import plain_file, read_json

_nodes: "Recent[Index]" = Recent(400, most=3e8)
_KIND = {"neuron": KINDS.index("neuron"), "latent": KINDS.index("latent")}


@dataclass(frozen=True)
class Index:
    """The units among the nodes of one stored graph: parallel arrays, and which dictionary stands in which layer."""

    node: np.ndarray
    kind: np.ndarray
    layer: np.ndarray
    unit: np.ndarray
    pos: np.ndarray
    activation: np.ndarray
    tokens: list[str]
    prompt: str
    dictionaries: dict[str, str]


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


def circuits_of(found: Looked, limit: int = 200) -> tuple[list[Appearance], int]:
    """Where this unit is a node, newest graph first; and how many graphs were looked at."""
    appearances: list[Appearance] = []
    looked = 0
    for folder, manifest in library().kinds["graph"]:
        if _model_of(manifest) != found.model:
            continue
        if (index := _index(folder)) is None:
            continue
        looked += 1
        appearances += _in(index, folder.name, found)
    return appearances[:limit], looked


def _in(index: Index, name: str, found: Looked) -> list[Appearance]:
    same = (index.kind == _KIND[found.kind]) & (index.layer == found.layer)
    same &= index.unit == (found.number if found.kind == "neuron" else _within(found))
    if found.kind == "latent" and found.dictionary not in index.dictionaries.values():
        return []
    if found.kind == "latent" and index.dictionaries.get(str(found.layer), found.dictionary) != found.dictionary:
        return []
    return [
        Appearance(
            name,
            index.prompt,
            int(index.node[i]),
            int(index.pos[i]),
            index.tokens[index.pos[i]] if 0 <= index.pos[i] < len(index.tokens) else "",
            float(index.activation[i]),
        )
        for i in np.flatnonzero(same)
    ]


def _within(found: Looked) -> int:
    """The number of a latent within its layer's dictionary, as graphs count."""
    if found.table is None or found.row is None:
        return found.number
    from app.library.tables import open_table

    return open_table(found.table).layer(found.row)[1]


def _model_of(manifest: Manifest) -> str:
    return manifest.model.name if manifest.model else str(manifest.facts.get("model", ""))


def _index(folder: Path) -> Index | None:
    """A graph's units; None where it cannot be read (its own page says why)."""
    try:
        key = (folder, (folder / "manifest.json").stat().st_mtime_ns)
        return _nodes.get(key) or _nodes.put(key, steady(folder, lambda: _read(folder)))
    except Exception:  # a foreign file may hold anything, and this is only a list of links
        return None


def _read(folder: Path) -> Index:
    from safetensors import safe_open

    require_files(folder, read_manifest(folder, "graph"), ("graph.json", "graph.safetensors"))
    text: dict[str, Any] = read_json(folder / "graph.json")
    with safe_open(str(plain_file(folder / "graph.safetensors")), framework="numpy") as arrays:
        kind = arrays.get_tensor("nodes.kind")
        units = np.flatnonzero(np.isin(kind, list(_KIND.values())))
        layer, unit, pos, activation = (
            arrays.get_tensor(f"nodes.{n}")[units] for n in ("layer", "unit", "pos", "activation")
        )
    learned = {str(k): str(v) for k, v in dict(text.get("dictionaries", {})).items()}
    tokens = [str(t) for t in text.get("tokens", [])]
    return Index(units, kind[units], layer, unit, pos, activation, tokens, str(text.get("prompt", "")), learned)
