"""How well a label predicts where a unit fires: the area under the ROC curve, its interval, and what labels of other units reach.

A label is said or not said of a token, so it ranks tokens in two groups. Of a firing and a silent token, the chance that the
label holds at the firing one and not at the silent one, ties half, is

    AUROC = (1 + hit - false) / 2      hit: share of firing tokens at which it holds; false: of silent ones

0.5 is chance. The interval is that of a ratio estimator over documents, since tokens of one are not independent (linearised,
as in `probe.statistics.mean_and_error`); and never narrower than that of a share of so few firings, half a hit and half a miss
added. It holds 99%, since several labels of a unit are tested. Null: labels are shuffled, and each is scored on another unit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

SURE = 2.576
"""Standard errors on either side of 99%."""
SHUFFLES = 20


@dataclass(frozen=True, eq=False)
class Scores:
    """Of each unit's label: AUROC with its interval, shares of firing and of silent tokens at which it holds. NaN where a unit
    has no label or never fires."""

    auroc: Float[np.ndarray, " unit"]
    low: Float[np.ndarray, " unit"]
    high: Float[np.ndarray, " unit"]
    hit: Float[np.ndarray, " unit"]
    false: Float[np.ndarray, " unit"]


def scored(
    holds: Bool[np.ndarray, "token label"],
    which: Int[np.ndarray, " unit"],
    fired: Bool[np.ndarray, "token unit"],
    group: Int[np.ndarray, " token"],
) -> Scores:
    """Each unit's label (`which` of them, -1 for none) against its firing."""
    said = holds[:, which]
    tokens = counts_by(np.ones((len(group), 1), bool), group)[1]
    hits, fires, saying = (counts_by(one, group)[1] for one in (said & fired, fired, said))
    n_fired, wrong, silent = fires.sum(0), saying - hits, tokens - fires
    with np.errstate(divide="ignore", invalid="ignore"):
        hit, false = hits.sum(0) / n_fired, wrong.sum(0) / silent.sum(0)
        pull = ((hits - hit * fires) / n_fired - (wrong - false * silent) / silent.sum(0)) / 2  # of each group
    groups = len(tokens)
    spread = np.sqrt((pull**2).sum(0) * groups / max(groups - 1, 1))
    smoothed = (hits.sum(0) + 0.5) / (n_fired + 1)
    error = np.maximum(spread, np.sqrt(smoothed * (1 - smoothed) / (n_fired + 1)) / 2)
    auroc = np.where((which >= 0) & (n_fired > 0), (1 + hit - false) / 2, np.nan)
    return Scores(auroc, np.maximum(auroc - SURE * error, 0), np.minimum(auroc + SURE * error, 1), hit, false)


def counts_by(
    values: Bool[np.ndarray, "token n"], group: Int[np.ndarray, " token"]
) -> tuple[Int[np.ndarray, " group"], Float[np.ndarray, "group n"]]:
    """The groups there are, and how often each value holds in each."""
    from scipy.sparse import csr_matrix

    present, at = np.unique(group, return_inverse=True)
    deal = csr_matrix((np.ones(len(group), np.float32), (at, np.arange(len(group)))), shape=(len(present), len(group)))
    return present, (deal @ values.astype(np.float32)).astype(np.float64)


def shuffled_scores(
    holds: Bool[np.ndarray, "token label"],
    which: Int[np.ndarray, " unit"],
    fired: Bool[np.ndarray, "token unit"],
    rng: np.random.Generator,
    shuffles: int = SHUFFLES,
) -> Float[np.ndarray, "shuffle some"]:
    """AUROC of labels dealt among the units, none to its own; no column for units without one. Empty for fewer than two."""
    there = np.flatnonzero(which >= 0)
    if len(there) < 2:
        return np.zeros((shuffles, 0))
    labels, units = holds.astype(np.float32), fired[:, there].astype(np.float32)
    hits, saying, fires = labels.T @ units, labels.sum(0)[:, None], units.sum(0)  # label unit
    with np.errstate(divide="ignore", invalid="ignore"):
        every = (1 + hits / fires - (saying - hits) / (len(units) - fires)) / 2
    dealt = [which[there][_deranged(len(there), rng)] for _ in range(shuffles)]
    return np.stack([every[labels_of, np.arange(len(there))] for labels_of in dealt]).astype(np.float64)


def _deranged(n: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """An order in which nothing stays where it was."""
    order, turn = rng.permutation(n), int(rng.integers(1, n))
    found = np.empty(n, np.int64)
    found[order] = np.roll(order, turn)
    return found
