"""What a training will take, before it is begun: steps, memory, disk, time. Nothing is written."""

import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from probe.dictionaries import Sparsifier
from probe.dictionaries.rows import parts_of
from probe.dictionaries.sparse import CHUNK
from probe.dictionaries.store import AnyDictionary
from probe.html import Facts
from probe.pairs import Pairs, pairs_for
from probe.training import TrainConfig

if TYPE_CHECKING:
    from probe.cache import Cache


@dataclass(frozen=True)
class TrainPlan(Facts):
    """What a training will take, for `--dry-run`. Bytes are of memory (peak) and of disk (checkpoint and artifact)."""

    parameters: int
    steps: int
    tokens: int
    memory_bytes: int
    disk_bytes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_HELD = 10_000_000
"Bytes that the first steps take and keep, whatever their size."


def plan(dictionary: AnyDictionary, cache: "Cache | Pairs", config: TrainConfig | None = None) -> TrainPlan:
    """Estimate memory, disk and time without training. Time: three encoder matmuls a step, one of which is timed here."""
    config, pairs = config or TrainConfig(), pairs_for(cache, dictionary)
    steps = math.ceil(pairs.n_tokens / config.batch) * config.epochs
    size = sum(weight.numel() * weight.element_size() for weight in dictionary.parameters())
    return TrainPlan(
        parameters=sum(p.numel() for p in dictionary.parameters()),
        steps=steps,
        tokens=pairs.n_tokens * config.epochs,
        memory_bytes=training_bytes(dictionary, config.batch) + getattr(cache, "memory_bytes", 0),  # a stream's block
        disk_bytes=4 * size,
        seconds=3 * steps * _encoder_seconds(dictionary, config.batch),
    )


def training_bytes(dictionary: AnyDictionary, batch: int) -> int:
    """Weights, gradients, Adam's two moments and a copy to be stored; rows of a batch, and the pre-activations that are in memory
    at once. Factors as measured (peak of a fresh process, six rules): from 50 MB on not less, and at most a third more. The data
    are not in it."""
    size = sum(weight.numel() * weight.element_size() for weight in dictionary.parameters())
    rows = batch * 8 * (dictionary.d_in + dictionary.d_out) * 4
    chunk = batch if dictionary.W_enc.is_cuda else min(batch, CHUNK)
    rules = [part for part in dictionary.modules() if isinstance(part, Sparsifier)]
    dense = max(rule.matrices for rule in rules) * batch * dictionary.d_dict * 4
    start = 4096 * dictionary.d_dict * 4 * any(rule.calibrates for rule in rules)
    most = max(chunk * dictionary.d_dict * 12, dense, start)
    return 5 * size + rows + most + _HELD


@torch.no_grad()
def _encoder_seconds(dictionary: AnyDictionary, batch: int) -> float:
    """Seconds of the encoder's matmul (of a cross-layer transcoder: of all layers' together)."""
    parts = parts_of(dictionary)
    inputs = [torch.zeros(batch, part.d_in, device=part.W_enc.device, dtype=part.W_enc.dtype) for part in parts]
    torch.addmm(parts[0].b_enc, inputs[0], parts[0].W_enc)
    start = time.perf_counter()
    for part, x in zip(parts, inputs, strict=True):
        float(torch.addmm(part.b_enc, x, part.W_enc)[0, 0])
    return time.perf_counter() - start
