"""Component circuits in the file of EAP-IG and MIB's circuit track, so that they can be scored there and theirs looked at here.

    {"cfg": {"n_layers", "n_heads", "parallel_attn_mlp", "d_model"},
     "nodes": {"a0.h1": {"in_graph": true}, ...}, "edges": {"a0.h1->a1.h2<q>": {"score": -0.03, "in_graph": true}, ...}}

Their models give every head keys and values of its own. Where heads share them, an edge into a key-value head is written once
for each head of its group, its score shared out evenly, and read back as their sum.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from circuits.edge_attribution.components import components
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import ComponentCircuit
from probe.artifacts.json import write_json
from probe.errors import BadInput

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LARGEST = 512 << 20
"""Bytes of a file that is read."""


def write_mib(circuit: ComponentCircuit, to: str | Path, scores: EdgeScores | None = None, d_model: int = 0) -> Path:
    """Write a circuit, with the scores that chose it where they are given; returns the file."""
    layout, path = circuit.layout, Path(to)
    score = scores.matrix if scores is not None else circuit.kept.astype(float)
    edges = {}
    for u, v in np.argwhere(layout.edges):
        names = _spread(layout, int(v))
        for name in names:
            edges[f"{layout.senders[u]}->{name}"] = {
                "score": float(score[u, v]) / len(names),
                "in_graph": bool(circuit.kept[u, v]),
            }
    used = circuit.kept.any(1) | (layout.components & circuit.kept.any(0)).any(1)
    nodes = {name: {"in_graph": bool(used[i])} for i, name in enumerate(layout.senders)}
    cfg = {
        "n_layers": layout.n_layers,
        "n_heads": max(layout.heads),
        "parallel_attn_mlp": all(layout.parallel),
        "d_model": d_model,
    }
    write_json(path, {"cfg": cfg, "nodes": {**nodes, "logits": {"in_graph": True}}, "edges": edges})
    return path


def read_mib(
    model: "TransformerBridge", file: str | Path
) -> tuple[ComponentCircuit, Float[np.ndarray, "sender receiver"]]:
    """The circuit of a file and the scores that stand in it, on the edges of this model. BadInput for a file of another model,
    with edges that it lacks, or of another format."""
    path, layout = Path(file), components(model).layout
    told = _edges(path)
    kept, score = np.zeros(layout.edges.shape, bool), np.where(layout.edges, 0.0, np.nan)
    known = {
        f"{layout.senders[u]}->{name}": (int(u), int(v))
        for u, v in np.argwhere(layout.edges)
        for name in _spread(layout, int(v))
    }
    unknown = [name for name in told if name not in known]
    if unknown or len(told) != len(known):
        said = f"it has the edge {unknown[0]!r}" if unknown else f"it has {len(told)} edges and this model {len(known)}"
        raise BadInput(f"{path} is a circuit of another model: {said}.")
    for name, one in told.items():
        at = known[name]
        kept[at] |= bool(one.get("in_graph", one.get("in_circuit", False)))
        score[at] += float(one.get("score") or 0.0)
    return ComponentCircuit(method="read from a file", task=path.stem, layout=layout, kept=kept), score


def _edges(path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} has {path.stat().st_size >> 20} MB; at most {LARGEST >> 20} are read.")
        told = json.loads(path.read_text(encoding="utf8"))["edges"]
        if not isinstance(told, Mapping) or not all(isinstance(one, Mapping) for one in told.values()):
            raise TypeError
        return dict(told)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no circuit file: an object with cfg, nodes and edges was wanted.") from error


def _spread(layout: Layout, receiver: int) -> list[str]:
    """A receiver's name in their files, once for each head that reads through it."""
    name = layout.receivers[receiver]
    if "kv" not in name:
        return [name]
    side = name[name.index("<") :]
    return [f"{layout.senders[u]}{side}" for u in np.flatnonzero(layout.components[:, receiver])]
