"""Write graphs as Neuronpedia and circuit-tracer read them; `circuits.exchange.read_neuronpedia` reads them.

What their format has no place for travels in fields the schema allows: `openwork` of every node (kind, value, constant, ...) and
of the metadata (token ids, residual, conventions). So an unpruned file read again is the same graph. `influence` is the
cumulative share at which a node enters, small for important ones. Neurons, heads and whole MLPs are written under the feature
type that the frontends draw as units; their labels say what they are. Links of weight 0 and self-links are never written.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from circuits.exchange.neuronpedia_ids import Labels, Names, cantor, uncantor
from circuits.exchange.neuronpedia_nodes import TYPES_WRITTEN
from circuits.graph.graph import ROOTS, CircuitGraph
from circuits.graph.influence import cumulative_influence
from probe.artifacts.exports import write_file
from probe.artifacts.json import finite, plain
from probe.artifacts.names import as_path
from probe.errors import BadInput, Unavailable

FORMAT = 1
"Of the `openwork` fields."
__all__ = ["cantor", "node_id", "to_neuronpedia", "uncantor", "write_neuronpedia"]


def node_id(graph: CircuitGraph, node: int) -> str:
    """A node's id in the exchanged file."""
    return Names(graph).ids[node]


def to_neuronpedia(
    graph: CircuitGraph,
    *,
    slug: str = "openwork",
    node_threshold: float = 0.8,
    edge_threshold: float = 0.98,
    labels: Labels | None = None,
    features_url: str = "",
) -> dict[str, Any]:
    """The pruned graph as a dictionary that Neuronpedia's schema accepts.

    Thresholds of 1 write every node and every nonzero edge. Pinned nodes and members of supernodes are always written.
    labels: texts by (layer, unit) for neurons and latents. features_url: where `write_unit_files`'s folder will be served.
    Raises BadInput for weights that are not finite.

    >>> sorted(ow.to_neuronpedia(graph))
    ['links', 'metadata', 'nodes', 'qParams']
    """
    names, nodes, edges = Names(graph, labels), *_selection(graph, node_threshold, edge_threshold)
    cumulative, e = cumulative_influence(graph), graph.edges
    if not np.isfinite(e.weight[edges]).all():
        raise BadInput("An edge of the graph is not finite; no other program could read it. Trace the prompt again.")
    ids = names.ids
    settings = {"node_threshold": node_threshold, "edge_threshold": edge_threshold}
    return {
        "metadata": _metadata(graph, slug, settings, features_url, int(edges.sum())),
        "qParams": {
            "pinnedIds": [ids[i] for i in graph.pinned],
            "supernodes": [[name, *(ids[i] for i in members)] for name, members in graph.supernodes.items()],
            "linkType": "both",
            "clickedId": "",
            "sg_pos": "",
        },
        "nodes": [_node(names, int(i), float(cumulative[i])) for i in np.flatnonzero(nodes)],
        "links": [
            {"source": ids[s], "target": ids[t], "weight": w}
            for s, t, w in zip(
                e.source[edges].tolist(), e.target[edges].tolist(), e.weight[edges].tolist(), strict=True
            )
        ],
    }


def _selection(
    graph: CircuitGraph, node_threshold: float, edge_threshold: float
) -> tuple[Bool[np.ndarray, " node"], Bool[np.ndarray, " edge"]]:
    """Which nodes and edges are written."""
    for name, value in (("node_threshold", node_threshold), ("edge_threshold", edge_threshold)):
        if not 0 <= value <= 1:
            raise BadInput(f"{name} is {value}; give the share of influence to keep, between 0 and 1.")
    source, target = graph.edges.source, graph.edges.target
    sound = (graph.edges.weight != 0) & (source != target)
    if node_threshold == edge_threshold == 1:
        return np.ones(len(graph.nodes), bool), sound
    kept = graph.prune(node_threshold, edge_threshold)
    chosen = np.zeros(len(graph.nodes), bool)
    chosen[[*graph.pinned, *(i for members in graph.supernodes.values() for i in members)]] = True
    added = chosen & ~kept.nodes
    nodes = kept.nodes | added
    touching = nodes[source] & nodes[target] & (added[source] | added[target])
    return nodes, (kept.edges | touching) & sound


def _node(names: Names, node: int, cumulative: float) -> dict[str, Any]:
    graph, (kind, layer, pos, unit) = names.graph, names.place(node)
    name, number, probability = names.ids[node], int(names.number[node]), float(graph.probability[node])
    feature = {"logit": unit, "token": pos, "direction": -2 - unit}.get(
        kind, cantor(layer, number) if number >= 0 else -1
    )
    mark = name.split("_")[1]
    root = kind in ROOTS
    return {
        "node_id": name,
        "feature": feature,
        "layer": str(graph.n_layers + 1) if root else "E" if layer < 0 else str(layer),
        "ctx_idx": pos,
        "feature_type": TYPES_WRITTEN[kind],
        "jsNodeId": f"L_{mark}-{pos}" if root else f"{name.rsplit('_', 1)[0]}-{pos if kind == 'token' else 0}",
        "clerp": names.label(node),
        "influence": None if root else cumulative,
        "activation": finite(graph.nodes.activation[node]),
        "token_prob": probability,
        "is_target_logit": bool(root and probability == graph.probability.max()),
        "openwork": {
            "kind": kind,
            "layer": layer,
            "unit": unit,
            "value": finite(graph.nodes.value[node]),
            "constant": finite(graph.constant[node]),
            "text": names.text(node),
        },
    }


def _metadata(
    graph: CircuitGraph, slug: str, settings: dict[str, float], features_url: str, n_links: int
) -> dict[str, Any]:
    from probe.artifacts.manifest import versions

    scores = graph.scores
    facts = {
        "replacement_score": scores.replacement,
        "completeness_score": scores.completeness,
        "conservation_residual": graph.residual_relative,
        **graph.convention,
    }
    kept = {k: v for k, v in facts.items() if isinstance(v, int | float | str) and v == v}
    details = {"feature_details": {"feature_json_base_url": features_url}} if features_url else {}
    return {
        "slug": slug,
        "scan": scan(graph),
        "prompt_tokens": graph.tokens,
        "prompt": graph.prompt,
        "node_threshold": settings["node_threshold"],
        "info": {
            "description": "Incoming edges and constant of every unit and logit sum to its value."
            if graph.residual_relative == graph.residual_relative
            else "What no edge explains is not known for this graph.",
            "generator": {"name": "Openwork", "version": versions().get("openwork", "0")},
        },
        "generation_settings": kept,
        "pruning_settings": settings,
        **details,
        "openwork": _own(graph, n_links),
    }


def _own(graph: CircuitGraph, n_links: int) -> dict[str, Any]:
    """What the format has no place for."""
    return {
        "format": FORMAT,
        "model": Path(graph.model).name if Path(graph.model).is_absolute() else graph.model,
        "token_ids": [int(i) for i in graph.token_ids],
        "n_layers": int(graph.n_layers),
        "weights": str(graph.edges.weight.dtype),
        "whole": n_links == len(graph.edges),
        "residual": finite(graph.residual),
        "residual_relative": finite(graph.residual_relative),
        "dictionaries": graph.dictionaries,
        "convention": plain(graph.convention),
        "facts": plain(graph.facts),
    }


def scan(graph: CircuitGraph) -> str:
    """The model's name as frontends take it, without owner or folder, fit to name a folder."""
    last = re.sub(r"[^A-Za-z0-9._-]+", "-", graph.model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1])
    return last.strip(".-") or "model"


def write_neuronpedia(graph: CircuitGraph, path: Path | str, **options: Any) -> Path:
    """Write the exchanged file, whole or not at all. Raises Unavailable where it cannot be written.

    >>> ow.write_neuronpedia(graph, folder / "graph.json").name
    'graph.json'
    """
    path = as_path(path)
    text = json.dumps(
        to_neuronpedia(graph, **options), ensure_ascii=False, allow_nan=False
    )  # in one piece, which is fast
    try:
        write_file(path, text)
    except OSError as error:
        raise Unavailable(f"{path} could not be written ({error.strerror or error}). Name another place.") from error
    return path
