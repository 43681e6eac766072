"""Sets of heads: the best few by a number, and as many others of the same layers drawn at random as their control.

A set is small, a fiftieth of a model's heads: Wang et al. name 3 movers among 144, and 26 heads in all.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from circuits.edge_attribution.layout import SIDES, Layout
from circuits.studies.study import Scale

Head = tuple[int, int]
"""Layer and number."""
ByHead = Float[np.ndarray, "layer head"]
EachHead = Float[np.ndarray, "pair layer head"]
SHARE = 0.02
"""Of a model's heads, how many play one role."""
SWAPPED = 19
"""Control sets where each takes a run of the model, so that p can fall to 0.05."""


def sets_run(scale: Scale) -> int:
    """How many control sets there are where each takes a run of the model."""
    return min(scale.sets, SWAPPED)


def few(layout: Layout) -> int:
    """How many heads play one role."""
    return max(1, round(SHARE * sum(layout.heads)))


def best(values: ByHead, k: int) -> list[Head]:
    """The k heads of largest value, the largest first; those that are not known (NaN) never."""
    known = np.where(np.isfinite(values), values, -np.inf)
    order = np.argsort(-known, axis=None, kind="stable")[: min(k, int(np.isfinite(values).sum()))]
    return [(int(i) // values.shape[1], int(i) % values.shape[1]) for i in order]


def others(chosen: Sequence[Head], layout: Layout, draw: np.random.Generator) -> list[Head]:
    """As many random heads of the same layers, none of them among those given; where a layer has no other left, of any layer."""
    found: list[Head] = []
    every = [(layer, i) for layer, n in enumerate(layout.heads) for i in range(n)]
    for layer, _ in chosen:
        free = [one for one in every if one not in chosen and one not in found]
        near = [one for one in free if one[0] == layer] or free
        if near:
            found.append(near[draw.integers(len(near))])
    return found


def drawn(chosen: Sequence[Head], layout: Layout, sets: int, seed: int) -> list[list[Head]]:
    """Control sets of these heads."""
    draw = np.random.default_rng(seed)
    return [others(chosen, layout, draw) for _ in range(sets)]


def over(values: EachHead, heads: Sequence[Head]) -> Float[np.ndarray, " pair"]:
    """Mean over these heads, of each pair."""
    return np.mean([values[:, layer, i] for layer, i in heads], axis=0)


def summed(values: EachHead, heads: Sequence[Head]) -> Float[np.ndarray, " pair"]:
    """Sum over these heads, of each pair."""
    return np.sum([values[:, layer, i] for layer, i in heads], axis=0)


def named(heads: Sequence[Head]) -> str:
    """`L9H6 L9H9`."""
    return " ".join(f"L{layer}H{i}" for layer, i in heads)


def writing(layout: Layout, heads: Sequence[Head]) -> Int[np.ndarray, " head"]:
    """Heads among a model's senders."""
    return np.array([layout.heads_of(layer).start + i for layer, i in heads], int)


def reading(layout: Layout, heads: Sequence[Head], sides: str) -> Int[np.ndarray, " receiver"]:
    """The receivers of these heads on some sides, like `kv`; shared keys and values once."""
    found = set()
    for layer, i in heads:
        for side in sides:
            assert side in SIDES
            group = layout.heads[layer] // layout.count(layer, side)
            found.add(layout.reading(layer, side).start + i // group)
    return np.array(sorted(found), int)
