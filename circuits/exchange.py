"""Write graphs as Neuronpedia and circuit-tracer read them.

Rules the schema does not state: node ids must be unique, so a layer's leftover is `{layer}_-1_{pos}` (never
`0_{layer}_{pos}`, which collides with layer 0's features); a logit's label must contain `(p=`; unit ids are Cantor pairs of
(layer, unit), computed in integers; `influence` is the cumulative share at which a node enters, small for important ones.
MLP neurons are written under the feature type that the frontends draw as units; their label says what they are.
"""

from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from circuits.graph import KINDS, CircuitGraph
from circuits.influence import cumulative_influence
from probe.artifact import write_json
from probe.errors import OpenworkError, Unavailable

_TYPES = {
    "token": "embedding",
    "position": "bias",
    "bias": "bias",
    "neuron": "cross layer transcoder",
    "latent": "cross layer transcoder",
    "rest": "mlp reconstruction error",
    "error": "mlp reconstruction error",
    "logit": "logit",
}
_MARKS = {"error": -1, "rest": -2, "bias": -3}


def cantor(layer: int, unit: int) -> int:
    """One number for (layer, unit)."""
    return (layer + unit) * (layer + unit + 1) // 2 + unit


def uncantor(pair: int) -> tuple[int, int]:
    """The (layer, unit) of a Cantor number, exact for integers of any size."""
    w = (isqrt(8 * pair + 1) - 1) // 2
    unit = pair - w * (w + 1) // 2
    return w - unit, unit


def node_id(graph: CircuitGraph, node: int) -> str:
    """A node's id in the exchanged file."""
    kind, layer = KINDS[graph.nodes.kind[node]], int(graph.nodes.layer[node])
    pos, unit = int(graph.nodes.pos[node]), int(graph.nodes.unit[node])
    if kind in _MARKS:
        # Without a dictionary there is no error node, and the rest takes the mark that frontends expect of a leftover.
        mark = -1 if kind == "rest" and not graph.nodes.where("error").any() else _MARKS[kind]
        return f"{layer}_{mark}_{pos}"
    return {
        "token": f"E_{unit}_{pos}",
        "position": f"P_{pos}_{pos}",
        "logit": f"{graph.n_layers + 1}_{unit}_{pos}",
    }.get(kind, f"{layer}_{unit}_{pos}")


def _node(graph: CircuitGraph, node: int, cumulative: np.ndarray) -> dict[str, Any]:
    kind, layer = KINDS[graph.nodes.kind[node]], int(graph.nodes.layer[node])
    pos, unit = int(graph.nodes.pos[node]), int(graph.nodes.unit[node])
    name = node_id(graph, node)
    is_unit = kind in ("neuron", "latent")
    activation = graph.nodes.activation[node]
    probability = float(graph.probability[node])
    labels = {
        "logit": f'Output "{graph.unit_tokens[node]}" (p={probability:.3f})',
        "token": f'Emb: "{graph.unit_tokens[node]}"',
        "neuron": f"L{layer}N{unit} (MLP neuron)",
        "rest": f"L{layer}: other units",
        "bias": f"L{layer}: biases",
        "position": f"position {pos}",
    }
    return {
        "node_id": name,
        "feature": cantor(layer, unit) if is_unit else unit if kind == "logit" else pos if kind == "token" else -1,
        "layer": str(graph.n_layers + 1) if kind == "logit" else "E" if layer < 0 else str(layer),
        "ctx_idx": pos,
        "feature_type": _TYPES[kind],
        "jsNodeId": f"L_{unit}-{pos}"
        if kind == "logit"
        else f"{name.rsplit('_', 1)[0]}-{pos if kind == 'token' else 0}",
        "clerp": labels.get(kind, ""),
        "influence": None if kind == "logit" else float(cumulative[node]),
        "activation": None if np.isnan(activation) else float(activation),
        "token_prob": probability,
        "is_target_logit": bool(kind == "logit" and probability == graph.probability.max()),
    }


def to_neuronpedia(
    graph: CircuitGraph, *, slug: str = "openwork", node_threshold: float = 0.8, edge_threshold: float = 0.98
) -> dict[str, Any]:
    """The pruned graph as a dictionary that Neuronpedia's schema accepts. Raises OpenworkError if two node ids are equal."""
    kept, cumulative = graph.prune(node_threshold, edge_threshold), cumulative_influence(graph)
    nodes = [_node(graph, int(i), cumulative) for i in np.flatnonzero(kept.nodes)]
    ids = [n["node_id"] for n in nodes]
    if len(set(ids)) != len(ids):
        raise OpenworkError("Two nodes of the graph would get one id in the exported file; nothing was written.")
    names = {int(i): name for i, name in zip(np.flatnonzero(kept.nodes), ids, strict=True)}
    e = graph.edges
    links = [
        {"source": names[int(e.source[i])], "target": names[int(e.target[i])], "weight": float(e.weight[i])}
        for i in np.flatnonzero(kept.edges)
    ]
    return {
        "metadata": _metadata(graph, slug, node_threshold, edge_threshold),
        "qParams": _q_params(),
        "nodes": nodes,
        "links": links,
    }


def _q_params() -> dict[str, Any]:
    return {"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""}


def _metadata(graph: CircuitGraph, slug: str, node_threshold: float, edge_threshold: float) -> dict[str, Any]:
    from probe.artifact import versions

    generator = {"name": "Openwork", "version": versions().get("openwork", "0")}
    facts = {
        "conservation_residual": graph.residual_relative,
        "replacement_score": graph.scores.replacement,
        "completeness_score": graph.scores.completeness,
        **{k: v for k, v in graph.convention.items() if isinstance(v, int | float | str)},
    }
    return {
        "slug": slug,
        "scan": Path(graph.model).name if Path(graph.model).is_absolute() else graph.model,
        "prompt_tokens": graph.tokens,
        "prompt": graph.prompt,
        "node_threshold": node_threshold,
        "info": {
            "description": "Incoming edges and constant of every unit and logit sum to its value.",
            "generator": generator,
        },
        "generation_settings": facts,
        "pruning_settings": {"node_threshold": node_threshold, "edge_threshold": edge_threshold},
    }


def write_neuronpedia(graph: CircuitGraph, path: Path, **options: Any) -> Path:
    """Write the exchanged file, whole or not at all. Raises Unavailable where it cannot be written."""
    value = to_neuronpedia(graph, **options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, value)
    except OSError as error:
        raise Unavailable(f"{path} could not be written ({error.strerror or error}). Name another place.") from error
    return path
