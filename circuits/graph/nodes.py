"""Nodes and edges of a graph as parallel arrays. Kinds of nodes:

    token      the token embedding read at one position          neuron     one MLP neuron at one position
    position   a learned position embedding                      latent     one dictionary latent at one position
    bias       what a layer writes whatever it reads: attention  rest       the units of one layer that are not nodes
               output and value biases, norm biases, MLP output  error      what a dictionary fails to reconstruct
               and decoder biases                                logit      one output token, demeaned over the vocabulary
    first      all that a layer's units write at the first       direction  what is read along a given direction, or the
               position, where that is the same in every prompt             difference of two logits
    head       one attention head at one (query) position        mlp        a whole MLP at one position
    input      what is there before the first layer, over       kv         keys and values that several heads of a circuit of a
               all positions, in a circuit of a task                        task share

Tokens, positions, biases, `first`, `rest`, `error` and `input` are leaves. Logits and directions are roots: what the graph
explains.
A head or a whole MLP writes a vector, so its value is what that vector contributes to the roots (weighted by `probability`)
through every path of the frozen model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.errors import BadInput, brief
from probe.show.record import Record

KINDS = (
    *("token", "position", "bias", "neuron", "latent", "rest", "error", "logit"),
    *("first", "mlp", "head", "direction"),
    *("input", "kv"),
)
"""Kinds of nodes; stored as indices, so new ones go to the end."""
UNITS = ("neuron", "latent", "mlp", "head", "kv")
ROOTS = ("logit", "direction")
PUSHES = "Solid edges push a node the way it went (up; a unit below zero, further down), dashed ones push against it."
"""What every picture of edges says of its lines. See `CircuitGraph.pushes`."""
Kinds = str | Sequence[str]
"""One kind of nodes by its name, or several; `units` and `roots` stand for all of theirs, none for every kind."""
_SETS = {"units": UNITS, "unit": UNITS, "roots": ROOTS, "root": ROOTS}


def of_kinds(kinds: Int[np.ndarray, " node"], wanted: Kinds) -> Bool[np.ndarray, " node"]:
    """Mask of the nodes whose kind is wanted. BadInput for a kind there is not."""
    if not isinstance(wanted, Sequence) or not all(isinstance(w, str) for w in wanted):
        raise BadInput(f"Kinds of nodes are named in text, one or a list of them; {brief(wanted)} came.")
    if not wanted:
        return np.ones(len(kinds), bool)
    names = [n for w in ([wanted] if isinstance(wanted, str) else wanted) for n in _SETS.get(w, (w,))]
    if unknown := [n for n in names if n not in KINDS]:
        raise BadInput(
            f"There is no kind of node {unknown[0]!r}. Kinds are {', '.join(KINDS)}; `units` are all of {', '.join(UNITS)}."
        )
    return np.isin(kinds, [KINDS.index(n) for n in names])


@dataclass(frozen=True)
class Nodes(Record):
    """Parallel arrays over nodes, in topological order: sources first, logits last.

    kind: index into `KINDS`. layer: -1 for embeddings, n_layers for logits. pos: token position. unit: neuron, latent or head
    index, vocabulary id for tokens and logits, number of a direction, -1 where there is none. value: activation of a
    neuron, pre-activation of a latent, demeaned logit of a logit; NaN for leaves. activation: what a neuron or latent
    writes with, NaN for others.
    """

    kind: Int[np.ndarray, " node"]
    layer: Int[np.ndarray, " node"]
    pos: Int[np.ndarray, " node"]
    unit: Int[np.ndarray, " node"]
    value: Float[np.ndarray, " node"]
    activation: Float[np.ndarray, " node"]

    def __len__(self) -> int:
        return len(self.kind)

    def where(self, *kinds: str) -> Bool[np.ndarray, " node"]:
        """Mask of the nodes of these kinds."""
        return np.isin(self.kind, [KINDS.index(k) for k in kinds])


@dataclass(frozen=True)
class Edges(Record):
    """Parallel arrays over edges."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]

    def __len__(self) -> int:
        return len(self.source)
