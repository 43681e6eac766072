"""A feature table on disk: columns of equal length per unit, and examples in one list with each unit's range in it.

`units.safetensors` has one row per unit in every column; `examples.safetensors` holds the examples of unit 0, then those of
unit 1, ..., and `offsets`, so that unit i owns rows offsets[i] to offsets[i + 1]. Both are memory-mapped: opening reads nothing,
a unit reads its own rows. `text.safetensors` holds the tokens of the cache and how each token of the vocabulary is
shown, so that a table can be read without model, tokenizer or cache.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int

from probe.artifacts.manifest import Manifest, writing
from probe.artifacts.tensors import write_tensors
from probe.features.effects import EMBEDDING, decoder_neighbours, input_ranks, logit_ranks
from probe.features.measuring.coactivation import coactive, token_means
from probe.features.measuring.config import FeatureConfig
from probe.features.measuring.sources import Units
from probe.features.measuring.tally import Tally
from probe.features.overview import UNITS
from probe.features.text import Columns, text_columns
from probe.model.load import stamp
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.activations.cache import Cache

EXAMPLES, TEXT = "examples.safetensors", "text.safetensors"
TOP, LOWEST_GROUP, FIRST_BIN = 0, 1, 2
"Groups of examples: strongest, lowest (below 0), then one for each bin of the activation range, weakest first."


def write_table(
    folder: Path,
    model: "TransformerBridge",
    units: Units,
    cache: "Cache",
    tally: Tally,
    made: dict[str, Any],
    progress: Progress = SILENT,
) -> None:
    """Complete what was counted by what the weights say, and write the artifact."""
    examples = example_columns(tally)
    columns = {
        **count_columns(tally),
        **weight_columns(model, units, tally.config, progress),
        **sample_columns(tally, cache, progress),
        "peaks": top_peaks(tally, cache),
    }
    checksums: dict[str, str] = {}
    with writing(folder, _manifest(folder, model, units, cache, tally, made), hashed=checksums) as scratch:
        checksums[UNITS] = _write(scratch / UNITS, columns)
        checksums[EXAMPLES] = _write(scratch / EXAMPLES, examples)
        checksums[TEXT] = _write(scratch / TEXT, text_columns(model, cache))


def _write(path: Path, columns: Columns) -> str:
    """Columns, the widest numbers first: so each begins where a number of its width may begin. Returns the checksum."""
    ordered = sorted(columns, key=lambda name: (-columns[name].dtype.itemsize, name))
    return write_tensors(path, {name: torch.from_numpy(np.ascontiguousarray(columns[name])) for name in ordered})


def count_columns(tally: Tally) -> Columns:
    """How often and how strongly each unit fires over the ordinary tokens. A unit that never did holds zeros."""
    on = np.maximum(tally.fired, 1)
    ever = np.isfinite(tally.max)
    return {
        "fired": tally.fired,
        "density": (tally.fired / max(tally.n_tokens, 1)).astype(np.float32),
        "mean_active": (tally.total / on).astype(np.float32),
        "max": np.where(ever, tally.max, 0).astype(np.float32),
        "min": np.where(ever, tally.min, 0).astype(np.float32),
        "histogram": tally.histogram,
    }


def weight_columns(model: "TransformerBridge", units: Units, config: FeatureConfig, progress: Progress) -> Columns:
    """What follows from the weights; columns that have no meaning for these units are left out."""
    found: Columns = {}
    if units.writers is not None:
        up, down = logit_ranks(model, units.writers, config.tokens, progress)
        found |= {"promoted": up.which, "promoted_logit": up.score}
        found |= {"suppressed": down.which, "suppressed_logit": down.score}
    inputs = input_ranks(model, units.reads, config.tokens, progress)
    if inputs is not None:
        found |= {"inputs": inputs.which, "inputs_score": inputs.score}
    near = decoder_neighbours(units.decoder, config.neighbours, progress)
    return found | {"near": near.which, "near_cosine": near.score}


def sample_columns(tally: Tally, cache: "Cache", progress: Progress) -> Columns:
    """What was measured on the sample of all firings: co-activation, and mean activation by token."""
    config, n = tally.config, tally.n_units
    together, joint, fired = coactive(tally.sample, n, config.neighbours, config.min_joint, progress)
    ids = cache.tokens().tokens.reshape(-1).numpy()
    means, counts = token_means(tally.sample, ids, n, config.tokens, config.min_count, progress)
    return {
        "coactive": together.which,
        "coactive_cosine": together.score,
        "coactive_joint": joint,
        "sampled": fired,
        "measured": means.which,
        "measured_mean": means.score,
        "measured_count": counts,
    }


def top_peaks(tally: Tally, cache: "Cache") -> Int[np.ndarray, "unit top"]:
    """The token at the peak of each of the strongest examples, -1 where there are fewer; for searching."""
    ids, peaks = cache.tokens().tokens.reshape(-1).numpy(), tally.best["top"].tokens
    return np.where(peaks < 0, -1, ids[np.maximum(peaks, 0)]).astype(np.int32)


def example_columns(tally: Tally) -> Columns:
    """The examples of all units, one list: by unit, then group, then rank."""
    parts = []
    for name, best in tally.best.items():
        ranked = best.ranked_windows()
        unit, rank = np.nonzero(_chosen(name, tally))
        group = np.full(len(unit), TOP if name == "top" else LOWEST_GROUP)
        order = rank
        if name == "pool":
            group, order = _bins(tally)[unit, rank] + FIRST_BIN, -_value_ranks(tally)[unit, rank]
        parts.append((unit, group, order, best.tokens[unit, rank], best.values[unit, rank], ranked[unit, rank]))
    unit, group, order, peak, value, window = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((order, group, unit))
    return {
        "offsets": np.r_[0, np.cumsum(np.bincount(unit, minlength=tally.n_units))].astype(np.int64),
        "peak": peak[order],
        "value": value[order],
        "window": window[order],
        "group": group[order].astype(np.uint8),
    }


def _chosen(name: str, tally: Tally) -> np.ndarray:
    """Which of the kept entries become examples: all of the best; of the pool, the first `per_bin` draws of each bin."""
    there = tally.best[name].tokens >= 0
    if name != "pool":
        return there
    bins = np.where(there, _bins(tally), -1)
    nth = np.zeros_like(bins)
    for b in range(tally.config.bins):  # over bins, not over units
        nth += np.where(bins == b, np.cumsum(bins == b, axis=1), 0)
    return there & (nth <= tally.config.per_bin)


def _bins(tally: Tally) -> Int[np.ndarray, "unit pool"]:
    """The bin of each drawn firing: `bins` ranges of activation that hold equally many of the unit's draws."""
    drawn = (tally.best["pool"].tokens >= 0).sum(1, keepdims=True)
    return _value_ranks(tally) * tally.config.bins // np.maximum(drawn, 1)


def _value_ranks(tally: Tally) -> Int[np.ndarray, "unit pool"]:
    """How many of a unit's draws are weaker than each."""
    pool = tally.best["pool"]
    order = np.argsort(np.where(pool.tokens >= 0, pool.values, np.inf), axis=1, kind="stable")
    return np.argsort(order, axis=1, kind="stable")


def _manifest(
    folder: Path, model: "TransformerBridge", units: Units, cache: "Cache", tally: Tally, made: dict[str, Any]
) -> Manifest:
    facts = {
        "units": units.kind,
        "n_units": units.n,
        "layers": [list(pair) for pair in units.layers],
        "source": units.name,
        "signed": units.signed,
        "tokens": tally.n_tokens,
        "window": tally.window,
        "sample": {"tokens": len(tally.sample.tokens), "share": tally.sample.share},
        "convention": {**CONVENTION, **units.convention},
    }
    parents = tuple(dict.fromkeys(([] if units.kind == "neuron" else [units.name]) + [cache.folder.name]))
    config = json.loads(json.dumps(made))
    return Manifest(
        "features",
        folder.name,
        stamp(model),
        units.sites,
        "float32",
        tally.config.seed,
        config=config,
        parents=parents,
        facts=facts,
    )


CONVENTION = {
    "tokens": "BOS, EOS and padding are in no number; in windows they are shown, with activation 0",
    "density": "share of the tokens at which the unit is active",
    "histogram": "four bins an octave from 2^-12 to 2^12, edges 1, 1.25, 1.5, 1.75 times a power of two; outer bins hold "
    "what lies beyond; activations that are exactly 0 are not counted",
    "top": "strongest activations, at most one a row of the cache; ties: the earlier token",
    "bins": "random firings, ranked by activation and cut into equally frequent bins; drawn by a fixed hash of seed, unit, token",
    "promoted": "demeaned logits of the written direction, through the final norm's weight, its divisor left out",
    "inputs": "what the unit reads times the token's effective embedding: " + EMBEDDING,
    "near": "cosine of decoder rows (what a unit writes)",
    "coactive": "cosine of the firing patterns on the sampled tokens, n_ij / sqrt(n_i n_j)",
    "measured": "mean activation over the sampled occurrences of a token, 0 where the unit is silent or negative",
}
