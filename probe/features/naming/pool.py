"""The pool of candidate labels, each with the tokens it holds at: tokens, neighbours, pairs, classes, word lists, places.

A candidate is a text and a set of tokens. Tokens and pairs of tokens are candidates if they occur often enough in the half of the
text that proposes; what follows a token is not seen by the unit, but may be what it is about to say ("before ' of'").
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from probe.errors import BadInput
from probe.features.naming.config import LabelConfig, Sort
from probe.features.naming.reading import Reading
from probe.features.naming.token_classes import Where, classes, in_lists, positions, syntax
from probe.features.naming.word_lists import bundled_lists, read_lists

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_PAIR = 1 << 31
_LONGEST = 40  # characters of a token in a label


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates: their texts, of which sort each is, and at which tokens each holds."""

    texts: list[str]
    sorts: list[Sort]
    holds: "csr_matrix"

    def __len__(self) -> int:
        return len(self.texts)


def pool_of(reading: Reading, proposing: Bool[np.ndarray, " token"], config: LabelConfig) -> Pool:
    """The candidates that hold at some token of the proposing half. BadInput where there is none, or a list of one's own has no
    word in the text."""
    parts = [*_grams(reading, proposing, config), *_rules(reading, proposing, config)]
    if not parts:
        raise BadInput(
            f"The pool of candidates is empty: nothing of {', '.join(config.pool) or 'it'} occurs {config.occurrences} times in "
            "the text. Name more sorts of candidates, fewer occurrences, or measure the units on more text."
        )
    return _joined(parts, reading.n)


Part = tuple[Sort, list[str], np.ndarray, np.ndarray]
"""A sort, its texts, and pairs of a token and the number of a text that holds there."""


def quoted(text: str) -> str:
    """A token as a label writes it, in quotation marks and not too long."""
    return repr(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _joined(parts: list[Part], n: int) -> Pool:
    from scipy.sparse import csr_matrix

    firsts = np.cumsum([0, *(len(texts) for _, texts, _, _ in parts)])
    at = np.concatenate([tokens for _, _, tokens, _ in parts])
    which = np.concatenate([numbers + first for (_, _, _, numbers), first in zip(parts, firsts[:-1], strict=True)])
    holds = csr_matrix((np.ones(len(at), np.float32), (at, which)), shape=(n, int(firsts[-1])))
    return Pool([t for _, texts, _, _ in parts for t in texts], [s for s, texts, _, _ in parts for _ in texts], holds)


def _grams(reading: Reading, proposing: np.ndarray, config: LabelConfig) -> Iterator[Part]:
    """Tokens, neighbours and pairs."""

    def word(token: int) -> str:
        return quoted(reading.vocabulary[token])

    def pair(both: int) -> str:
        return quoted(reading.vocabulary[both // _PAIR] + reading.vocabulary[both % _PAIR])

    before, after, ids = (a.astype(np.int64) for a in (reading.before, reading.after, reading.ids))
    pairs = np.where(before >= 0, before * _PAIR + ids, -1)
    of = {"tokens": ("on", ids, word), "after": ("after", before, word), "before": ("before", after, word)}
    for sort, (said, values, called) in {**of, "bigrams": ("at the end of", pairs, pair)}.items():
        if sort in config.pool:
            kept, at, which = _frequent(values, proposing, config.occurrences)
            if len(kept):
                yield sort, [f"{said} {called(v)}" for v in kept.tolist()], at, which  # type: ignore[misc]


def _frequent(
    values: Int[np.ndarray, " token"], proposing: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values that occur often enough, and where each does: tokens, and the number of the value."""
    known, counts = np.unique(values[proposing & (values >= 0)], return_counts=True)
    kept = known[counts >= least]
    if not len(kept):
        return kept, kept, kept
    which = np.minimum(np.searchsorted(kept, values), len(kept) - 1)
    at = np.flatnonzero(kept[which] == values)
    return kept, at, which[at]


def _rules(reading: Reading, proposing: np.ndarray, config: LabelConfig) -> Iterator[Part]:
    """Classes, lists, positions and syntax; of classes and lists also what stands after and before them."""
    around: list[tuple[Sort, Iterable[tuple[str, Where]]]] = []
    if "classes" in config.pool:
        around.append(("classes", classes(reading)))
    if "lists" in config.pool:
        around.append(("lists", in_lists(reading, bundled_lists())))
    if own := read_lists(config.lists):
        around.append(("lists", _own(reading, own)))
    for sort, found in around:
        for name, where in found:
            yield from _one(sort, _beside(reading, name, where), proposing)
    plain: list[tuple[Sort, Iterable[tuple[str, Where]]]] = [
        ("positions", positions(reading)),
        ("syntax", syntax(reading)),
    ]
    for sort, found in plain:
        if sort in config.pool:
            yield from _one(sort, found, proposing)


def _own(reading: Reading, lists: dict[str, frozenset[str]]) -> Iterator[tuple[str, Where]]:
    for name, where in in_lists(reading, lists):
        if not where.any():
            raise BadInput(f"No word of the list '{name}' stands in the table's text; write words as they stand there.")
        yield name, where


def _beside(reading: Reading, name: str, where: Where) -> Iterator[tuple[str, Where]]:
    same = np.r_[False, reading.row[1:] == reading.row[:-1]]
    yield f"on {name}", where
    yield f"after {name}", np.r_[False, where[:-1]] & same
    yield f"before {name}", np.r_[where[1:] & same[1:], False]


def _one(sort: Sort, found: Iterable[tuple[str, Where]], proposing: np.ndarray) -> Iterator[Part]:
    for text, where in found:
        if where[proposing].any() and not where.all():
            at = np.flatnonzero(where)
            yield sort, [text], at, np.zeros(len(at), np.int64)
