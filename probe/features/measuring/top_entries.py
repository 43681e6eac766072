"""The best few entries of every unit, found in one pass over a stream, for all units at once.

An entry has a score above 0. It is better than another if its score is larger or, among equals, if its token comes first. The
stream goes forward through the tokens, so what is kept does not depend on where it was cut. Nothing loops over units:
entries that cannot enter are dropped by comparison with their unit's worst kept score; the few others are sorted once by
(unit, score) and merged into the table.
The windows of activations around the peaks stay where they were put: only an entry that enters is written.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

Window = Callable[[np.ndarray, np.ndarray], np.ndarray]
"Gives the activations around some tokens: (tokens, units) -> [entry, window]."


class Best:
    """For each unit its `n` best entries so far, best first: scores (0: none), tokens (-1: none) and values.

    row: tokens a row of text has, if at most one entry a row is wanted; rows must not be cut by the stream's batches.
    """

    def __init__(self, n_units: int, n: int, window: int, row: int | None = None):
        self.n, self.row = n, row
        self.scores = np.zeros((n_units, n), np.float32)
        self.tokens = np.full((n_units, n), -1, np.int64)
        self.values = np.zeros((n_units, n), np.float32)
        self.slots = np.tile(np.arange(n, dtype=np.int16), (n_units, 1))
        self.windows = np.zeros((n_units, n, window), np.float32)

    def offer(
        self,
        units: Int[np.ndarray, " e"],
        scores: Float[np.ndarray, " e"],
        tokens: Int[np.ndarray, " e"],
        values: Float[np.ndarray, " e"],
        window: Window,
    ) -> None:
        """Add entries, ordered by token; those with a score of 0 or below never enter."""
        hopeful = np.flatnonzero(scores > self.scores[:, -1].copy()[units])
        order = hopeful[np.argsort(_descending(units[hopeful], scores[hopeful]), kind="stable")]
        if self.row is not None and len(order):
            order = order[_first_of_each(units[order].astype(np.int64) << 32 | tokens[order] // self.row)]
        order = order[_rank(units[order]) < self.n]
        if len(order):
            self._merge(units[order], scores[order], tokens[order], values[order], window)

    def _merge(
        self, units: np.ndarray, scores: np.ndarray, tokens: np.ndarray, values: np.ndarray, window: Window
    ) -> None:
        """Merge entries ordered by (unit, best first), at most n a unit."""
        rows, at = np.unique(units, return_inverse=True)
        place = (at, _rank(units))
        new = np.zeros((len(rows), self.n), np.float32)
        new[place] = scores
        source = np.full((len(rows), self.n), -1)
        source[place] = np.arange(len(units))
        both = np.concatenate([self.scores[rows], new], 1)
        chosen = np.argsort(-both, axis=1, kind="stable")[:, : self.n]  # what was kept comes first, so ties go to it
        old = chosen < self.n
        entering = np.where(old, -1, np.take_along_axis(source, np.maximum(chosen - self.n, 0), 1))
        slots = self._slots(rows, chosen, old)
        taken = np.minimum(chosen, self.n - 1)
        self.scores[rows] = np.take_along_axis(both, chosen, 1)
        self.tokens[rows] = np.take_along_axis(self.tokens[rows], taken, 1)
        self.values[rows] = np.take_along_axis(self.values[rows], taken, 1)
        self.slots[rows] = slots
        where = np.nonzero(entering >= 0)
        entry, row = entering[where], rows[where[0]]
        self.tokens[row, where[1]] = tokens[entry]
        self.values[row, where[1]] = values[entry]
        self.windows[row, slots[where]] = window(tokens[entry], units[entry])

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
        """The windows in the order of the scores."""
        return np.take_along_axis(self.windows, self.slots[:, :, None].astype(np.int64), 1)

    def state(self) -> dict[str, np.ndarray]:
        """All that must be kept to go on later."""
        names = ("scores", "tokens", "values", "slots", "windows")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        for name, value in state.items():
            setattr(self, name, value)


def _descending(units: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """One number that sorts by unit, then by falling score: positive floats sort like their bits."""
    bits = np.ascontiguousarray(scores, np.float32).view(np.int32)
    return units.astype(np.int64) << 32 | (np.int64(2**31 - 1) - bits)


def _rank(groups: np.ndarray) -> np.ndarray:
    """How many of the same group came before, for sorted groups."""
    if not len(groups):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))


def _first_of_each(groups: np.ndarray) -> np.ndarray:
    """Positions of the first entry of each group, in the order they stand in."""
    return np.sort(np.unique(groups, return_index=True)[1])
