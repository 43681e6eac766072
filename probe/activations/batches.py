"""Batches of a cache: the loop over an order, the place reached, and the activations at it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from probe.activations.shuffle import Position, checksum, shuffled
from probe.errors import BadInput
from probe.show.record import Record

if TYPE_CHECKING:
    from probe.activations.cache import Cache


@dataclass(frozen=True)
class Batch(Record):
    """One tensor [token, width] per site, all of the same tokens (`indices` into the cache); `position` is the place after it."""

    activations: tuple[Tensor, ...]
    indices: np.ndarray
    position: Position


class Batches:
    """An iterable over batches; each iteration starts at the same position. `len` is the number of batches it will give."""

    def __init__(
        self,
        cache: "Cache",
        sites: Sequence[str],
        size: int,
        start: Position,
        epochs: int | None = 1,
        dtype: torch.dtype = torch.float32,
        drop_last: bool = False,
    ):
        if size < 1:
            raise BadInput(f"A batch of {size} tokens was asked for; it needs at least one.")
        self.cache, self.sites, self.size, self.start = cache, list(sites), size, start
        self.epochs, self.dtype, self.drop_last = epochs, dtype, drop_last
        self.eligible = cache.eligible(start.split, start.special)  # type: ignore[arg-type]
        if len(self.eligible) < (size if drop_last else 1):
            raise BadInput(_too_few(len(self.eligible), size, start))

    def per_epoch(self, left: int) -> int:
        """Batches that `left` tokens give."""
        return left // self.size if self.drop_last else -(-left // self.size)

    def __len__(self) -> int:
        if self.epochs is None:
            raise TypeError("These batches have no end (epochs=None), so they have no length.")
        tokens, epochs = len(self.eligible), self.epochs - self.start.epoch
        if epochs < 1:
            return 0
        return self.per_epoch(tokens - self.start.taken) + (epochs - 1) * self.per_epoch(tokens)

    def __iter__(self) -> Iterator[Batch]:
        place = self.start
        epochs = count(place.epoch) if self.epochs is None else range(place.epoch, self.epochs)
        for epoch in epochs:
            order = shuffled(self.eligible, place.seed, epoch)
            place = self._enter(place, epoch, checksum(order))
            for _ in range(self.per_epoch(len(order) - place.taken)):
                chosen = order[place.taken : place.taken + self.size]
                place = replace(place, taken=place.taken + len(chosen))
                yield Batch(self.cache.gather(self.sites, chosen, self.dtype), chosen, place)

    def _enter(self, place: Position, epoch: int, order: int) -> Position:
        """The beginning of an epoch, or the place in it that was saved, if the order is still the same."""
        if place.epoch != epoch or not place.taken:
            return replace(place, epoch=epoch, taken=0, order=order)
        if place.order != order:
            raise BadInput(
                "The saved position belongs to another order of tokens: another cache, or another version of numpy. "
                "Begin a new epoch instead."
            )
        return place


def _too_few(found: int, size: int, start: Position) -> str:
    kind = "tokens" if start.special else "ordinary tokens"
    whole = " It is made of whole documents; harvest at least two." if start.split == "held_out" and not found else ""
    return f"The '{start.split}' split has {found} {kind}, too few for a batch of {size}.{whole}"
