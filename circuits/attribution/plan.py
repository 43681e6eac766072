"""What a trace will need, told before it starts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from circuits.attribution.config import TraceConfig
from probe.busy import on_this_machine
from probe.errors import BadInput
from probe.show.record import Record
from probe.words import counted, duration, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


THIN_GROUP = 64
"""Targets carried together at least; with fewer, the matrix products are too thin to be fast."""


@dataclass(frozen=True)
class TracePlan(Record):
    """bytes: at the peak, beside the model; flops: of the sweep; seconds: at 5e10 operations a second, two CPU cores."""

    n_tokens: int
    n_units: int
    n_targets: int
    n_columns: int
    bytes: int
    flops: float
    seconds: float

    def summary(self) -> str:
        """One sentence."""
        took = "under a second" if self.seconds < 1 else f"about {duration(self.seconds)}"
        return (
            f"{counted(self.n_tokens, 'token')}, up to {counted(self.n_units, 'unit')} and {self.n_targets:,} × "
            f"{self.n_columns:,} edges: {size(self.bytes)} of memory, {took} {on_this_machine()}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {k: getattr(self, k) for k in self.__dataclass_fields__}


def plan_trace(
    model: "TransformerBridge", n_tokens: int, config: TraceConfig | None = None, n_latents: int = 0, n_roots: int = 0
) -> TracePlan:
    """Nodes, memory and time of a trace. n_latents: width of the widest dictionary. n_roots: targets asked for, if any.

    Raises BadInput for sizes below 1 and for what does not fit in `config.memory`.

    >>> ow.plan_trace(model, n_tokens=12).n_tokens
    12
    """
    config, cfg = config or TraceConfig(), model.cfg
    _positive(config)
    _precise(model, config)
    width = max(int(cfg.d_mlp or 0), n_latents)
    units = min(config.max_nodes, n_tokens * cfg.n_layers * (width + (cfg.n_heads if config.heads else 0)))
    targets, columns = units + (n_roots or config.max_logits), units + n_tokens * (3 * cfg.n_layers + 2)
    item = 8 if model.W_E.dtype == torch.float64 else 4
    numbers = (
        _frozen(cfg, n_tokens, width) + _matrix(targets, columns, item) + _cotangents(config, n_tokens, cfg, targets)
    )
    needed = _SLACK + item * numbers + _widened(model)
    mixed = cfg.n_heads * cfg.d_head
    block = 4 * cfg.d_model * mixed + 2 * n_tokens * mixed  # into the heads and out of them, and along the pattern
    flops = targets * n_tokens * cfg.n_layers / 2 * (block + 2 * cfg.d_model * units / max(n_tokens * cfg.n_layers, 1))
    if needed > config.memory:
        raise BadInput(
            f"This graph needs {needed / 1e9:.3g} GB ({targets} targets x {columns} sources), more than the "
            f"{config.memory / 1e9:.3g} GB allowed. Ask for fewer nodes (max_nodes), shorten the prompt, or allow more memory."
        )
    return TracePlan(n_tokens, units, targets, columns, needed, flops, flops / 5e10)


def _positive(config: TraceConfig) -> None:
    if config.max_nodes < 1 or config.max_logits < 1 or not config.memory > 0:
        raise BadInput(
            f"max_nodes ({config.max_nodes}), max_logits ({config.max_logits}) and memory ({config.memory}) must be positive."
        )
    if not isinstance(config.max_nodes, int) or not 0 < config.probability_mass <= 1:
        raise BadInput(
            f"max_nodes ({config.max_nodes}) must be a whole number, probability_mass ({config.probability_mass}) above 0 and "
            "at most 1."
        )
    if config.tolerance is not None and not config.tolerance > 0:
        raise BadInput(f"tolerance is {config.tolerance}; it must be a positive number.")
    if config.first not in ("auto", "merge", "keep"):
        raise BadInput(f"first is {config.first!r}; it must be auto, merge or keep.")


def _precise(model: "TransformerBridge", config: TraceConfig) -> None:
    """Refuse half precision at once: what its rounding leaves out of a sum is hundreds of times what edges may miss."""
    if model.W_E.element_size() == 2 and config.tolerance is None:
        dtype = str(model.W_E.dtype).removeprefix("torch.")
        raise BadInput(
            f"This model is loaded in {dtype}, whose rounding is above the 1e-5 within which edges must add up to what they "
            "explain. Load it in float32 (--precision float32), or say a tolerance that you accept (TraceConfig.tolerance)."
        )


_SLACK = 64 << 20
"""Bytes of buffers that no formula below counts."""


def _widened(model: "TransformerBridge") -> int:
    """Bytes of float32 copies of half-precision weights."""
    return sum(4 * p.numel() for p in model.parameters()) if model.W_E.element_size() == 2 else 0


def _frozen(cfg: Any, n_tokens: int, width: int) -> int:
    """Streams, patterns, neuron activations and ratios of every layer, and the logits of the run that gave them, in numbers."""
    layer = n_tokens * (8 * cfg.d_model + 6 * width) + 2 * cfg.n_heads * n_tokens**2
    return cfg.n_layers * layer + 2 * n_tokens * cfg.d_vocab


def _matrix(targets: int, columns: int, item: int) -> int:
    """The matrix of all edges, and twice, while it is joined, the list of those that are not zero: half of them, each with two
    numbers of nodes of four bytes."""
    return targets * columns * (item + 8 + item) // item


def _cotangents(config: TraceConfig, n_tokens: int, cfg: Any, targets: int) -> int:
    """Of one group of targets, with what the sweep makes of them in a layer."""
    row = 6 * n_tokens * cfg.d_model
    return min(row * targets, max(group_memory(config) // 4, THIN_GROUP * row))


def group_memory(config: TraceConfig) -> int:
    """Bytes that one group of targets may use: small groups stay in the processor's caches."""
    return min(config.memory // 16, 32 << 20)
