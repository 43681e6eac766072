"""Do the files of a feature table belong together? Counts and indices that a unit's page follows without looking.

Checksums say that files are what was written; this, that what was written is a table: whoever sends one may have written both.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from probe.errors import Unavailable

_NEEDED = ("fired", "density", "mean_active", "max", "min", "sampled")
_RANKED = (("promoted", "promoted_logit"), ("suppressed", "suppressed_logit"), ("inputs", "inputs_score"))
_COUNTED = (*_RANKED, ("measured", "measured_mean"), ("measured", "measured_count"), ("peaks", "peaks"))
_NEAR = (("near", "near_cosine"), ("coactive", "coactive_cosine"), ("coactive", "coactive_joint"))


def require_table(
    columns: Mapping[str, np.ndarray],
    examples: Mapping[str, np.ndarray],
    text: Mapping[str, np.ndarray],
    facts: Mapping[str, Any],
    folder: object,
) -> None:
    """Unavailable, saying what does not fit, unless these arrays are the table that the facts describe."""
    for problem in (_columns(columns, text, facts), _examples(examples, text, facts), _text(text)):
        if problem:
            raise Unavailable(f"{folder} is damaged: {problem}. Delete the folder and build it again.")


def _columns(columns: Mapping[str, np.ndarray], text: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    n, tokens = facts["n_units"], len(text["vocabulary_offsets"]) - 1
    for name in _NEEDED:
        if name not in columns or columns[name].shape != (n,):
            return f"{name} is not one number for each of {n} units"
    if "histogram" not in columns or columns["histogram"].ndim != 2 or len(columns["histogram"]) != n:
        return "the histogram is not one row a unit"
    for which, score in (*_COUNTED, *_NEAR):
        if which not in columns and (which, score) in _RANKED:
            continue
        if which not in columns or score not in columns or columns[which].shape != columns[score].shape:
            return f"{which} and {score} are not of one shape"
        limit = n if (which, score) in _NEAR else tokens
        if columns[which].ndim != 2 or len(columns[which]) != n or not _within(columns[which], -1, limit - 1):
            return f"{which} holds what is none of {limit}"
    return ""


def _examples(examples: Mapping[str, np.ndarray], text: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    offsets, peak, n = examples["offsets"], examples["peak"], facts["n_units"]
    if offsets.shape != (n + 1,) or offsets[0] != 0 or (np.diff(offsets) < 0).any() or offsets[-1] != len(peak):
        return f"the examples are not those of {n} units"
    if any(len(examples[name]) != len(peak) for name in ("value", "window", "group")) or examples["window"].ndim != 2:
        return "the examples' values are not one a peak"
    if not _within(peak, 0, text["tokens"].size - 1):
        return "an example lies beyond the text"
    return "" if examples["window"].shape[1] <= text["tokens"].shape[1] else "a window is longer than a row of text"


def _text(text: Mapping[str, np.ndarray]) -> str:
    for name in ("vocabulary", "documents"):
        offsets = text[f"{name}_offsets"]
        if (
            offsets.ndim != 1
            or len(offsets) < 1
            or not _within(offsets, 0, len(text[name]))
            or (np.diff(offsets) < 0).any()
        ):
            return f"the {name} are not cut where they say"
    tokens, documents = len(text["vocabulary_offsets"]) - 1, len(text["documents_offsets"]) - 1
    if text["tokens"].ndim != 2 or not _within(text["tokens"], 0, tokens - 1):
        return "the text holds tokens that are not in the vocabulary"
    sound = text["doc"].shape == text["tokens"].shape[:1] and _within(text["doc"], 0, documents - 1)
    return "" if sound else "the text's documents are not there"


def _within(array: np.ndarray, low: int, high: int) -> bool:
    """Whole numbers, all of them from `low` to `high`."""
    return array.dtype.kind in "iu" and (array.size == 0 or (int(array.min()) >= low and int(array.max()) <= high))
