"""The best few entries of every unit, found in one pass over a stream, for all units at once.

An entry is better if its key is larger and, among equals, if its token comes first. The stream goes forward through the
tokens, so what is kept does not depend on where it was cut. Nothing loops over units: entries that cannot enter are dropped
by comparison with their unit's worst kept key; the few others are sorted once by (unit, key) and merged into the table.
The windows of activations around the peaks stay where they were put: only an entry that enters is written.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Window = Callable[[np.ndarray, np.ndarray], np.ndarray]
"Gives the activations around some tokens: (tokens, units) -> [entry, window]."

EMPTY = np.iinfo(np.int32).min


def ordered(values: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """float32 as int32 with the same order."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


class Best:
    """For each unit its `n` best entries so far, best first: keys, tokens (-1: none) and values.

    row: tokens a row of text has, if at most one entry a row is wanted; rows must not be cut by the stream's batches.
    """

    def __init__(self, n_units: int, n: int, window: int, row: int | None = None):
        self.n, self.row = n, row
        self.keys = np.full((n_units, n), EMPTY, np.int32)
        self.tokens = np.full((n_units, n), -1, np.int64)
        self.values = np.zeros((n_units, n), np.float32)
        self.slots = np.tile(np.arange(n, dtype=np.int16), (n_units, 1))
        self.windows = np.zeros((n_units, n, window), np.float32)

    def offer(
        self,
        units: Int[np.ndarray, " e"],
        keys: Int[np.ndarray, " e"],
        tokens: Int[np.ndarray, " e"],
        values: Float[np.ndarray, " e"],
        window: Window,
    ) -> None:
        """Add entries, ordered by token."""
        hopeful = np.flatnonzero(keys > self.keys[:, -1][units])
        order = hopeful[np.argsort(_descending(units[hopeful], keys[hopeful]), kind="stable")]
        if self.row is not None and len(order):
            order = order[_first_of_each(units[order].astype(np.int64) << 32 | tokens[order] // self.row)]
        order = order[_rank(units[order]) < self.n]
        if len(order):
            self._merge(units[order], keys[order], tokens[order], values[order], window)

    def _merge(
        self, units: np.ndarray, keys: np.ndarray, tokens: np.ndarray, values: np.ndarray, window: Window
    ) -> None:
        """Merge entries ordered by (unit, best first), at most n a unit."""
        rows, at = np.unique(units, return_inverse=True)
        place = (at, _rank(units))
        new_keys = np.full((len(rows), self.n), EMPTY, np.int32)
        new_keys[place] = keys
        source = np.full((len(rows), self.n), -1)
        source[place] = np.arange(len(units))
        both = np.concatenate([self.keys[rows], new_keys], 1)
        # Descending without negation: int32 has no -EMPTY. Stable, and what is kept came first, so ties go to it.
        chosen = np.argsort(~both, axis=1, kind="stable")[:, : self.n]
        old = chosen < self.n
        entering = np.where(old, -1, np.take_along_axis(source, np.maximum(chosen - self.n, 0), 1))
        slots = self._slots(rows, chosen, old)
        taken = np.minimum(chosen, self.n - 1)
        self.keys[rows] = np.take_along_axis(both, chosen, 1)
        self.tokens[rows] = np.take_along_axis(self.tokens[rows], taken, 1)
        self.values[rows] = np.take_along_axis(self.values[rows], taken, 1)
        self.slots[rows] = slots
        where = np.nonzero(entering >= 0)
        entry = entering[where]
        self.tokens[rows[where[0]], where[1]] = tokens[entry]
        self.values[rows[where[0]], where[1]] = values[entry]
        self.windows[rows[where[0]], slots[where]] = window(tokens[entry], units[entry])

    def _slots(self, rows: np.ndarray, chosen: np.ndarray, old: np.ndarray) -> np.ndarray:
        """Where the windows of the chosen lie: the old ones' where they were, the new ones' where losers were."""
        before = np.take_along_axis(self.slots[rows], np.minimum(chosen, self.n - 1), 1)
        used = np.zeros((len(rows), self.n), bool)
        r, c = np.nonzero(old)
        used[r, before[r, c]] = True
        free = np.argsort(used, axis=1, kind="stable")
        nth = np.cumsum(~old, axis=1) - 1
        return np.where(old, before, np.take_along_axis(free, np.maximum(nth, 0), 1)).astype(np.int16)

    def ranked_windows(self) -> Float[np.ndarray, "unit n window"]:
        """The windows in the order of the keys."""
        return np.take_along_axis(self.windows, self.slots[:, :, None].astype(np.int64), 1)

    def state(self) -> dict[str, np.ndarray]:
        """All that must be kept to go on later."""
        names = ("keys", "tokens", "values", "slots", "windows")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for name, value in state.items():
            setattr(self, name, value)


def _descending(units: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """One number that sorts by unit, then by falling key."""
    return units.astype(np.int64) << 32 | (np.int64(2**31 - 1) - keys)


def _rank(groups: np.ndarray) -> np.ndarray:
    """How many of the same group came before, for sorted groups."""
    if not len(groups):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))


def _first_of_each(groups: np.ndarray) -> np.ndarray:
    """Positions of the first entry of each group, in the order they stand in."""
    return np.sort(np.unique(groups, return_index=True)[1])
