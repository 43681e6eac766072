"""The order in which a cache is read: a seeded permutation of all its tokens, and a place in it that can be saved.

The permutation is over the whole cache, not over a window of it: four bytes a token are all it costs to hold, and the
activations themselves stay on disk.
"""

import zlib
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt64

from probe.errors import BadInput
from probe.show.record import Record

Split = Literal["train", "held_out", "all"]
GOLDEN = 0x9E3779B97F4A7C15
"The odd number next to 2**64 over the golden ratio: its multiples spread evenly (SplitMix64)."


@dataclass(frozen=True)
class Position(Record):
    """A place in the reading of a cache: `taken` tokens of epoch `epoch` were delivered. JSON-able by `to_dict`.

    `order` is a checksum of that epoch's permutation, so a position taken to another cache, or to a version of numpy that
    shuffles differently, is refused instead of silently delivering some tokens twice and others never.
    """

    seed: int
    split: str
    special: bool
    epoch: int = 0
    taken: int = 0
    order: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(saved: "dict[str, Any] | Position") -> "Position":
        if isinstance(saved, Position):
            return saved
        try:
            return Position(**{f.name: saved[f.name] for f in fields(Position)})
        except (KeyError, TypeError) as error:
            raise BadInput(f"This is no position in a cache: {saved!r}.") from error


def held_out_documents(documents: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which of the distinct `documents` are held out: the `share` of them with the greatest hash, at least one of two.

    The hash depends on the document's number and the seed alone, so harvests of the same documents agree on their split.
    """
    distinct = np.unique(documents)
    n = 0 if share <= 0 or len(distinct) < 2 else min(max(1, round(share * len(distinct))), len(distinct) - 1)
    return np.sort(distinct[np.argsort(_hash(distinct, seed), kind="stable")[len(distinct) - n :]])


def _hash(values: np.ndarray, seed: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        return splitmix(values.astype(np.uint64) + np.uint64((seed + 1) * GOLDEN % 2**64))


def splitmix(x: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " n"]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every output bit depends on every input bit. Numbers wrap around."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def shuffled(eligible: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The tokens of one epoch in the order they are delivered; another order for every seed and epoch."""
    order = eligible.copy()
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


def checksum(order: np.ndarray) -> int:
    """CRC-32 of a permutation."""
    return zlib.crc32(memoryview(order).cast("B"))
