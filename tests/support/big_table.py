"""Feature tables made of random numbers, in the real file format, as large as wanted: for pages and searches, not for science.

Unit u fires at u + 1 tokens of `n_tokens`, every tenth unit never; unit u promotes the tokens u, u + 1, ... of the vocabulary, so
what a search must find is known.
"""

from pathlib import Path

import numpy as np
import torch

from probe.artifacts.folder import place
from probe.artifacts.manifest import Manifest, ModelStamp, writing
from probe.artifacts.tensors import write_tensors
from probe.features.measuring.config import BINS, FeatureConfig
from probe.features.overview import UNITS
from probe.features.store import CONVENTION, EXAMPLES, TEXT
from probe.features.text import _packed

STAMP = ModelStamp("toy", "w" * 64, "t" * 64)
ROWS, CONTEXT = 64, 128


def big_table(
    name: str = "big",
    n_units: int = 100_000,
    *,
    words: list[str] | None = None,
    window: int = 32,
    with_examples: int = 8,
    kind: str = "latent",
    layer: int = 1,
    source: str = "made-up",
    stamp: ModelStamp = STAMP,
    k: int = 10,
    top: int = 16,
) -> Path:
    """A table under `home()`. words: how the vocabulary of 4,096 begins. with_examples: units that have examples."""
    words = [*(words or []), *(f" word{i}" for i in range(4096 - len(words or [])))]
    n_tokens, folder = ROWS * CONTEXT, place("features", name)
    units = np.arange(n_units)
    fired = np.where(units % 10 == 9, 0, units % (n_tokens - 1) + 1).astype(np.int64)
    examples = _examples(n_units, with_examples, window, top, fired)
    signed = kind == "neuron"
    columns = _columns(units, fired, n_tokens, len(words), k, top, signed)
    facts = {
        "units": kind,
        "n_units": n_units,
        "layers": [[0, layer]],
        "source": f"layer {layer}" if signed else source,
        "signed": signed,
        "tokens": n_tokens,
        "window": window,
        "sample": {"tokens": n_tokens, "share": 1.0},
        "convention": {**CONVENTION, "active": "above 0", "writes": "rows"},
    }
    config = {
        "units": kind,
        "name": facts["source"],
        **FeatureConfig(top=top, window=window, before=window // 2).what(),
    }
    sites = (f"blocks.{layer}.mlp.hook_in",)
    parents = ("cache",) if signed else (source, "cache")
    with writing(
        folder, Manifest("features", name, stamp, sites, config=config, parents=parents, facts=facts)
    ) as scratch:
        for file, arrays in ((UNITS, columns), (EXAMPLES, examples), (TEXT, _text(words))):
            ordered = sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n))
            write_tensors(scratch / file, {n: torch.from_numpy(np.ascontiguousarray(arrays[n])) for n in ordered})
    return folder


def _columns(
    units: np.ndarray, fired: np.ndarray, n_tokens: int, d_vocab: int, k: int, top: int, signed: bool
) -> dict[str, np.ndarray]:
    n, rng = len(units), np.random.default_rng(0)
    tokens = ((units[:, None] + np.arange(k)) % d_vocab).astype(np.int32)
    score = np.tile(np.linspace(2, 1, k, dtype=np.float32), (n, 1))
    other = ((units[:, None] + 1 + np.arange(min(k, n - 1))) % n).astype(np.int32)
    cosine = np.tile(np.linspace(0.9, 0.1, other.shape[1], dtype=np.float32), (n, 1))
    histogram = np.zeros((n, (1 + signed) * BINS), np.int32)
    histogram[:, -BINS // 2] = fired
    peaks = np.where(fired[:, None] > 0, (units[:, None] * 7 + np.arange(top)) % d_vocab, -1).astype(np.int32)
    alive = (fired > 0)[:, None]
    return {
        "fired": fired,
        "density": (fired / n_tokens).astype(np.float32),
        "mean_active": np.where(fired > 0, rng.exponential(1, n), 0).astype(np.float32),
        "max": np.where(fired > 0, 2 + rng.exponential(3, n), 0).astype(np.float32),
        "min": np.where(fired > 0, -0.2 if signed else 0.0, 0).astype(np.float32),
        "histogram": histogram,
        "promoted": tokens,
        "promoted_logit": score,
        "suppressed": ((tokens + 2000) % d_vocab).astype(np.int32),
        "suppressed_logit": -score,
        "inputs": ((tokens + 1000) % d_vocab).astype(np.int32),
        "inputs_score": score,
        "near": other,
        "near_cosine": cosine,
        "coactive": np.where(alive, other, -1).astype(np.int32),
        "coactive_cosine": cosine,
        "coactive_joint": np.full(other.shape, 5, np.int32),
        "sampled": np.maximum(fired, 1),
        "measured": np.where(alive, (tokens * 3) % d_vocab, -1).astype(np.int32),
        "measured_mean": score,
        "measured_count": np.full((n, k), 6, np.int32),
        "peaks": peaks,
    }


def _examples(n_units: int, holding: int, window: int, top: int, fired: np.ndarray) -> dict[str, np.ndarray]:
    """`top` strongest and 3 of each of five bins for the first few units that ever fire."""
    rng = np.random.default_rng(1)
    groups = np.r_[np.zeros(top), np.repeat(np.arange(5), 3) + 2].astype(np.uint8)
    each = np.where((np.arange(n_units) < holding) & (fired > 0), len(groups), 0)
    total = int(each.sum())
    where = rng.integers(0, ROWS * CONTEXT, total)
    start = np.clip(where % CONTEXT - window // 2, 0, CONTEXT - window)
    values = np.tile(np.r_[np.linspace(5, 3, top), np.linspace(0.2, 2.8, 15)], total // len(groups)).astype(np.float32)
    windows = np.maximum(rng.normal(-0.5, 0.6, (total, window)), 0).astype(np.float32)
    windows[np.arange(total), where % CONTEXT - start] = values
    return {
        "offsets": np.r_[0, np.cumsum(each)].astype(np.int64),
        "peak": where.astype(np.int64),
        "value": values,
        "window": windows,
        "group": np.tile(groups, total // len(groups)),
    }


def _text(words: list[str]) -> dict[str, np.ndarray]:
    blob, offsets = _packed(words)
    documents, document_offsets = _packed(["a <b>document", "another"])
    tokens = np.random.default_rng(2).integers(0, len(words), (ROWS, CONTEXT)).astype(np.int32)
    tokens[0, : min(16, len(words))] = np.arange(min(16, len(words)))  # hostile words come first, and are seen
    return {
        "tokens": tokens,
        "doc": (np.arange(ROWS) % 2).astype(np.int32),
        "special": np.zeros((ROWS, CONTEXT), bool),
        "vocabulary": blob,
        "vocabulary_offsets": offsets,
        "documents": documents,
        "documents_offsets": document_offsets,
    }
