"""Graphs on disk: `manifest.json` beside `graph.safetensors` (arrays) and `graph.json` (text and conventions).

Edges are sparse: int32, int32, float32 triples (float64 of a float64 model). NaN, which JSON lacks, is null there. What is
read is checked like a foreign file, because a folder can be sent; an older folder lacks supernodes and pinned nodes and is
read without them.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import MISSING, dataclass, fields
from dataclasses import replace as changed
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from circuits.graph.checks import check_graph, check_sides
from circuits.graph.component_graph import ComponentGraph
from circuits.graph.graph import UNITS, CircuitGraph, Edges, Nodes
from probe.artifacts.consistent_read import read_consistently
from probe.artifacts.json import plain, write_json
from probe.artifacts.locks.claims import lock_of
from probe.artifacts.locks.lock import exclusive
from probe.artifacts.manifest import (
    Manifest,
    ModelStamp,
    check_files,
    found_folder,
    read_manifest,
    require_files,
    writing,
)
from probe.artifacts.names import as_path
from probe.artifacts.records import stamp_known
from probe.artifacts.untrusted import plain_file, read_json, reading
from probe.errors import BadInput, Unavailable
from probe.show.beside import loads, saves
from probe.show.made import made_by, remember

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
from probe.show.opening import came_from

GRAPH, TEXT = "graph.safetensors", "graph.json"
UNTRACED = "Trace a prompt and save_graph it, or run `openwork trace`."
_ARRAYS, _SIDE = ("constant", "probability"), "edges.side"
_SMALL = {
    "kind": np.int8,
    "layer": np.int32,
    "pos": np.int32,
    "unit": np.int32,
    "source": np.int32,
    "target": np.int32,
    "side": np.int8,
}
_TEXT = {f.name: f for f in fields(CircuitGraph) if f.name not in ("nodes", "edges", *_ARRAYS)}
_UNKNOWN = ("residual", "residual_relative")
"Numbers that may be unknown: NaN, on disk null."


@saves
def save_graph(
    graph: CircuitGraph,
    folder: Path | str,
    *,
    model: "ModelStamp | TransformerBridge | None" = None,
    parents: tuple[str, ...] = (),
    command: str = "",
    replace: bool = False,
) -> Path:
    """Write a graph as an artifact folder; edges are stored as int32, int32, float32 triples.

    model: whose graph it is; by default the one it remembers. BadInput where something is there already, unless replace says
    that it may go.

    >>> ow.save_graph(graph, folder, model=model).exists()
    True
    """
    folder = as_path(folder)
    arrays = {f"nodes.{f.name}": getattr(graph.nodes, f.name) for f in fields(Nodes)}
    arrays |= {f"edges.{f.name}": getattr(graph.edges, f.name) for f in fields(Edges)}
    arrays |= {n: getattr(graph, n) for n in _ARRAYS}
    if isinstance(graph, ComponentGraph):
        arrays[_SIDE] = graph.side
    small = _SMALL | {"weight": graph.edges.weight.dtype}  # as they were made: float32, or float64 for a float64 model
    packed = {k: np.ascontiguousarray(v.astype(small.get(k.split(".")[-1], np.float64))) for k, v in arrays.items()}
    report = {k: v for k, v in graph.report().items() if k not in ("convention", "freeze_check")}
    manifest = Manifest(
        "graph",
        folder.name,
        _stamp_of(graph, model),
        dtype=str(graph.edges.weight.dtype),
        config=plain(graph.convention),
        parents=parents,
        command=command,
        facts=plain({**report, **({"call": call} if (call := made_by(graph)) else {})}),
    )
    with writing(folder, manifest, replace=replace) as scratch:
        save_file(packed, scratch / GRAPH)
        write_json(scratch / TEXT, _text(graph))
    return folder


def _stamp_of(graph: CircuitGraph, model: "ModelStamp | TransformerBridge | None") -> ModelStamp | None:
    if model is None:
        return stamp_known(graph)
    if isinstance(model, ModelStamp):
        return model
    from probe.model.fingerprint import stamp  # needs torch; graphs are read without

    return stamp(model)


def _text(graph: CircuitGraph) -> dict[str, Any]:
    return plain({name: getattr(graph, name) for name in _TEXT}, 12)


@loads
def load_graph(folder: Path | str) -> CircuitGraph:
    """Read a graph by folder, or by the name it was stored under.

    Unavailable names a file that is missing or damaged, BadInput what is no graph.

    >>> graph = ow.load_graph("small")
    >>> graph.prompt
    'When Mary went'
    """
    folder = found_folder("graph", folder, UNTRACED)
    return read_consistently(folder, lambda: _read(folder))


def _read(folder: Path) -> CircuitGraph:
    manifest = read_manifest(folder, "graph")
    broken = check_files(folder, manifest) or [n for n in (GRAPH, TEXT) if n not in manifest.files]
    if broken:
        raise Unavailable(f"In {folder}, {', '.join(broken)} is missing or damaged; trace the prompt again.")
    with reading(folder, "trace the prompt again"):
        arrays = load_file(plain_file(folder / GRAPH))
        found = _assembled(arrays, read_json(folder / TEXT), folder)
    return remember(came_from(found, str(folder)), manifest.facts.get("call"))


def _assembled(arrays: Mapping[str, np.ndarray], text: Any, folder: Path) -> CircuitGraph:
    """A graph of what the files hold; BadInput where they hold none."""
    if not isinstance(text, dict):
        raise BadInput(f"{folder / TEXT} holds a {type(text).__name__}; a mapping was wanted.")
    needed = [n for n, f in _TEXT.items() if f.default is MISSING and f.default_factory is MISSING]
    arrayed = [*(f"nodes.{f.name}" for f in fields(Nodes)), *(f"edges.{f.name}" for f in fields(Edges)), *_ARRAYS]
    missing = [n for n in needed if n not in text] + [n for n in arrayed if n not in arrays]
    if missing:
        raise BadInput(f"{folder} lacks {', '.join(missing[:5])} and is no graph; trace the prompt again.")
    known = {name: text[name] for name in _TEXT if name in text}
    for name in _UNKNOWN:
        known[name] = float("nan") if known[name] is None else known[name]
        if isinstance(known[name], bool) or not isinstance(known[name], float | int):
            raise BadInput(f"In {folder / TEXT}, {name} is a {type(known[name]).__name__}; a number was wanted.")
        known[name] = float(known[name])
    nodes = {f.name: arrays[f"nodes.{f.name}"] for f in fields(Nodes)}
    edges = {f.name: arrays[f"edges.{f.name}"] for f in fields(Edges)}
    whole: dict[str, Any] = {**{n: arrays[n] for n in _ARRAYS}, **known}
    draft = {"supernodes": {}, "pinned": [], "model": "", "dictionaries": {}, "convention": {}, "facts": {}, **whole}
    check_graph(SimpleNamespace(nodes=SimpleNamespace(**nodes), edges=SimpleNamespace(**edges), **draft), str(folder))
    parts = {"nodes": Nodes(**nodes), "edges": Edges(**edges), **whole}
    if (side := arrays.get(_SIDE)) is None:
        return CircuitGraph(**parts)
    return check_sides(ComponentGraph(**parts, side=side), str(folder))


@dataclass(frozen=True)
class StoredNodes:
    """What a graph's files say of its nodes, without its edges. dictionaries: names by layer, as graphs write it."""

    nodes: Nodes
    prompt: str
    tokens: list[str]
    dictionaries: dict[str, str]


def load_nodes(folder: Path) -> StoredNodes:
    """The nodes of a stored graph, to look through many graphs without reading their edges.

    Unavailable for a file that is missing or damaged.
    """
    return read_consistently(folder, lambda: _read_nodes(folder))


def _read_nodes(folder: Path) -> StoredNodes:
    require_files(folder, read_manifest(folder, "graph"), (TEXT, GRAPH))
    with reading(folder, "trace the prompt again"):
        text = read_json(folder / TEXT)
        with safe_open(str(plain_file(folder / GRAPH)), framework="numpy") as arrays:
            nodes = Nodes(**{f.name: arrays.get_tensor(f"nodes.{f.name}") for f in fields(Nodes)})
        return StoredNodes(
            nodes,
            prompt=str(text.get("prompt", "")),
            tokens=[str(token) for token in text.get("tokens", [])],
            dictionaries={str(k): str(v) for k, v in dict(text.get("dictionaries", {})).items()},
        )


def edges_digest(folder: Path) -> str:
    """The digest of a stored graph's nodes and edges, which pins, groups and labels do not change."""
    return read_manifest(folder, "graph").files.get(GRAPH, "")


def choose_nodes(
    folder: Path | str,
    *,
    pinned: Sequence[int] | None = None,
    supernodes: Mapping[str, Sequence[int]] | None = None,
    labels: Mapping[int, str] | None = None,
) -> CircuitGraph:
    """Replace a stored graph's pinned nodes, supernodes or units' labels (None: as they are); everything else stays as it was.

    labels: texts by node, for units only; an empty one takes the label away. Who decides by what is stored reads it inside
    `editing(folder)`.

    >>> chosen = ow.most_influential(2)(graph)
    >>> ow.choose_nodes("small", pinned=chosen).pinned == sorted(chosen)
    False
    """
    folder = found_folder("graph", folder, UNTRACED)
    with editing(folder):
        graph, manifest = load_graph(folder), read_manifest(folder, "graph")
        if pinned is not None:
            graph = changed(graph, pinned=[int(i) for i in pinned])
        if supernodes is not None:
            graph = changed(graph, supernodes={str(k): [int(i) for i in v] for k, v in supernodes.items()})
        if labels:
            graph = changed(graph, unit_tokens=_labelled(graph, labels))
        check_graph(graph, str(folder))
        _rewrite(folder, manifest, graph)
    return graph


def editing(folder: Path) -> AbstractContextManager[bool]:
    """Alone with a stored graph, among threads and processes, from reading what is chosen to writing what it becomes."""
    return exclusive(lock_of(folder), f"the graph {folder.name}")


def _rewrite(folder: Path, manifest: Manifest, graph: CircuitGraph) -> None:
    """Another text beside the same arrays."""
    with writing(folder, manifest, replace=True) as scratch:
        try:
            os.link(folder / GRAPH, scratch / GRAPH)  # the edges are the same file
        except OSError:
            shutil.copyfile(folder / GRAPH, scratch / GRAPH)
        write_json(scratch / TEXT, _text(graph))


def _labelled(graph: CircuitGraph, labels: Mapping[int, str]) -> list[str]:
    """The texts of all nodes with these in them; only units are labelled, since the text of a token or logit is what it is."""
    texts, units = list(graph.unit_tokens), graph.nodes.where(*UNITS)
    for node, text in labels.items():
        if not 0 <= node < len(texts) or not units[node]:
            raise BadInput(f"Node {node} is no unit of this graph; labels are for neurons, latents, heads and MLPs.")
        texts[node] = str(text)
    return texts
