"""The most bytes of tensors that were alive at once while something ran, whatever the architecture: every operation's results are
counted when they are made and taken off when they are freed. Memory that was there before (weights, inputs) is not counted.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class _Count(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
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
        size = storage.nbytes() if new else 0
        self.now += size
        self.peak = max(self.peak, self.now)
        self._known[key] = weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key: int, size: int) -> None:
        self.now -= size
        self._known.pop(key, None)


def peak_bytes(run: Callable[[], object]) -> int:
    """What `run` takes at its peak, its result included."""
    with _Count() as count:
        result = run()
    del result
    return count.peak
