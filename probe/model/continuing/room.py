"""Keys and values with room for a whole text from the start: a token more is written into its place, and nothing is copied.

transformers joins what it keeps with what is new at every token, which copies all of it; for a batch of texts that takes longer
than the products of the model.
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer


class Room(DynamicLayer):
    """Keys and values of one layer, for at most `most` tokens."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Take the memory, when the first keys say how large they are."""
        super().lazy_initialization(key_states, value_states)
        self._room = tuple(x.new_empty(*x.shape[:2], self.most, x.shape[3]) for x in (key_states, value_states))
        self.keys, self.values = (x[:, :, :0] for x in self._room)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Write those of new tokens behind the others; all that there are."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        for whole, new in zip(self._room, (key_states, value_states), strict=True):
            whole[:, :, start:end] = new
        self.keys, self.values = (x[:, :, :end] for x in self._room)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows (ascending) of the batch, moved to the front."""
        if not self.is_initialized or self.keys is None:
            return
        end = self.keys.shape[2]
        for whole in self._room:
            whole[: len(indices), :, :end] = whole[indices, :, :end]
        self._room = tuple(x[: len(indices)] for x in self._room)
        self.keys, self.values = (x[:, :, :end] for x in self._room)


def cache_with_room(model: Any, most: int) -> Cache:
    """An empty cache for texts of at most `most` tokens: layers that attend to a window keep what they need of it."""
    cache = DynamicCache(config=model.config)
    cache.layers = [Room(most) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache
