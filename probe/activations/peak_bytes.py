"""What something takes while it runs, whatever the architecture: every operation's results are noted when they are made and when
they are freed. Memory that was there before (weights, inputs) is not counted.

A process holds more than its tensors. Pieces above 32 MB are given back when they are freed; smaller ones come from the
allocator's heap, which keeps what it has: an aligned piece does not fit into the hole that one of its size left, so a heap
through which a model's layers went is up to `SCATTERED` times as large as what was alive in it at most.
"""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

LARGEST_KEPT = 32 << 20
"The largest piece of memory that glibc's allocator keeps when it is freed."
SCATTERED = 2.2
"A heap over the most that was alive in it. Measured over many batches: 1.2 to 2.15, by luck. This is for the worst."


class Event(NamedTuple):
    """A piece of memory, numbered as made, was made (bytes above 0) or freed (below)."""

    piece: int
    bytes: int


class _Notes(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_iter((args, kwargs)):
            self._note(value, new=False)
        found = func(*args, **(kwargs or {}))
        for value in tree_iter(found):
            self._note(value, new=True)
        return found

    def _note(self, value: Any, new: bool) -> None:
        if not isinstance(value, Tensor) or value.layout is not torch.strided:
            return
        storage = value.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        event = Event(len(self.events), storage.nbytes() if new else 0)
        if event.bytes:
            self.events.append(event)
        self._known[key] = weakref.finalize(storage, self._freed, key, event)

    def _freed(self, key: int, event: Event) -> None:
        if event.bytes:
            self.events.append(Event(event.piece, -event.bytes))
        self._known.pop(key, None)


def events_of(run: Callable[[], object]) -> list[Event]:
    """What was made and freed while `run` ran, in order; its result is freed last."""
    with _Notes() as notes:
        result = run()
    del result
    return notes.events


def extrapolated(one: list[Event], more: list[Event], steps: int) -> list[Event]:
    """The events after so many steps like the one from `one` to `more`: each piece grows by the same number of bytes a step.
    Where the two did not do the same, all that the second did is taken to grow alike."""
    if [(e.piece, e.bytes > 0) for e in one] != [(e.piece, e.bytes > 0) for e in more]:
        peaks = peak_of(one), peak_of(more)
        share = (peaks[0] + steps * (peaks[1] - peaks[0])) / max(peaks[1], 1)
        return [Event(e.piece, int(share * e.bytes)) for e in more]
    return [Event(a.piece, a.bytes + steps * (b.bytes - a.bytes)) for a, b in zip(one, more, strict=True)]


def peak_of(events: list[Event]) -> int:
    """The most bytes of tensors that were alive at once."""
    now = peak = 0
    for event in events:
        now += event.bytes
        peak = max(peak, now)
    return peak


def process_bytes(events: list[Event], scattered: float = SCATTERED) -> int:
    """What a process takes at its peak for these tensors: the heap as large as it was ever needed, and the large pieces of the
    moment. scattered: a heap over the most that was alive in it; by default the worst."""
    heap = largest = large = peak = 0
    for event in events:
        if abs(event.bytes) > LARGEST_KEPT:
            large += event.bytes
        else:
            heap += event.bytes
            largest = max(largest, heap)
        peak = max(peak, int(scattered * largest) + large)
    return peak


def peak_bytes(run: Callable[[], object]) -> int:
    """The most bytes of tensors that were alive at once while `run` ran, its result included."""
    return peak_of(events_of(run))
