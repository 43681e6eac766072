"""What a training will take, before it is begun: steps, memory, disk, time. Nothing is written."""

import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from probe.dictionaries import Dictionary
from probe.dictionaries.rows import parts_of
from probe.dictionaries.sparsifiers.sparse import CHUNK
from probe.dictionaries.store import AnyDictionary
from probe.show.record import Record
from probe.training.config import TrainConfig
from probe.training.pairs import Pairs, pairs_for
from probe.words import estimate, size

if TYPE_CHECKING:
    from probe.activations.cache import Cache


@dataclass(frozen=True)
class TrainPlan(Record):
    """What a training will take, for `--dry-run`. Bytes are of memory (peak) and of disk (checkpoint and artifact)."""

    parameters: int
    steps: int
    tokens: int
    memory_bytes: int
    disk_bytes: int
    seconds: float

    def summary(self) -> str:
        """What it takes, in words."""
        return (
            f"{self.parameters:,} weights, {self.steps:,} steps over {self.tokens:,} tokens, "
            f"{size(self.memory_bytes)} of memory, {size(self.disk_bytes)} on disk, about {estimate(self.seconds)}"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_HELD = 9_000_000
"Bytes that the first steps take and keep, whatever their size: nearly all there is where a dictionary is small."


def plan(dictionary: AnyDictionary, cache: "Cache | Pairs", config: TrainConfig | None = None) -> TrainPlan:
    """Estimate memory, disk and time without training. Time: three encoder matmuls a step, one of which is timed here."""
    config, pairs = config or TrainConfig(), pairs_for(cache, dictionary)
    steps = math.ceil(pairs.n_tokens / config.batch) * config.epochs
    size = sum(weight.numel() * weight.element_size() for weight in dictionary.parameters())
    return TrainPlan(
        parameters=sum(p.numel() for p in dictionary.parameters()),
        steps=steps,
        tokens=pairs.n_tokens * config.epochs,
        memory_bytes=training_bytes(dictionary, config, pairs.n_tokens) + _stream_bytes(cache),
        disk_bytes=4 * size,
        seconds=3 * steps * _encoder_seconds(dictionary, config.batch),
    )


def _stream_bytes(cache: Any) -> int:
    """Of activations that are made on the way: a block, and the pass of the model that makes it. Stored ones stay on disk."""
    return cache.memory_bytes + cache.pass_bytes() if hasattr(cache, "pass_bytes") else 0


def training_bytes(dictionary: AnyDictionary, config: TrainConfig, tokens: int = 1 << 62) -> int:
    """The most memory a training takes, its dictionary included and the data not. It is largest in one of three places:

    - at the start, beside the weights: the rows that latents start at, the ridge map's in float64, thresholds' pre-activations;
    - in a step: weights, gradients, Adam's two moments, a batch's rows, and the matrices [row, d_dict] of a dense rule;
    - at the end, when the gradients and moments are still there: the folded copy, and matrices laid out anew to be written.
      What the steps have freed in pieces of up to 32 MB is not given back by the allocator, so it is counted here too.

    Planned over measured (peak of a fresh process, 576 wide) at batch 1,024 and 4,096:
    TopK 4,608 latents 1.10, 1.04; skip BatchTopK 9,216 1.06, 1.03; Matryoshka 1.17, 1.03; ReLU 1.06, 1.15; Gated 1.10, 1.12;
    JumpReLU 1.09, 1.04; cross-layer (three layers, 256 wide, 2,048 latents each) 1.17, 1.04; skip TopK 96 1.10 to 1.24, 1.18.
    At 256 wide, 4,096 latents, batch 512: skip TopK 1.23, Gated 1.18. Where all is below 20 MB, `_HELD` may be too much: 96
    latents at batch 256 take 11 MB of 18. Of one training, two measurements differ by up to a tenth.
    """
    parts = parts_of(dictionary)
    size = sum(weight.numel() * weight.element_size() for weight in dictionary.parameters())
    rows = 4 * config.batch * (dictionary.d_in + sum(part.d_out for part in parts))
    widest = max(part.d_dict for part in parts) * 4
    chunk = widest * (config.batch if dictionary.W_enc.is_cuda else min(config.batch, CHUNK))
    dense = int(sum(config.batch * 4 * part.d_dict * _matrices(part, config) for part in parts))
    start = size + _start_bytes(dictionary, config, tokens)
    step = 4 * size + (dense or 2 * chunk)
    end = int(6.4 * size) + int(1.5 * chunk) + (dense if widest * config.batch <= _KEPT else 0)
    if (
        len(parts) > 1
    ):  # parts' outputs are padded and added up; at the end their small weights fit into what was kept of rows
        return max(start, step + int(6.5 * rows), end) + _HELD
    bands = len(
        getattr(dictionary.sparsifier, "widths", ())
    )  # each keeps its reconstruction, its error and their gradient
    return max(start, step + 6 * rows + 3 * bands * rows // 2, end + int((3.5 + 1.5 * bands) * rows)) + _HELD


_KEPT = 32 << 20
"The largest piece of memory that glibc's allocator keeps when it is freed."


def _matrices(part: Dictionary, config: TrainConfig) -> float:
    """Matrices [row, d_dict] of a step: none where thresholds start from the data and let few latents through."""
    rule = part.sparsifier
    few = config.start and rule.calibrates and 16 * getattr(rule, "l0", 0) < part.d_dict
    return 0 if few else rule.matrices


def _start_bytes(dictionary: AnyDictionary, config: TrainConfig, tokens: int) -> int:
    """Rows as read, standardised, and pointed at; for the ridge map those of two batches and in float64, and sums."""
    if not config.start:
        return 0
    row = 4 * (dictionary.d_in + dictionary.d_out)
    first = 3 * row * min(tokens, dictionary.d_dict)
    if any(part.sparsifier.calibrates for part in parts_of(dictionary)):
        first += 2 * 4 * min(tokens, 4096, dictionary.d_dict) * max(part.d_dict for part in parts_of(dictionary))
    skip = getattr(dictionary, "W_skip", None) is not None
    return max(first, skip * (5 * row * min(tokens, 8192) + 4 * row * dictionary.d_in))


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
