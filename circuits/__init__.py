"""Openwork's explaining half: which parts of a model cause a prediction, and whether that explanation is true.

graph = circuits.trace(model, "The capital of France is")
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "trace": "circuits.attribution",
    "plan_trace": "circuits.attribution",
    "TraceConfig": "circuits.attribution",
    "CircuitGraph": "circuits.graph",
    "load_graph": "circuits.store",
    "save_graph": "circuits.store",
    "to_neuronpedia": "circuits.exchange",
    "write_neuronpedia": "circuits.exchange",
    "read_neuronpedia": "circuits.exchange_read",
    "write_unit_files": "circuits.exchange_units",
    "choose_nodes": "circuits.store",
    "check_edges": "circuits.verify",
    "head_loadings": "circuits.loadings",
    "qk_attribution": "circuits.qk",
    "oracle_rows": "circuits.oracle",
    "check_subgraph": "circuits.truth",
    "check_sufficiency": "circuits.truth_sufficiency",
    "generate_with": "circuits.truth_generate",
    "most_influential": "circuits.truth_nodes",
    "subgraph_scores": "circuits.subgraph",
    "suggest_supernodes": "circuits.supernodes",
    "collapse": "circuits.supernodes",
    "unit_evidence": "circuits.evidence",
    "merge_graphs": "circuits.merge",
    "difference": "circuits.compare",
    "connections": "circuits.weights",
    "layer_connections": "circuits.weights_layers",
    "deembed": "circuits.weights_tokens",
    "embeddings": "circuits.weights_tokens",
    "promoted": "circuits.weights_tokens",
    "top_paths": "circuits.paths",
    "new_study": "circuits.blind",
    "open_study": "circuits.blind",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'circuits' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
