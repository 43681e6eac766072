"""What of two graphs may be compared, in masks and in words: no node is matched with another thing of the same number in silence.

    one model, one set of dictionaries    every unit is itself
    another dictionary at a layer         its latents are other things: not matched. `error` and `rest` are, as what is left over
    another model of as many layers       neurons and heads are matched by number, which means something only for checkpoints of
                                          one training run (or a finetune); latents where the dictionaries are the same
    another number of layers              only tokens and roots are matched

Beside that: whether both explain the same, how much, and which of their conventions are not the same.
"""

import re
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Bool

from circuits.graph.graph import ROOTS, CircuitGraph
from probe.words import spaced


def apart_in(a: CircuitGraph, b: CircuitGraph) -> tuple[list[Bool[np.ndarray, " _"]], list[str]]:
    """Nodes of each graph that must not be matched, and what is and is not comparable in words."""
    notes, apart = [], [np.zeros(len(g.nodes), bool) for g in (a, b)]
    if a.n_layers != b.n_layers:
        for mask, graph in zip(apart, (a, b), strict=True):
            mask |= ~graph.nodes.where("token", *ROOTS)
        return apart, [f"a has {a.n_layers} layers and b {b.n_layers}: only tokens and roots are matched."]
    if a.model != b.model:
        notes.append(
            f"a is of {a.model or 'an unnamed model'} and b of {b.model or 'an unnamed model'}: neurons, heads and MLPs are "
            "matched by number. That means something for two checkpoints of one training run, and nothing for other models."
        )
    for slot in sorted(set(a.dictionaries) | set(b.dictionaries)):
        one, other = (g.dictionaries.get(slot) for g in (a, b))
        if one == other:
            continue
        layer = re.findall(r"\d+", slot)
        where = f"layer {slot}" if slot.isdecimal() else slot
        for mask, graph in zip(apart, (a, b), strict=True):
            mask |= graph.nodes.where("latent") & (graph.nodes.layer == int(layer[-1]) if layer else True)
        notes.append(
            f"At {where} a has {one or 'no dictionary'} and b has {other or 'no dictionary'}: latents there are not matched."
        )
    if not notes:
        notes.append("One model and the same dictionaries: every unit is matched with itself.")
    return apart, notes


def other_roots(a: CircuitGraph, b: CircuitGraph) -> list[str]:
    """A sentence where the graphs explain different things."""
    names = [[g.unit_tokens[i] for i in np.flatnonzero(g.roots)] for g in (a, b)]
    if sorted(names[0]) == sorted(names[1]):
        return []
    return [f"Not the same is explained: {_told(names[0])} in a, {_told(names[1])} in b."]


def _told(value: Any) -> str:
    """A convention in words: what differs in a list matters less than that it does, so long ones are cut."""
    if isinstance(value, list | tuple):
        parts = [str(v["name"]) if isinstance(v, dict) and "name" in v else str(v) for v in value]
        runs = [(part, len(list(same))) for part, same in groupby(parts)]
        words = [f"{part} × {n}" if n > 1 else part for part, n in runs]
        return ", ".join(words[:6]) + (f", ... ({len(parts)})" if len(words) > 6 else "") or "none"
    return str(value)


def changed_conventions(a: CircuitGraph, b: CircuitGraph) -> list[str]:
    """A sentence for each convention that is not the same."""
    changed = [k for k in sorted({*a.convention, *b.convention}) if a.convention.get(k) != b.convention.get(k)]
    return [f"{spaced(k)}: {_told(a.convention.get(k))} in a, {_told(b.convention.get(k))} in b" for k in changed]


def explained(graph: CircuitGraph) -> float:
    """How much probability a graph explains. Influence is divided by it, so that a confident prompt does not count for more."""
    return max(float(graph.probability.sum()), 1e-30)
