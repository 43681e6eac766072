"""One graph type for every circuit: what wrote to what, by how much, at which token. No model inside.

Nodes are parallel arrays; edges are a sparse matrix stored as (source, target, weight) with weight > 0 for excitation.
The graph of one prompt is exact: for every explained node,

    value = constant + sum of its incoming edges                                   (conservation)

and `residual` says how far the arithmetic is from that. Kinds of nodes:

    token      the token embedding read at one position          neuron  one MLP neuron at one position
    position   a learned position embedding                      latent  one dictionary latent at one position
    bias       what a layer writes whatever it reads: attention  rest    the neurons of one MLP that are not nodes
               output and value biases, norm biases, MLP output  error   what a dictionary fails to reconstruct
               and decoder biases                                logit   one output token, demeaned over the vocabulary
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

KINDS = ("token", "position", "bias", "neuron", "latent", "rest", "error", "logit")


@dataclass(frozen=True)
class Nodes:
    """Parallel arrays over nodes, in topological order: sources first, logits last.

    kind: index into `KINDS`. layer: -1 for embeddings, n_layers for logits. pos: token position. unit: neuron or latent
    index, vocabulary id for tokens and logits, -1 where there is none. value: activation of a neuron, pre-activation
    of a latent, demeaned logit of a logit; NaN for nodes that are sources only. activation: what a unit writes with.
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
class Edges:
    """Parallel arrays over edges."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class CircuitGraph:
    """An attribution graph of one prompt.

    prompt: the text. token_ids, tokens: its tokens as ids and as text (special tokens included). constant: the part of a
    node's value that no source explains (encoder constants, norm biases under an encoder), 0 for sources. probability:
    model probability of each logit node's token, 0 elsewhere. residual: largest |value - constant - incoming| over
    explained nodes; residual_relative: the same divided by the largest |value|. convention: every choice that changes
    a number. model, dictionaries, seconds: provenance.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    nodes: Nodes
    edges: Edges
    constant: Float[np.ndarray, " node"]
    probability: Float[np.ndarray, " node"]
    residual: float
    residual_relative: float
    n_layers: int
    model: str = ""
    dictionaries: dict[str, str] = field(default_factory=dict)
    convention: dict[str, Any] = field(default_factory=dict)
    unit_labels: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
