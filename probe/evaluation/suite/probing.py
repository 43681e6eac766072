"""k-sparse probing (Gurnee et al. 2023): how well do the k best single units tell two classes apart?

On the training addresses units are ranked by |difference of the two classes' means| over their standard deviation; a logistic
regression on the first k, standardised, is judged on addresses it has not seen. Classes are balanced in training and in testing,
so chance is 0.5. Splits and draws are repeated over seeds: `error` is the standard deviation between seeds over the root of their
number, which takes seeds as independent although they share the text. A dictionary that cuts nature at its joints needs small k.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

KS = (1, 2, 5, 16)
LEAST = 40  # examples of each class; with fewer a task is passed over


@dataclass(frozen=True)
class Split:
    """Examples to learn from and to be judged on, both classes equally many."""

    train: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]


def split_by_group(
    labels: Bool[np.ndarray, " example"],
    groups: Int[np.ndarray, " example"],
    seed: int,
    per_class: int = 400,
    share: float = 0.3,
) -> Split | None:
    """Whole groups on either side, about `share` of them for testing; None if a class is too small on a side."""
    rng = np.random.default_rng(seed)
    distinct = rng.permutation(np.unique(groups))
    held = np.isin(groups, distinct[: max(1, round(share * len(distinct)))])
    sides = [_balanced(labels, np.flatnonzero(side), per_class, rng) for side in (~held, held)]
    return None if min(len(side) for side in sides) < LEAST / 2 else Split(*sides)


def _balanced(labels: np.ndarray, index: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    classes = [rng.permutation(index[labels[index] == label]) for label in (True, False)]
    n = min(per_class, *(len(c) for c in classes))
    return np.concatenate([c[:n] for c in classes])


def ranked(features: Any, labels: Bool[np.ndarray, " example"], most: int) -> Int[np.ndarray, " unit"]:
    """The units that differ most between the classes: |difference of means| / standard deviation, largest first."""
    pos, neg = (_moments(features[labels == label])[0] for label in (True, False))
    mean, square = _moments(features)
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    score = np.where(spread > 0, np.abs(pos - neg) / np.where(spread > 0, spread, 1), 0)
    return np.argsort(-score, kind="stable")[:most]


def _moments(features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of each column, of a dense or a sparse matrix."""
    squares = features.multiply(features) if sp.issparse(features) else features**2
    return tuple(np.asarray(m.mean(0)).ravel() for m in (features, squares))  # type: ignore[return-value]


def columns(features: Any, units: Int[np.ndarray, " unit"]) -> Float[np.ndarray, "example unit"]:
    """Some columns, dense."""
    chosen = features[:, units]
    return chosen.toarray() if sp.issparse(chosen) else np.asarray(chosen)


def fitted(x: Float[np.ndarray, "example unit"], labels: Any, **options: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """A logistic regression on standardised columns, their means and their scales (1 where a column is constant)."""
    mean, scale = x.mean(0), x.std(0)
    scale = np.where(scale > 0, scale, 1)
    if x.shape[1] <= 64 and len(np.unique(labels)) == 2:
        options = {"solver": "newton-cholesky", **options}  # a few steps, where the usual solver takes hundreds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # classes that a line separates have no optimum
        return LogisticRegression(max_iter=300, **options).fit((x - mean) / scale, labels), mean, scale


def accuracy(features: Any, labels: Bool[np.ndarray, " example"], split: Split, units: np.ndarray) -> float:
    """Share of right answers on the test side, from these units alone."""
    probe, mean, scale = fitted(columns(features[split.train], units), labels[split.train])
    x = (columns(features[split.test], units) - mean) / scale
    return float(np.mean((x @ probe.coef_[0] + probe.intercept_[0] > 0) == labels[split.test]))


def probe_task(
    features: Any,
    labels: Bool[np.ndarray, " example"],
    groups: Int[np.ndarray, " example"],
    ks: Sequence[int] = KS,
    seeds: Sequence[int] = (0, 1, 2),
) -> dict[int, tuple[float, float]]:
    """Accuracy at each k and its error, over seeds; empty if the classes are too small. k of 0 means all units."""
    found: dict[int, list[float]] = {k: [] for k in ks}
    for seed in seeds:
        split = split_by_group(labels, groups, seed)
        if split is None:
            continue
        order = ranked(features[split.train], labels[split.train], max(ks))
        for k in ks:
            units = order[:k] if k else np.arange(features.shape[1])
            found[k].append(accuracy(features, labels, split, units))
    return {k: mean_over_seeds(v) for k, v in found.items() if v}


def mean_over_seeds(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its error from the spread between seeds; the error of one seed is NaN."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return float(np.mean(values)), error
