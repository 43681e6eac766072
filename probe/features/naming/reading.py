"""The text of a feature table as labels see it: every ordinary token with what stands before and after it, its word, its place.

Documents are dealt into two halves: one proposes labels, the other scores them, so that no score is of text that a label was made
from. Where a table holds few documents its rows are dealt, and count as independent. Special
tokens (BOS, padding) are no tokens here, but one may stand before another.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.features.table import FeatureTable

DOCUMENTS = 8
"""Fewer of them are not dealt whole."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Some rows of text. rows: [row, pos] token ids; special: which of them are no text; owner: of each row, the group (document)
    it belongs to; vocabulary: every token as it is shown. Everything else is of the ordinary tokens, in order."""

    rows: Int[np.ndarray, "row pos"]
    special: Bool[np.ndarray, "row pos"]
    owner: Int[np.ndarray, " row"]
    vocabulary: list[str]

    @cached_property
    def index(self) -> Int[np.ndarray, " token"]:
        """Where each stands, counted through the rows."""
        return np.flatnonzero(~self.special.reshape(-1))

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.index)

    @cached_property
    def ids(self) -> Int[np.ndarray, " token"]:
        """The tokens."""
        return self.rows.reshape(-1)[self.index]

    @cached_property
    def before(self) -> Int[np.ndarray, " token"]:
        """The token before each, -1 at the beginning of a row."""
        return self._beside(-1)

    @cached_property
    def after(self) -> Int[np.ndarray, " token"]:
        """The token after each, -1 at the end of a row."""
        return self._beside(1)

    def _beside(self, step: int) -> np.ndarray:
        none = np.full((len(self.rows), 1), -1, self.rows.dtype)
        moved = [none, self.rows[:, :-1]] if step < 0 else [self.rows[:, 1:], none]
        return np.concatenate(moved, 1).reshape(-1)[self.index]

    @cached_property
    def row(self) -> Int[np.ndarray, " token"]:
        """The row of each."""
        return self.index // self.rows.shape[1]

    @cached_property
    def place(self) -> Int[np.ndarray, " token"]:
        """How many ordinary tokens of its row stand before each."""
        first = np.searchsorted(self.row, np.arange(len(self.rows)))
        return np.arange(self.n) - first[self.row]

    @cached_property
    def group(self) -> Int[np.ndarray, " token"]:
        """What each belongs to: tokens of one document are no independent observations."""
        return self.owner[self.row]

    @cached_property
    def pieces(self) -> list[str]:
        """The text of each."""
        return [self.vocabulary[i] for i in self.ids.tolist()]

    @cached_property
    def begins(self) -> Bool[np.ndarray, " token"]:
        """Whether a word begins with each: after a space, at what is no letter or digit, or after that."""
        pieces = self.pieces
        joined = np.array(
            [bool(a) and bool(b) and a[-1].isalnum() and b[0].isalnum() for a, b in self._pairs(pieces)], bool
        )
        return ~joined | (self.place == 0)

    @staticmethod
    def _pairs(pieces: list[str]) -> list[tuple[str, str]]:
        return list(zip(["", *pieces[:-1]], pieces, strict=True))

    @cached_property
    def words(self) -> list[str]:
        """The word that each ends, without case and spaces; empty where its word goes on."""
        starts = np.flatnonzero(self.begins)
        ends = np.r_[starts[1:], self.n] - 1
        found = [""] * self.n
        for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
            found[last] = "".join(self.pieces[first : last + 1]).strip().casefold()
        return found

    def halves(self, seed: int) -> tuple[Bool[np.ndarray, " token"], Bool[np.ndarray, " token"]]:
        """Which tokens propose labels, and which score them: groups in random order, until half
        of the tokens are taken."""
        sizes = np.bincount(self.group)
        order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes))
        until = int(np.abs(np.cumsum(sizes[order]) - self.n / 2).argmin()) + 1
        proposing = np.isin(self.group, order[: min(until, len(order) - 1)])
        return proposing, ~proposing


def reading_of(table: "FeatureTable", most: int) -> Reading:
    """At most so many tokens of a table's text, rows evenly spaced. BadInput where it holds no text that can be halved."""
    text = table.text
    rows = len(text.tokens)
    special, doc = text.special, text.doc
    ordinary = int((~special).sum())
    taken = np.arange(rows)
    if ordinary > most:
        taken = np.unique(np.linspace(0, rows - 1, max(2, rows * most // ordinary)).astype(int))
    owner = np.unique(doc[taken], return_inverse=True)[1]
    if len(np.unique(owner)) < DOCUMENTS:
        owner = np.arange(len(taken))
    found = Reading(np.asarray(text.tokens[taken]), np.asarray(special[taken]), owner.astype(np.int64), text.vocabulary)
    if len(np.unique(found.group)) < 2:
        raise BadInput(
            f"{table.folder.name} holds too little text: labels are proposed on one half of it and scored on the other. Measure "
            "the units on a larger cache."
        )
    return found
