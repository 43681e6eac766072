"""How a graph is made. No torch: a page offers these settings before it loads any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from probe.doc import Doc
from probe.plain_values import Settings, look_at_config

BasisName = str | Sequence[str]
"""`auto`, `neurons`, `latents`, `mixed` or `components`; or one of neurons, latents, mlp for each layer."""
HeadLayers = bool | Sequence[int]
"""Layers whose attention heads are nodes; True for all."""


@dataclass(frozen=True)
class TraceConfig(Settings):
    """How a graph is made.

    >>> ow.trace(model, "Mary went", config=ow.TraceConfig(max_nodes=20)).n_layers
    4
    """

    max_nodes: Annotated[int, Doc(least=1)] = 2000
    "Units (neurons, latents, heads, whole MLPs) that become nodes; those left are summed into `rest` nodes."
    max_logits: Annotated[int, Doc(least=1)] = 10
    "Most logits explained when none are named."
    probability_mass: Annotated[float, Doc(above=0, most=1)] = 0.95
    "The fewest logits that hold this much probability are explained."
    memory: Annotated[int, Doc(least=1)] = 4294967296
    "Bytes the trace may use beside the model."
    tolerance: Annotated[float | None, Doc(above=0)] = None
    "Largest relative conservation residual; by default 1e-5 in float32, and 1e-10 in float64 if the model keeps to float64."
    basis: BasisName = "auto"
    "What nodes are: `mixed`, latents where there are dictionaries and neurons elsewhere; `components`, whole MLPs and all heads."
    heads: HeadLayers = False
    "Layers whose attention heads are nodes, like 3,5-7, or all."
    first: Literal["auto", "merge", "keep"] = "auto"
    "Whether the first position's units are one leaf a layer: `merge`, `keep`, or `auto`, merge if it is the begin-of-text token."

    def __post_init__(self) -> None:
        look_at_config(self)
