"""What an evaluation will take, before it is begun: passes of the model, memory, time. Nothing is written."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from probe.dictionaries.store import AnyDictionary
from probe.interventions.prefix import first_layer
from probe.model.sites import parse_site
from probe.show.record import Record
from probe.words import estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache


@dataclass(frozen=True)
class EvalPlan(Record):
    """tokens: of text behind the cross-entropies, all texts together. passes: whole forward passes over them, in effect.
    memory_bytes: beside the model. seconds: from one measured forward pass."""

    dictionaries: int
    tokens: int
    passes: float
    memory_bytes: int
    seconds: float

    def summary(self) -> str:
        """What it takes, in words."""
        return (
            f"{self.tokens:,} tokens in the model, {self.passes:.1f} passes over them, {size(self.memory_bytes)} of memory, "
            f"about {estimate(self.seconds)}"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def plan_evaluation(
    model: "TransformerBridge",
    dictionaries: Sequence[AnyDictionary],
    cache: "Cache",
    *,
    n_texts: int = 1,
    max_tokens: int = 4096,
    batch: int = 8,
) -> EvalPlan:
    """Estimate an evaluation with these arguments; runs one batch of the cache's text through the model."""
    rows = cache.tokens().tokens[:batch].to(model.cfg.device)
    model(rows)
    start = time.perf_counter()
    model(rows)
    each = (time.perf_counter() - start) / rows.numel()
    share = {d.sites_out: 1 - _first(d, model) / model.cfg.n_layers for d in dictionaries}
    passes = 1 + 2 * sum(share.values()) + 2 * sum(share[d.sites_out] for d in dictionaries)
    tokens = n_texts * max_tokens
    largest = max(d.d_in + d.d_out + d.d_dict for d in dictionaries)
    return EvalPlan(
        dictionaries=len(dictionaries),
        tokens=tokens,
        passes=passes,
        memory_bytes=3 * 4 * rows.numel() * model.cfg.d_vocab + 4096 * 8 * largest,
        seconds=2 * each * tokens * passes,  # the losses take about as long as the passes
    )


def _first(dictionary: AnyDictionary, model: "TransformerBridge") -> int:
    return first_layer([parse_site(s, model) for s in dictionary.sites_out], model)
