"""Component circuits in the file of EAP-IG and MIB's circuit track, so that they can be scored there and theirs looked at here.

    {"cfg": {"n_layers", "n_heads", "parallel_attn_mlp", "d_model"},
     "nodes": {"a0.h1": {"in_graph": true}, ...}, "edges": {"a0.h1->a1.h2<q>": {"score": -0.03, "in_graph": true}, ...}}

Their models give every head keys and values of its own. Where heads share them, an edge into a key-value head is written once
for each head of its group, its score shared out evenly, and read back as their sum.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from circuits.edge_attribution.components import components
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import ComponentCircuit
from probe.artifacts.exports import write_file
from probe.artifacts.json import finite
from probe.artifacts.names import as_path
from probe.errors import BadInput, Unavailable, brief

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LARGEST = 512 << 20
"""Bytes of a file that is read."""


def write_mib(circuit: ComponentCircuit, to: str | Path, scores: EdgeScores | None = None, d_model: int = 0) -> Path:
    """Write a circuit, with scores where they are given or it was chosen by some; returns the file. Raises Unavailable where it
    cannot be written.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> ow.write_mib(ow.choose_edges(scores, 20), folder / "circuit.json", scores).name
    'circuit.json'
    """
    layout, path = circuit.layout, as_path(to)
    if scores is not None and scores.layout != layout:
        raise BadInput("These scores are of another model's edges than the circuit. Give those that it was chosen by.")
    score = (
        scores.matrix
        if scores is not None
        else circuit.score
        if circuit.score is not None
        else circuit.kept.astype(float)
    )
    edges = {}
    for u, v in np.argwhere(layout.edges):
        names = _spread(layout, int(v))
        about = {"score": finite(score[u, v] / len(names)), "in_graph": bool(circuit.kept[u, v])}
        edges |= {f"{layout.senders[u]}->{name}": about for name in names}
    used = circuit.kept.any(1) | (layout.components & circuit.kept.any(0)).any(1)
    nodes = {name: {"in_graph": bool(used[i])} for i, name in enumerate(layout.senders)}
    cfg = {
        "n_layers": layout.n_layers,
        "n_heads": max(layout.heads),
        "parallel_attn_mlp": all(layout.parallel),
        "d_model": d_model,
    }
    told = {"cfg": cfg, "nodes": {**nodes, "logits": {"in_graph": True}}, "edges": edges}
    try:
        write_file(path, json.dumps(told, ensure_ascii=False, allow_nan=False))
    except OSError as error:
        raise Unavailable(f"{path} could not be written ({error.strerror or error}). Name another place.") from error
    return path


def read_mib(
    model: "TransformerBridge", file: str | Path
) -> tuple[ComponentCircuit, Float[np.ndarray, "sender receiver"]]:
    """The circuit of a file and the scores that stand in it (NaN where none does), on the edges of this model.

    Raises BadInput for a file of another model, with edges that it lacks, or of another format.

    >>> circuit = ow.choose_edges(ow.eap(model, "greater-than", n=2), 20)
    >>> read, scores = ow.read_mib(model, ow.write_mib(circuit, folder / "circuit.json"))
    >>> read.names == circuit.names
    True
    """
    path, layout = as_path(file), components(model).layout
    told = _edges(path)
    kept, score = np.zeros(layout.edges.shape, bool), np.where(layout.edges, 0.0, np.nan)
    known = {
        f"{layout.senders[u]}->{name}": (int(u), int(v))
        for u, v in np.argwhere(layout.edges)
        for name in _spread(layout, int(v))
    }
    unknown = [name for name in told if name not in known]
    if unknown or len(told) != len(known):
        said = (
            f"it has the edge {brief(unknown[0])}"
            if unknown
            else f"it has {len(told)} edges and this model {len(known)}"
        )
        raise BadInput(f"{path} is a circuit of another model: {said}.")
    for name, (inside, worth) in told.items():
        kept[known[name]] |= inside
        score[known[name]] += worth
    known = score if np.isfinite(score[layout.edges]).any() else None
    return ComponentCircuit(method="read from a file", task=path.stem, layout=layout, kept=kept, score=known), score


def _edges(path: Path) -> dict[str, tuple[bool, float]]:
    """Of every edge of a file whether it is in, and its score."""
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise Unavailable(f"{path} has {size >> 20} MB; at most {LARGEST >> 20} are read.")
        told = json.loads(path.read_text(encoding="utf8"))["edges"]
        return {name: _read(one) for name, one in told.items()}
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path} is no circuit file: an object with cfg, nodes and edges was wanted.") from error


def _read(edge: Mapping[str, Any]) -> tuple[bool, float]:
    score = edge.get("score")
    return bool(edge.get("in_graph", edge.get("in_circuit", False))), math.nan if score is None else float(score)


def _spread(layout: Layout, receiver: int) -> list[str]:
    """A receiver's name in their files, once for each head that reads through it."""
    name = layout.receivers[receiver]
    if "kv" not in name:
        return [name]
    side = name[name.index("<") :]
    return [f"{layout.senders[u]}{side}" for u in np.flatnonzero(layout.components[:, receiver])]
