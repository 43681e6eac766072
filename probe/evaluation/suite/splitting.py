"""Feature splitting (Chanin et al. 2024): over how many latents is one letter spread?

Latents are ranked by how much more they fire for the letter (as in `probing.ranked`, only those that fire more). With the first
1, 2, 3, ... of them a logistic regression is fitted and its threshold set to the best F1 on the training words. The number of
latents is where one more stops adding `GAIN` to that F1; these are the letter's main latents. Ours: F1 for choosing is that of
the training words, so that the test words stay untouched, and candidates come from means, not from an L1 probe over all latents.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from probe.evaluation.suite.probing import columns, fitted, ranked
from probe.evaluation.suite.spelling import f_one

GAIN = 0.03
MOST = 10


@dataclass(frozen=True)
class MainLatents:
    """A letter's latents and how well they find its test words."""

    latents: Int[np.ndarray, " main"]
    f1: float


def main_latents(
    latents: Any, truth: Bool[np.ndarray, " word"], test: Bool[np.ndarray, " word"], most: int = MOST
) -> MainLatents:
    """The main latents of one letter (`truth`: its words). At least one, unless none fires for it."""
    train = latents[~test]
    order = ranked(train, truth[~test], 4 * most)
    more = np.asarray(train[truth[~test]].mean(0)).ravel() > np.asarray(train[~truth[~test]].mean(0)).ravel()
    order = order[more[order]][:most]
    best = _scores(latents, truth, test, order[:1])
    for k in range(2, len(order) + 1):
        found = _scores(latents, truth, test, order[:k])
        if found[0] - best[0] <= GAIN:
            return MainLatents(order[: k - 1], best[1])
        best = found
    return MainLatents(order, best[1])


def _scores(latents: Any, truth: np.ndarray, test: np.ndarray, units: np.ndarray) -> tuple[float, float]:
    """F1 on the training and on the test words."""
    if not len(units):
        return 0.0, 0.0
    x = columns(latents, units)
    probe, mean, scale = fitted(x[~test], truth[~test], class_weight="balanced")
    score = probe.decision_function((x - mean) / scale)
    cut = best_cut(score[~test], truth[~test])
    return f_one(score[~test] >= cut, truth[~test]), f_one(score[test] >= cut, truth[test])


def best_cut(score: np.ndarray, truth: Bool[np.ndarray, " item"]) -> float:
    """The threshold of highest F1."""
    order = np.argsort(-score, kind="stable")
    right = np.cumsum(truth[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + truth.sum())
    last = np.r_[score[order][1:] != score[order][:-1], True]  # equal scores are taken together
    return float(score[order][np.argmax(np.where(last, f1, -1))])
