"""Numbers of two graphs, a row for each: what is in which, what is largest, how far they agree."""

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.artifacts.json import finite


def sizes(held: Bool[np.ndarray, "graph item"]) -> dict[str, int]:
    """How many are in both, and how many in one only."""
    both, (a, b) = held.all(0), held
    return {"only_a": int((a & ~both).sum()), "only_b": int((b & ~both).sum()), "both": int(both.sum())}


def states_of(held: Bool[np.ndarray, "graph item"]) -> list[str]:
    """`a`, `b` or `both` for each."""
    return np.where(held.all(0), "both", np.where(held[0], "a", "b")).tolist()


def largest_first(values: Float[np.ndarray, " item"], k: int | None) -> Int[np.ndarray, " _"]:
    """Where the k largest are, without sorting the others."""
    if k is None or k >= len(values):
        return np.argsort(-values, kind="stable")
    some = np.flatnonzero(values >= -np.partition(-values, k)[k])
    return some[np.argsort(-values[some], kind="stable")][:k]


def pair(name: str, two: Float[np.ndarray, " graph"]) -> dict[str, float | None]:
    """Both numbers and how they differ, as columns of a table."""
    a, b = (finite(v) for v in two)
    return {f"{name}_a": a, f"{name}_b": b, f"{name}_change": None if a is None or b is None else b - a}


def largest(two: Float[np.ndarray, "graph item"]) -> float | None:
    """Largest |b - a| where both have a number."""
    change = np.abs(two[1] - two[0])
    return float(np.nanmax(change)) if (~np.isnan(change)).any() else None


def correlation(two: Float[np.ndarray, "graph edge"]) -> float | None:
    """Of the numbers that both have; None for fewer than three, or for some that are all equal."""
    if two.shape[1] < 3 or not (two.std(1) > 0).all():
        return None
    return float(np.corrcoef(two)[0, 1])
