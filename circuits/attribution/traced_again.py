"""The call that traces a stored graph again: with its dictionaries, its number of nodes and the tokens it explains.

A graph that a page traced says what was asked of it (`facts["asked"]`); of one from Python or the command line that follows from
its convention and its logit nodes.
"""

from typing import Any

import numpy as np

from circuits.attribution.config import TraceConfig
from circuits.graph.graph import CircuitGraph
from probe.artifacts.stored import is_registered
from probe.errors import BadInput
from probe.methods.call import Call


def traced_by(graph: CircuitGraph) -> Call | None:
    """The call; None for a graph that was made elsewhere, of what no call tells, or with what is not stored here."""
    used = list(dict.fromkeys(graph.dictionaries.values()))
    ours = isinstance(graph.convention.get("max_nodes", 0), int) and "imported" not in graph.facts
    if not ours or not all(is_registered("dictionary", name) for name in used):
        return None
    options = _asked(graph)
    if options is None:
        if graph.nodes.where("mlp", "head", "direction").any():
            return None
        options = _by_convention(graph)
    try:
        return Call.checked("trace", graph.model, {"prompt": graph.prompt, "dictionaries": used, **options})
    except BadInput:  # of a prompt that nothing can read again
        return None


def _asked(graph: CircuitGraph) -> dict[str, Any] | None:
    """What a page asked for when it traced this graph."""
    asked = graph.facts.get("asked")
    if not isinstance(asked, dict):
        return None
    target, minus = asked.get("target"), asked.get("minus")
    found = {name: asked.get(name) for name in ("max_nodes", "basis")}
    found |= {"heads": asked.get("heads") or "none"}
    found |= {"target": target if minus is None else {"token": target, "other": minus}}
    return {name: value for name, value in found.items() if value is not None}


def _by_convention(graph: CircuitGraph) -> dict[str, Any]:
    targets = _named_targets(graph)
    max_nodes = int(graph.convention.get("max_nodes", TraceConfig.max_nodes))
    return {"max_nodes": max_nodes, **({"targets": targets} if targets else {})}


def _named_targets(graph: CircuitGraph) -> list[int]:
    """The tokens of the graph's logit nodes, if they are not those that a trace would choose by itself."""
    logits = [int(i) for i in np.flatnonzero(graph.nodes.where("logit"))]
    mass = graph.probability[logits]
    wanted = graph.convention.get("probability_mass", 0.95)
    chosen = mass[:-1].sum() < wanted and (mass.sum() >= wanted or len(logits) == TraceConfig.max_logits)
    return [] if chosen else [int(graph.nodes.unit[i]) for i in logits]
