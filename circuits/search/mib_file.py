"""Component circuits in the file of EAP-IG and MIB's circuit track, so that they can be scored there and theirs looked at here.

    {"cfg": {"n_layers", "n_heads", "parallel_attn_mlp", "d_model"},
     "nodes": {"a0.h1": {"in_graph": true}, ...}, "edges": {"a0.h1->a1.h2<q>": {"score": -0.03, "in_graph": true}, ...}}

Their models give every head keys and values of its own. Where heads share them, an edge into a key-value head is written once
for each head of its group, its score shared out evenly, and read back as their sum.

Their sign is the other one. They attribute to a loss, so an edge that helps the answer has a score above 0 in a file (and MIB's
CPR takes the largest first), and one below 0 here, where a score is what becomes of the metric. The sign is turned on the way out
and in. Scores without a sign (`EdgeScores.signed`), which say how much an edge carries, are written as they are.
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
from probe.artifacts.records import stamp_known
from probe.artifacts.untrusted import read_json
from probe.errors import BadInput, Unavailable, brief, warn
from probe.model.sizes import model_size
from probe.show.opening import origins

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LARGEST = 512 << 20
"""Bytes of a file that is read."""
_LARGEST_SCORE = float(np.finfo(np.float32).max)  # as scores are stored
_WANTED = "an object with cfg, nodes and edges"


def write_mib(
    circuit: ComponentCircuit, to: str | Path, scores: EdgeScores | None = None, d_model: int | None = None
) -> Path:
    """Write a circuit, with scores where they are given or it was chosen by some; returns the file.

    d_model: the width of its model, which their file tells; by default that of the model which the circuit was found on, as far
    as it is known here. Raises Unavailable where the file cannot be written.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> ow.write_mib(ow.choose_edges(scores, 20), folder / "circuit.json", scores).name
    'circuit.json'
    """
    layout, path = circuit.layout, as_path(to)
    if scores is not None and scores.layout != layout:
        raise BadInput("These scores are of another model's edges than the circuit. Give those that it was chosen by.")
    score = _their_scores(circuit, scores)
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
        "d_model": width_of(circuit) if d_model is None else d_model,
    }
    told = {"cfg": cfg, "nodes": {**nodes, "logits": {"in_graph": True}}, "edges": edges}
    try:
        write_file(path, json.dumps(told, ensure_ascii=False, allow_nan=False))
    except OSError as error:
        raise Unavailable(f"{path} could not be written ({error.strerror or error}). Name another place.") from error
    return path


def width_of(circuit: ComponentCircuit) -> int:
    """Of the model that a circuit was found on, as far as it is told without loading it; 0, with a warning, otherwise."""
    model = next((source for source in origins(circuit) if hasattr(source, "original_model")), None)
    if model is not None:
        return int(model.cfg.d_model)
    made = stamp_known(circuit)
    size = None if made is None else model_size(made.name)
    if size is None or not size.d_model:
        warn(
            "The width of the circuit's model is not known here, so the file says d_model 0. Give d_model to have it told."
        )
        return 0
    return size.d_model


def _their_scores(circuit: ComponentCircuit, scores: EdgeScores | None) -> Float[np.ndarray, "sender receiver"]:
    """Large where an edge helps; of a circuit without scores 1 for what is in it."""
    if scores is None and circuit.score is None:
        return circuit.kept.astype(float)
    if scores is not None:
        return 0.0 - scores.matrix if scores.signed else scores.matrix
    assert circuit.score is not None
    return 0.0 - circuit.score if circuit.convention.get("scores have a sign", True) else circuit.score


def read_mib(
    model: "TransformerBridge", file: str | Path
) -> tuple[ComponentCircuit, Float[np.ndarray, "sender receiver"]]:
    """The circuit of a file and the scores that stand in it (NaN where none does), on the edges of this model, in the sign of
    scores here: below 0 where an edge helps.

    Raises BadInput for a file of another model, with edges that it lacks, or of another format.

    >>> circuit = ow.choose_edges(ow.eap(model, "greater-than", n=2), 20)
    >>> read, scores = ow.read_mib(model, ow.write_mib(circuit, folder / "circuit.json"))
    >>> read.names == circuit.names
    True
    """
    path, layout = as_path(file), components(model).layout
    told = _told(path, model, layout)
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
    score = 0.0 - score  # theirs is above 0 where an edge helps
    known = score if np.isfinite(score[layout.edges]).any() else None
    return ComponentCircuit(method="read from a file", task=path.stem, layout=layout, kept=kept, score=known), score


def _told(path: Path, model: "TransformerBridge", layout: Layout) -> dict[str, tuple[bool, float]]:
    """Of every edge of a file whether it is in, and its score. BadInput for no circuit file, and for one of another model."""
    try:
        told = read_json(path, LARGEST, strict=False)  # NaN is said of its edge
    except Unavailable as error:
        raise BadInput(f"{error} A circuit file was wanted: {_WANTED}.") from error
    if not isinstance(told, dict) or not all(isinstance(told.get(part, {}), dict) for part in ("cfg", "nodes")):
        raise BadInput(f"{path} is no circuit file: {_WANTED} was wanted.")
    if not isinstance(edges := told.get("edges"), dict):
        raise BadInput(f"{path} is no circuit file: {_WANTED} was wanted.")
    _require_shape(path, told.get("cfg", {}), model, layout)
    return {name: _read(path, name, one) for name, one in edges.items()}


def _require_shape(path: Path, cfg: Mapping[str, Any], model: "TransformerBridge", layout: Layout) -> None:
    """BadInput for the shape of another model. A width of 0 says that it was not known."""
    own = {"n_layers": layout.n_layers, "n_heads": max(layout.heads), "d_model": int(model.cfg.d_model)}
    for name, wanted in own.items():
        found = cfg.get(name, wanted)
        if found != wanted and not (name == "d_model" and found in (0, None)):
            raise BadInput(
                f"{path} is a circuit of another model: its {name} is {brief(found)}, and this model's {wanted}."
            )


def _read(path: Path, name: str, edge: Any) -> tuple[bool, float]:
    """Whether an edge is in, and its score, NaN where the file says null: it was not measured."""
    if not isinstance(edge, dict):
        raise BadInput(
            f"{path} is no circuit file: of the edge {brief(name)} it says {brief(edge)}; {_WANTED} was wanted."
        )
    inside, score = edge.get("in_graph", edge.get("in_circuit", False)), edge.get("score")
    if inside not in (True, False):
        raise BadInput(
            f"{path} is no circuit file: the edge {brief(name)} has in_graph {brief(inside)}; true or false was wanted."
        )
    if score is None:
        return bool(inside), math.nan
    if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) <= _LARGEST_SCORE:
        raise BadInput(
            f"{path} is no circuit file: the edge {brief(name)} has the score {brief(score)}; a finite number was wanted, "
            "or null where it was not measured. Make the scores again."
        )
    return bool(inside), float(score)


def _spread(layout: Layout, receiver: int) -> list[str]:
    """A receiver's name in their files, once for each head that reads through it."""
    name = layout.receivers[receiver]
    if "kv" not in name:
        return [name]
    side = name[name.index("<") :]
    return [f"{layout.senders[u]}{side}" for u in np.flatnonzero(layout.components[:, receiver])]
