"""Parts of a model, any of which can be removed: all that faithfulness asks of them.

parts.values(kept)     the metric of each circuit (a row of `kept`: which parts stay) on each pair
parts.tidy(kept)       the same circuit without what can do nothing in it (edges that dangle, see `connected`)
parts.random(size)     as many parts, drawn
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from probe.errors import BadInput
from probe.progress import Step

Kept = Bool[np.ndarray, " part"]
_TOGETHER = 8  # circuits between two steps


class Parts(ABC):
    """kind: what one is, in the plural. names: of every part. pairs: how many prompts or pairs there are. convention: what the
    numbers mean."""

    kind: str
    names: list[str]
    pairs: int
    convention: dict[str, Any]

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def values(self, kept: Bool[np.ndarray, "circuit part"]) -> Float[np.ndarray, "circuit pair"]:
        """The metric of each circuit on each pair, every other part removed."""

    def bytes_on(self, pairs: Any) -> int:
        """What circuits on these pairs hold beside the model, at most. BadInput where it is not there."""
        return 0

    def tidy(self, kept: Kept) -> Kept:
        """Without what can do nothing: of parts that need no other, all can."""
        return kept

    def weighted(self, kept: Kept) -> float:
        """The edges that a circuit has or implies, as a share of the model's: see `implied_edges`. BadInput where none are."""
        raise BadInput(f"Circuits of {self.kind} imply no edges between components. Take the axis `asked` or `kept`.")

    def random(self, size: int, draw: np.random.Generator, connected: bool = False) -> Kept:
        """As many parts, drawn from all. connected: such that each is on a way, where parts hang together."""
        kept = np.zeros(len(self), bool)
        kept[draw.choice(len(self), size, replace=False)] = True
        return kept

    def like(self, kept: Kept, n: int, seed: int) -> list[Kept]:
        """n random circuits of as many parts as one has, of edges each grown from the logits."""
        draw = np.random.default_rng(seed)
        return [self.random(int(kept.sum()), draw, connected=True) for _ in range(n)]

    def measured(self, kept: Bool[np.ndarray, "circuit part"], step: Step) -> Float[np.ndarray, "circuit pair"]:
        """`values`, each set of parts run once, with a step for each circuit."""
        keys = [np.packbits(one).tobytes() for one in kept]
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        order, known = sorted(first.values()), {}
        for at in range(0, len(order), _TOGETHER):
            some = order[at : at + _TOGETHER]
            known |= dict(zip((keys[i] for i in some), self.values(kept[some]), strict=True))
            step(len(some))
        step(len(kept) - len(order))
        return np.stack([known[key] for key in keys])

    @property
    def whole(self) -> Kept:
        """Every part."""
        return np.ones(len(self), bool)

    @property
    def nothing(self) -> Kept:
        """None of them."""
        return np.zeros(len(self), bool)
