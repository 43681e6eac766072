"""How a graph is made. No torch: a page offers these settings before it loads any."""

from collections.abc import Sequence
from dataclasses import dataclass

from probe.plain_values import Settings, look_at_config


@dataclass(frozen=True)
class TraceConfig(Settings):
    """How a graph is made.

    >>> ow.trace(model, "Mary went", config=ow.TraceConfig(max_nodes=20)).n_layers
    4
    """

    max_nodes: int = 2000
    "Units (neurons, latents, heads, whole MLPs) that become nodes; those left are summed into `rest` nodes."
    max_logits: int = 10
    "Most logits explained when none are named."
    probability_mass: float = 0.95
    "The fewest logits that hold this much probability are explained."
    memory: int = 4 << 30
    "Bytes the trace may use beside the model."
    tolerance: float | None = None
    "Largest relative conservation residual; by default 1e-5 in float32, and 1e-10 in float64 if the model keeps to float64."
    basis: str | Sequence[str] = "auto"
    "neurons, latents, mixed or components (see `circuits.attribution.choosing`), or one of neurons, latents, mlp for each layer."
    heads: bool | Sequence[int] = False
    "Layers whose attention heads are nodes; True for all."
    first: str = "auto"
    "Whether the first position's units are one leaf a layer: `merge`, `keep`, or `auto`, merge if it is the begin-of-text token."

    def __post_init__(self) -> None:
        look_at_config(self)
