"""A graph in words: what it explains, of how many nodes, how exactly, and what a person marked in it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from circuits.graph.nodes import UNITS
from probe.artifacts.json import Json
from probe.words import counted, minus, plural

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph
    from probe.artifacts.manifest import Manifest

_BASES = {"mixed": "latents and neurons", "task": "components of a task"}
_PLURALS = {"neuron": "neurons", "latent": "latents", "mlp": "MLPs", "head": "heads", "kv": "shared keys and values"}


def told(graph: "CircuitGraph") -> list[str]:
    """The graph in sentences."""
    report = graph.report()
    kinds = ", ".join(f"{n} {kind}" for kind, n in report["nodes_by_kind"].items())
    targets = ", ".join(f"{t['token']!r}{_chances(t)}" for t in report["targets"][:10])
    residual, marks = report["conservation_residual"], marked(graph)
    return [
        f"{graph.model or 'a model without a name'}, {counted(len(graph.tokens), 'token')}, explaining {targets}",
        f"{counted(len(graph.nodes), 'node')} ({kinds}), {counted(len(graph.edges), 'edge')}; "
        f"replacement score {report['replacement_score']:.3f}, completeness {report['completeness_score']:.3f}",
        f"edges sum to every node's value within {residual:.1e} of the size of the sum"
        if residual is not None
        else f"whether edges sum to values is {graph.convention.get('conservation_residual', 'unknown')}",
        *([f"pinned: {', '.join(marks['pinned'])}"] if graph.pinned else []),
        *(f"supernode {name!r}: {', '.join(members)}" for name, members in marks["supernodes"].items()),
    ]


def stored_row(manifest: "Manifest") -> Json:
    """What a graph's manifest says of it, in a few words and numbers; the graph itself is not read."""
    facts, basis = manifest.facts, str(manifest.config.get("basis") or "")

    def number(key: str) -> float | int | None:
        value = facts.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    return {
        "prompt": str(facts.get("prompt") or "")[:400],
        "model": manifest.model.name if manifest.model else str(facts.get("model") or ""),
        "basis": "imported" if facts.get("imported") else _BASES.get(basis, basis),
        "nodes": number("n_nodes"),
        "edges": number("n_edges"),
        "replacement": number("replacement_score"),
        "made": manifest.created[:16].replace("T", " "),
    }


def provenance(graph: "CircuitGraph", manifest: "Manifest") -> list[tuple[str, str]]:
    """Conventions and origin of a stored graph as short texts."""
    origin = graph.facts.get("imported")
    origin = origin if isinstance(origin, dict) else {}
    dropped = origin.get("links_left_out")
    facts = {
        "units": f"{units(graph)}{f' ({basis(graph)})' if graph.dictionaries else ''}",
        **graph.convention,
        **({"imported from": str(origin.get("from", ""))} if origin else {}),
        **({f"links left out, {k}": v for k, v in dropped.items()} if isinstance(dropped, dict) else {}),
        "made": manifest.created[:16].replace("T", " "),
        **({"pins and labels changed": manifest.changed[:16].replace("T", " ")} if manifest.changed else {}),
        **{f"version of {k}": v for k, v in manifest.versions.items() if k in ("torch", "transformer-lens")},
    }
    said = {k: ("yes" if v else "no") if isinstance(v, bool) else v for k, v in facts.items()}
    return [(k, str(v)[:240]) for k, v in said.items() if isinstance(v, str | int | float)]


def numbers(graph: "CircuitGraph", node: int) -> list[tuple[str, float]]:
    """What is known of a node, by name: of a root its probability or weight, of a difference both tokens' probabilities."""
    if graph.of_task:
        size = np.nan if graph.roots[node] else graph.influence[node]
        told = (("net score", graph.nodes.value[node]), ("sum of |score|", size))
        return [(name, float(value)) for name, value in told if not np.isnan(value)]
    direction = bool(graph.nodes.where("direction")[node])
    told = graph.target(node) if direction else {}
    pair = told.get("other_probability") is not None
    found = [
        ("value", graph.nodes.value[node]),
        ("activation", graph.nodes.activation[node]),
        ("influence", np.nan if graph.roots[node] else graph.influence[node]),
        ("weight" if direction else "probability", graph.probability[node] or np.nan),
        ("first's probability", told["probability"] if pair else np.nan),
        ("other's probability", told["other_probability"] if pair else np.nan),
    ]
    return [(name, float(value)) for name, value in found if not np.isnan(value)]


def marked(graph: "CircuitGraph") -> dict[str, Any]:
    """Groups and pinned nodes by name."""
    groups = {name: [graph.name(i) for i in members] for name, members in graph.supernodes.items()}
    return {"supernodes": groups, "pinned": [graph.name(i) for i in graph.pinned]}


def units(graph: "CircuitGraph") -> str:
    """`latents, heads`: the kinds of units there are."""
    return ", ".join(_PLURALS[k] for k in UNITS if graph.nodes.where(k).any()) or "none"


def basis(graph: "CircuitGraph") -> str:
    """`layers 4, 7, neurons elsewhere`: where latents stand for neurons; `resid_post.4` for a place in the stream."""
    slots = sorted(graph.dictionaries, key=lambda k: (not k.isdecimal(), int(k) if k.isdecimal() else 0, k))
    elsewhere = ", neurons elsewhere" if graph.nodes.where("neuron").any() else ""
    return f"{plural(len(slots), 'layer')} {', '.join(slots)}{elsewhere}"


def conservation(graph: "CircuitGraph") -> tuple[str, str]:
    """`4e−7`, and what that is; `unknown`, and why."""
    value = graph.residual_relative
    if np.isnan(value):
        return "unknown", str(graph.convention.get("conservation_residual", "")).removeprefix("unknown: ")[:120]
    digit, _, exponent = f"{value:.0e}".partition("e")
    return minus(f"{digit}e{int(exponent)}") if value else "0", "worst gap of a value and its edges"


def _chances(target: Json) -> str:
    """The probability of a token, or of the two of a difference."""
    known = [target.get(name) for name in ("probability", "other_probability")]
    shown = [f"{p:.3f}" for p in known if p is not None]
    return f" ({' and '.join(shown)})" if shown else ""
