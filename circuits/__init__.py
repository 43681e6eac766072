"""Openwork's explaining half: which parts of a model cause a prediction, and whether that explanation is true.

graph = circuits.trace(model, "The capital of France is")
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "trace": "circuits.tracing.attribution",
    "plan_trace": "circuits.tracing.attribution",
    "TraceConfig": "circuits.tracing.attribution",
    "Difference": "circuits.tracing.attribution",
    "Direction": "circuits.tracing.attribution",
    "CircuitGraph": "circuits.graph",
    "load_graph": "circuits.store",
    "save_graph": "circuits.store",
    "to_neuronpedia": "circuits.exchange.write",
    "write_neuronpedia": "circuits.exchange.write",
    "read_neuronpedia": "circuits.exchange.read",
    "write_unit_files": "circuits.exchange.unit_files",
    "choose_nodes": "circuits.store",
    "check_edges": "circuits.truth.verify",
    "head_loadings": "circuits.attention.loadings",
    "qk_attribution": "circuits.attention.qk",
    "oracle_rows": "circuits.truth.oracle",
    "check_subgraph": "circuits.truth.check",
    "check_sufficiency": "circuits.truth.sufficiency",
    "generate_with": "probe.continued",
    "most_influential": "circuits.truth.nodes",
    "subgraph_scores": "circuits.reading.subgraph",
    "suggest_supernodes": "circuits.reading.supernodes",
    "collapse": "circuits.reading.supernodes",
    "unit_evidence": "circuits.reading.evidence",
    "merge_graphs": "circuits.reading.merge",
    "difference": "circuits.reading.compare",
    "connections": "circuits.weights.connections",
    "layer_connections": "circuits.weights.layers",
    "deembed": "circuits.weights.tokens",
    "embeddings": "circuits.weights.tokens",
    "promoted": "circuits.weights.tokens",
    "top_paths": "circuits.weights.paths",
    "patch_sweep": "circuits.patching.sweep",
    "plan_patching": "circuits.patching.sweep",
    "read_pair": "circuits.patching.pair",
    "save_patching": "circuits.patching.store",
    "load_patching": "circuits.patching.store",
    "new_study": "circuits.blind.study",
    "open_study": "circuits.blind.study",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'circuits' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
