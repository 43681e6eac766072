"""What nodes are called in exchanged graphs: ids, unit numbers, labels.

Rules the schema does not state: ids must be unique, so a layer's leftover is `{layer}_-1_{pos}` (never `0_{layer}_{pos}`, which
collides with layer 0's features); a logit's label must contain `(p=`; unit ids are Cantor pairs of (layer, unit), computed in
integers.

One layer may hold units of several families with the same index: neurons, heads, the whole MLP, latents of the residual
stream. `number` sets families apart by 2^24, more than any layer has units, and small enough for the pair to stay
below 2^53, where a browser's numbers end. MLP neurons and latents in their place keep their own index, as everywhere.
"""

from collections.abc import Mapping
from functools import cached_property
from math import isqrt

import numpy as np
from jaxtyping import Int

from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph
from circuits.graph.graph_arguments import read_graph
from probe.model.unit_names import unit_name

MARKS = {"error": -1, "rest": -2, "bias": -3, "first": -4}
FAMILY = 1 << 24
HEAD, MLP, MID, POST, BESIDE = range(1, 6)
Labels = Mapping[tuple[int, int], str]
"Texts by (layer, unit) of neurons and latents."


def cantor(layer: int, unit: int) -> int:
    """One number for (layer, unit)."""
    return (layer + unit) * (layer + unit + 1) // 2 + unit


def uncantor(pair: int) -> tuple[int, int]:
    """The (layer, unit) of a Cantor number, exact for integers of any size."""
    w = (isqrt(8 * pair + 1) - 1) // 2
    unit = pair - w * (w + 1) // 2
    return w - unit, unit


class Names:
    """Ids, numbers and labels of a graph's nodes."""

    def __init__(self, graph: CircuitGraph, labels: Labels | None = None):
        self.graph, self.labels = read_graph(graph), labels or {}

    @cached_property
    def number(self) -> Int[np.ndarray, " node"]:
        """Units numbered so that two different units of one layer never share a number; -1 for what is no unit."""
        nodes, layer = self.graph.nodes, self.graph.nodes.layer
        number = np.where(nodes.where(*UNITS), nodes.unit, -1).astype(np.int64)
        for kind, family in (("head", HEAD), ("mlp", MLP)):
            mine = nodes.where(kind)
            number[mine] = np.maximum(number[mine], 0) + family * FAMILY
        latent, stream = nodes.where("latent"), np.zeros(len(nodes), bool)
        for slot in self.graph.dictionaries:
            where, _, at = slot.partition(".")
            if where in ("resid_mid", "resid_post") and at.isdecimal() and len(at) < 6:
                mine = latent & (layer == int(at))
                number[mine] += (MID if where == "resid_mid" else POST) * FAMILY
                stream |= mine
        shared = np.isin(layer, np.unique(layer[latent & ~stream]))
        number[nodes.where("neuron") & shared] += BESIDE * FAMILY
        return number

    @cached_property
    def ids(self) -> list[str]:
        """Every node's id; the second of two that would get one id, which merged graphs can have, gets a count behind it."""
        seen: dict[str, int] = {}
        found = []
        for i in range(len(self.graph.nodes)):
            name = self._id(i)
            seen[name] = seen.get(name, 0) + 1
            found.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
        return found

    def _id(self, node: int) -> str:
        kind, layer, pos, unit = self.place(node)
        if kind in MARKS:
            # Without a dictionary there is no error node, and the rest takes the mark that frontends expect of a leftover.
            mark = -1 if kind == "rest" and not self._errors else MARKS[kind]
            return f"{layer}_{mark}_{pos}"
        if kind in UNITS:
            return f"{layer}_{self.number[node]}_{pos}"
        above = self.graph.n_layers + 1
        return {
            "token": f"E_{unit}_{pos}",
            "position": f"P_{pos}_{pos}",
            "logit": f"{above}_{unit}_{pos}",
            "direction": f"{above}_d{unit}_{pos}",
        }[kind]

    @cached_property
    def _errors(self) -> bool:
        return bool(self.graph.nodes.where("error").any())

    def place(self, node: int) -> tuple[str, int, int, int]:
        """Kind, layer, position and unit of a node."""
        nodes = self.graph.nodes
        return KINDS[nodes.kind[node]], int(nodes.layer[node]), int(nodes.pos[node]), int(nodes.unit[node])

    def text(self, node: int) -> str:
        """The given label of a unit, or its own, or the text of a token; often empty."""
        kind, layer, _, unit = self.place(node)
        own = self.graph.unit_tokens[node]
        return self.labels.get((layer, unit), own) if kind in ("neuron", "latent") else own

    def label(self, node: int) -> str:
        """What frontends show: `(p=` in every root's, the unit's own text where it has one, else what it is."""
        kind, layer, pos, unit = self.place(node)
        text = self.text(node)
        if kind in ROOTS:
            safe = text.replace("(p=", "(p =")
            return f'Output "{safe}" (p={float(self.graph.probability[node]):.3f})'
        if kind == "token":
            return f'Emb: "{text}"'
        return text or {
            "neuron": f"{unit_name('neuron', layer, unit)} (MLP neuron)",
            "latent": unit_name("latent", layer, unit) + self._dictionary(layer),
            "head": f"{unit_name('head', layer, unit)} (attention head)",
            "mlp": f"L{layer}: whole MLP",
            "rest": f"L{layer}: other units",
            "bias": f"L{layer}: biases",
            "first": f"L{layer}: units at the first position",
            "error": f"L{layer}: reconstruction error",
            "position": f"position {pos}",
        }.get(kind, kind)

    def _dictionary(self, layer: int) -> str:
        names = self.graph.dictionaries
        name = next((names[k] for k in (str(layer), f"resid_mid.{layer}", f"resid_post.{layer}") if k in names), "")
        return f" (latent of {name})" if name else " (latent)"
