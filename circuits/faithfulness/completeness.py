"""Is a circuit complete, and is each part of it needed (Wang et al. 2023), for parts of any kind.

    incompleteness(K) = | F(C without K) - F(M without K) |        K a set of parts of the circuit C, M the whole model
    minimality(v)     = max over K of | F(C without K and v) - F(C without K) |        v a part of C, K without it

with F the metric, mean over pairs, divided by what all parts together are worth, so 1 is the whole behaviour. A complete circuit
stays like the model whatever is taken out of both; a minimal one has no part that never matters. With K nothing, the first is
|1 - f(C)| and the second what v alone is worth. Sets are drawn: half of C on average, any number alike. Greedy sets grow by
whichever of a few drawn parts makes the incompleteness largest, so they look for the worst case; they have no error bar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from circuits.faithfulness.parts.parts import Kept, Parts
from probe.progress import SILENT, Progress
from probe.show.record import Record

Sets = Bool[np.ndarray, "set part"]


@dataclass(frozen=True, kw_only=True)
class Incompleteness(Record):
    """how: `nothing`, `random`, `greedy`. removed: how many parts of the circuit were taken out. circuit, model: the metric
    without them as a share of what all parts are worth."""

    how: str
    removed: int
    circuit: float
    model: float

    @property
    def gap(self) -> float:
        """How far the circuit is from the model."""
        return abs(self.circuit - self.model)


class Shares:
    """The metric of circuits, as a share of what all parts are worth."""

    def __init__(self, parts: Parts, whole: float, nothing: float):
        self.parts, self.nothing, self.worth = parts, nothing, whole - nothing

    def of(self, kept: Bool[np.ndarray, "circuit part"], step: Any) -> Float[np.ndarray, " circuit"]:
        """Of each circuit."""
        return (self.parts.measured(kept, step).mean(-1) - self.nothing) / self.worth


def subsets(kept: Kept, n: int, draw: np.random.Generator) -> Sets:
    """n sets of parts of a circuit, of any size alike."""
    inside = np.flatnonzero(kept)
    found = np.zeros((n, len(kept)), bool)
    for one in found:
        size = int(draw.integers(1, len(inside) + 1)) if len(inside) else 0
        one[draw.choice(inside, size, replace=False)] = True
    return found


def incompleteness(
    shares: Shares, kept: Kept, n: int, greedy: int, draw: np.random.Generator, progress: Progress = SILENT
) -> list[Incompleteness]:
    """Without anything taken out, without n random sets, and without every set on the way of greedy ones, `greedy` parts long."""
    sets = np.concatenate([np.zeros((1, len(kept)), bool), subsets(kept, n, draw)])
    with progress.stage("completeness", total=2 * len(sets), unit="circuit") as step:
        both = shares.of(np.concatenate([kept & ~sets, ~sets]), step)
    circuit, model = both[: len(sets)], both[len(sets) :]
    hows = ["nothing", *["random"] * n]
    found = [
        Incompleteness(how=how, removed=int(one.sum()), circuit=float(c), model=float(m))
        for how, one, c, m in zip(hows, sets, circuit, model, strict=True)
    ]
    return [*found, *_greedy(shares, kept, greedy, draw, progress)]


CANDIDATES = 5
"""Parts that are tried for each step of a greedy set."""


def _greedy(
    shares: Shares, kept: Kept, length: int, draw: np.random.Generator, progress: Progress
) -> list[Incompleteness]:
    """The set that grows by whichever part drawn makes the gap largest."""
    inside = list(draw.permutation(np.flatnonzero(kept)))
    taken, found = np.zeros(len(kept), bool), []
    steps = min(length, len(inside))
    with progress.stage("greedy sets", total=2 * CANDIDATES * steps, unit="circuit") as step:
        for _ in range(steps):
            tried = draw.choice(inside, min(CANDIDATES, len(inside)), replace=False)
            sets = np.repeat(taken[None], len(tried), 0)
            sets[np.arange(len(tried)), tried] = True
            both = shares.of(np.concatenate([kept & ~sets, ~sets]), step)
            circuit, model = both[: len(tried)], both[len(tried) :]
            best = int(np.abs(circuit - model).argmax())
            taken = sets[best]
            inside.remove(tried[best])
            found.append(
                Incompleteness(
                    how="greedy", removed=int(taken.sum()), circuit=float(circuit[best]), model=float(model[best])
                )
            )
    return found


def minimality(
    shares: Shares, kept: Kept, chosen: Sequence[int], n: int, draw: np.random.Generator, progress: Progress = SILENT
) -> list[dict[str, Any]]:
    """Of each of these parts the most that it changes, over K nothing and n random sets, the same for all of them."""
    sets = np.concatenate([np.zeros((1, len(kept)), bool), subsets(kept, n, draw)])
    found = []
    with progress.stage("minimality", total=2 * len(sets) * len(chosen), unit="circuit") as step:
        for v in chosen:
            without = sets.copy()
            without[:, v] = False  # K has not the part itself
            with_it = kept & ~without
            alone = with_it.copy()
            alone[:, v] = False
            both = shares.of(np.concatenate([alone, with_it]), step)
            change = np.abs(both[: len(sets)] - both[len(sets) :])
            at = int(change.argmax())
            found.append(
                {
                    "part": shares.parts.names[v],
                    "minimality": float(change[at]),
                    "alone": float(change[0]),
                    "K at most": int(without[at].sum()),
                }
            )
    return sorted(found, key=lambda row: -row["minimality"])
