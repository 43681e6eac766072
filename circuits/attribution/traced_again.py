"""The call that traces a stored graph again: with its dictionaries, its number of nodes and the tokens it explains.

A graph that is stored knows its call; of one of before that follows from what its page said that was asked (`facts["asked"]`), or
from its convention and its logit nodes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from circuits.attribution.config import TraceConfig
from circuits.graph.graph import CircuitGraph
from probe.artifacts.stored import is_registered
from probe.errors import BadInput
from probe.methods.call import Call, call_of


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
    """What was asked for when this graph was traced; None where nothing says it."""
    if (call := call_of(graph)) is not None and call.method == "trace":
        return {name: value for name, value in call.arguments.items() if name not in ("prompt", "dictionaries")}
    asked = graph.facts.get("asked")
    return asked_before(asked) if isinstance(asked, dict) else None


def asked_before(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a page of before says of a trace, as arguments of the method, without its prompt and dictionaries."""
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
