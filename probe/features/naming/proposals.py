"""What each rule proposes to call a unit, from the half of the text that proposes and from the table's tokens.

    pmi       of the pool, the candidate c with the largest log p(c | fires) - weight log p(c), pointwise mutual information whose
              second part is weighted (Hernandez et al. 2022, MILAN, who take 0.2); it must hold at 3 firings, more often than
              at other tokens
    tokens    a list of the tokens at which it fires, or of those after which it does, whichever separates better: each adds to
              its AUROC, the most useful first
    inputs    the tokens that its input direction reads most by weights alone, as in the table
    promoted  the tokens that its output direction promotes most: they should come next where it fires

A proposal is a text for each unit, and the tokens at which that text holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.features.naming.config import LabelConfig, Rule
from probe.features.naming.pool import Pool, quoted
from probe.features.naming.reading import Reading
from probe.features.naming.scores import counts_by

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from probe.features.table import FeatureTable

FEWEST = 3
"""Firings that a label from the pool must hold at."""
TWICE = 2
"""Firings that a token of a list must have."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """By one rule: of each unit its text, and the number of its label in `holds` (-1: none)."""

    rule: Rule
    texts: list[str]
    which: Int[np.ndarray, " unit"]
    holds: Bool[np.ndarray, "token label"]


@dataclass(frozen=True, eq=False)
class Material:
    """What rules propose from: the text and its proposing half, the pool (None where no rule asks it), the table."""

    reading: Reading
    proposing: Bool[np.ndarray, " token"]
    pool: Pool | None
    table: "FeatureTable"
    config: LabelConfig


def possible(table: "FeatureTable", rules: Sequence[Rule]) -> tuple[list[Rule], dict[str, str]]:
    """The rules that can propose labels of this table, and of the others why not."""
    missing = {
        "inputs": "what its units read has no fixed embedding for each token",
        "promoted": str(
            table.manifest.facts["convention"].get("writes", "its units do not write to the residual stream")
        ),
    }
    left_out = {rule: missing[rule] for rule in rules if rule in missing and rule not in table.columns}
    return [rule for rule in dict.fromkeys(rules) if rule not in left_out], left_out


def proposed(
    given: Material, rule: Rule, units: Int[np.ndarray, " unit"], fired: Bool[np.ndarray, "token unit"]
) -> Proposal:
    """What one rule calls some units, of which it sees the firing in the proposing half alone."""
    seen = fired[given.proposing]
    if rule == "pmi":
        return _from_pool(given, seen)
    if rule == "tokens":
        return _from_tokens(given, seen)
    return _from_weights(given, rule, units)


def _from_pool(given: Material, seen: Bool[np.ndarray, "token unit"]) -> Proposal:
    pool = given.pool
    assert pool is not None
    holds = pool.holds[given.proposing]
    score = weighted_pmi(holds, seen, given.config.weight)  # candidate unit
    best = score.argmax(0)
    best = np.where(np.isfinite(score[best, np.arange(seen.shape[1])]), best, -1)
    labels, which = np.unique(best, return_inverse=True)
    none = int(labels[0] == -1) if len(labels) else 0
    texts = [pool.texts[i] if i >= 0 else "" for i in best.tolist()]
    return Proposal("pmi", texts, which.astype(np.int64) - none, pool.holds[:, labels[none:]].toarray() > 0)


def weighted_pmi(
    holds: "csr_matrix", seen: Bool[np.ndarray, "token unit"], weight: float
) -> Float[np.ndarray, "candidate unit"]:
    """log p(c | fires) - weight log p(c); -inf where a candidate holds at too few firings, or not more often than elsewhere."""
    both = np.asarray(holds.T @ seen.astype(np.float32))
    often, fires, n = np.asarray(holds.sum(0)).ravel()[:, None], seen.sum(0), len(seen)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.log(both / fires) - weight * np.log(often / n)
    return np.where((both >= FEWEST) & (both * n > often * fires), score, -np.inf)


def _from_tokens(given: Material, seen: Bool[np.ndarray, "token unit"]) -> Proposal:
    reading, most = given.reading, given.config.listed
    tried = []
    for said, values in (("on", reading.ids), ("after", reading.before)):
        lists, gained = token_lists(values[given.proposing], seen, most)
        tried.append(([_listed(said, one, reading.vocabulary) for one in lists], _held(values, lists), gained))
    (on, on_held, on_gain), (after, after_held, after_gain) = tried
    later = after_gain > on_gain
    texts = [after[u] if later[u] else on[u] for u in range(len(on))]
    which = np.where([bool(text) for text in texts], np.arange(len(texts)), -1)
    return Proposal("tokens", texts, which, np.where(later, after_held, on_held))


def token_lists(
    values: Int[np.ndarray, " token"], seen: Bool[np.ndarray, "token unit"], most: int
) -> tuple[list[list[int]], Float[np.ndarray, " unit"]]:
    """Of each unit the values that add most to the AUROC of 'one of these', and what they add together: a value's own share of
    the firings minus its share of the silent tokens."""
    known, both = counts_by(seen, values)  # value unit
    often = counts_by(np.ones((len(values), 1), bool), values)[1]
    fires = np.maximum(seen.sum(0), 1)
    gain = both / fires - (often - both) / np.maximum(len(seen) - fires, 1)
    gain = np.where((both >= TWICE) & (gain > 0) & (known[:, None] >= 0), gain, 0)
    order = np.argsort(-gain, axis=0, kind="stable")[:most]
    lists = [[int(known[i]) for i in order[:, u] if gain[i, u] > 0] for u in range(seen.shape[1])]
    return lists, np.take_along_axis(gain, order, 0).sum(0)


def _from_weights(given: Material, rule: Rule, units: Int[np.ndarray, " unit"]) -> Proposal:
    reading, column = given.reading, np.asarray(given.table.column(rule)[units])
    said, values = ("on", reading.ids) if rule == "inputs" else ("before", reading.after)
    lists = [[int(t) for t in dict.fromkeys(row[: given.config.listed]) if t >= 0] for row in column.tolist()]
    ending = " (it reads them by weights)" if rule == "inputs" else " (it promotes them)"
    texts = [f"{_listed(said, one, reading.vocabulary)}{ending}" if one else "" for one in lists]
    which = np.where([bool(text) for text in texts], np.arange(len(texts)), -1)
    return Proposal(rule, texts, which, _held(values, lists))


def _listed(said: str, tokens: list[int], vocabulary: list[str]) -> str:
    return f"{said} {', '.join(quoted(vocabulary[t]) for t in tokens)}" if tokens else ""


def _held(values: Int[np.ndarray, " token"], lists: list[list[int]]) -> Bool[np.ndarray, "token unit"]:
    """At which tokens the value is in each list."""
    known, at = np.unique(values, return_inverse=True)
    inside = np.array([np.isin(known, tokens) for tokens in lists], bool).reshape(len(lists), len(known))
    return inside.T[at]
