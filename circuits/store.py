"""Graphs on disk: `manifest.json` beside `graph.safetensors` (arrays) and `graph.json` (text and conventions)."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from circuits.graph import CircuitGraph, Edges, Nodes
from probe.artifact import Manifest, ModelStamp, check_files, read_manifest, write_json, writing
from probe.errors import Unavailable

_ARRAYS = ("constant", "probability")
_SMALL = {
    "kind": np.int8,
    "layer": np.int32,
    "pos": np.int32,
    "unit": np.int32,
    "source": np.int32,
    "target": np.int32,
    "weight": np.float32,
}


def save_graph(
    graph: CircuitGraph,
    folder: Path,
    *,
    model: ModelStamp | None = None,
    parents: tuple[str, ...] = (),
    command: str = "",
) -> Path:
    """Write a graph as an artifact folder; edges are stored as int32, int32, float32 triples."""
    arrays = {f"nodes.{f.name}": getattr(graph.nodes, f.name) for f in fields(Nodes)}
    arrays |= {f"edges.{f.name}": getattr(graph.edges, f.name) for f in fields(Edges)}
    arrays |= {n: getattr(graph, n) for n in _ARRAYS}
    packed = {k: np.ascontiguousarray(v.astype(_SMALL.get(k.split(".")[-1], np.float64))) for k, v in arrays.items()}
    text = {f.name: getattr(graph, f.name) for f in fields(CircuitGraph) if f.name not in ("nodes", "edges", *_ARRAYS)}
    report = {k: v for k, v in graph.report().items() if k not in ("convention", "freeze_check")}
    manifest = Manifest(
        "graph",
        folder.name,
        model,
        dtype="float32",
        config=graph.convention,
        parents=parents,
        command=command,
        facts=report,
    )
    with writing(folder, manifest) as scratch:
        save_file(packed, scratch / "graph.safetensors")
        write_json(scratch / "graph.json", text)
    return folder


def load_graph(folder: Path) -> CircuitGraph:
    """Read a graph; Unavailable names a file that is missing or damaged."""
    manifest = read_manifest(folder, "graph")
    broken = check_files(folder, manifest)
    if broken:
        raise Unavailable(f"In {folder}, {', '.join(broken)} is missing or damaged; trace the prompt again.")
    arrays = load_file(folder / "graph.safetensors")
    text: dict[str, Any] = json.loads((folder / "graph.json").read_text(encoding="utf8"))
    nodes = Nodes(**{f.name: arrays[f"nodes.{f.name}"] for f in fields(Nodes)})
    edges = Edges(**{f.name: arrays[f"edges.{f.name}"] for f in fields(Edges)})
    return CircuitGraph(nodes=nodes, edges=edges, **{n: arrays[n] for n in _ARRAYS}, **text)
