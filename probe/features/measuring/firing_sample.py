"""All firings at a random sample of tokens: what co-activation and mean activations by token are measured on.

A token is kept if its fixed random number lies below a share of 1. When the firings kept exceed the budget, the share is
halved and what lies above it is let go. The share that remains is the largest power of 1/2 whose firings fit, whatever the order
of the work was, so memory is bounded and the sample is still a function of the data alone.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from probe.features.measuring.draws import mixed

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SALT = 3
_NAMES = ("tokens", "counts", "units", "values")


class Sample:
    """The firings kept so far, at most `budget` of them; `share`: of the tokens that are kept."""

    def __init__(self, budget: int, seed: int):
        self.budget, self.seed, self.halvings = budget, seed, 0
        none = np.zeros(0, np.int64)
        self._parts = [(none, none, none.astype(np.int32), none.astype(np.float32))]

    @property
    def share(self) -> float:
        """Share of the tokens that are kept."""
        return 0.5**self.halvings

    @property
    def tokens(self) -> Int[np.ndarray, " token"]:
        """The tokens kept, ascending."""
        return self._whole()[0]

    def add(
        self,
        tokens: Int[np.ndarray, " token"],
        at: Int[np.ndarray, " e"],
        units: Int[np.ndarray, " e"],
        values: Float[np.ndarray, " e"],
    ) -> None:
        """Add the firings of some tokens: `at` says of which token each entry is, ascending. Values below 0 do not fire."""
        kept = self._kept(tokens)
        on = np.flatnonzero(kept[at] & (values > 0))
        counts = np.bincount(at[on], minlength=len(tokens))[kept]
        self._parts.append((tokens[kept], counts, units[on].astype(np.int32), values[on]))
        while sum(len(part[2]) for part in self._parts) > self.budget:
            self._halve()

    def _kept(self, tokens: np.ndarray) -> np.ndarray:
        return mixed(tokens, self.seed, _SALT) >> np.uint64(1) < np.uint64(1 << 63 >> self.halvings)

    def _whole(self) -> tuple[np.ndarray, ...]:
        """Tokens, firings of each, and units and values of all firings."""
        if len(self._parts) > 1:
            self._parts = [tuple(np.concatenate(column) for column in zip(*self._parts, strict=True))]  # type: ignore
        return self._parts[0]

    def _halve(self) -> None:
        tokens, counts, units, values = self._whole()
        self.halvings += 1
        kept = self._kept(tokens)
        on = np.repeat(kept, counts)
        self._parts = [(tokens[kept], counts[kept], units[on], values[on])]

    def matrix(self, n_units: int) -> "csr_matrix":
        """Tokens by units, sparse: the activation where a unit fires."""
        from scipy.sparse import csr_matrix

        tokens, counts, units, values = self._whole()
        return csr_matrix((values, units, np.r_[0, np.cumsum(counts)]), shape=(len(tokens), n_units))

    def state(self) -> dict[str, np.ndarray]:
        """All that must be kept to go on later."""
        return dict(zip(_NAMES, self._whole(), strict=True)) | {"halvings": np.array([self.halvings])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` gave."""
        self._parts = [tuple(state[name] for name in _NAMES)]  # type: ignore[list-item]
        self.halvings = int(state["halvings"][0])
