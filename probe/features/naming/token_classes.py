"""What can be said of a token by rule: what it is (digits, the beginning of a word), and where it stands (in quotation marks,
in the first word of a sentence, repeated). Of each what it is called, and at which tokens it holds.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool

from probe.features.naming.reading import Reading

Where = Bool[np.ndarray, " token"]

_PATTERNS = {
    "digits": r"\s*\d+",
    "punctuation": r"\s*[^\w\s]+",
    "the end of a sentence": r"\s*[.!?]+[\"')\]]*",
    "a comma": r"\s*,",
    "a colon or semicolon": r"\s*[:;]",
    "a dash": r"\s*[-–—]+",
    "a quotation mark": r"\s*[\"“”«»]+",
    "an apostrophe and what follows": r"['’]\w*",
    "a bracket": r"\s*[()\[\]{}]+",
    "a line break": r"\s*\n\s*",
    "a symbol of money": r"\s*[$€£¥]+",
    "the beginning of a word": r"\s+\w.*",
    "the inside of a word": r"[^\W\d].*",
    "a capital letter first": r"\s*[A-ZÀ-Þ].*",
    "capitals alone": r"\s*[A-Z]{2,}",
    "a single letter": r"\s*[^\W\d_]",
    "letters beyond English": r".*[^\W\d_a-zA-Z].*",
}
_ENDINGS = ("ing", "ed", "ly", "tion", "ment", "ness", "ity", "ous", "ive", "al", "er", "est", "s", "'s", "n't")
_LONG = 8  # letters of a long word
_MIN_STEM = 2  # letters before an ending


def classes(reading: Reading) -> Iterator[tuple[str, Where]]:
    """What tokens and the words they end are."""
    distinct, at = np.unique(reading.ids, return_inverse=True)
    texts = [reading.vocabulary[i] for i in distinct.tolist()]
    for name, pattern in _PATTERNS.items():
        fits = re.compile(pattern, re.DOTALL).fullmatch
        yield name, np.array([bool(fits(text)) for text in texts], bool)[at]
    words, which = _distinct(reading.words)
    for ending in _ENDINGS:
        yield f"the end of a word in -{ending}", np.array([_has(word, ending) for word in words], bool)[which]
    long = np.array([len(word) >= _LONG and word.isalpha() for word in words], bool)
    yield f"the end of a word of {_LONG} letters or more", long[which]


def _has(word: str, ending: str) -> bool:
    return word.endswith(ending) and len(word) >= len(ending) + _MIN_STEM


def in_lists(reading: Reading, lists: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, Where]]:
    """The last tokens of words of each list."""
    words, which = _distinct(reading.words)
    for name, known in lists.items():
        yield name, np.array([word in known for word in words], bool)[which]


def _distinct(words: list[str]) -> tuple[list[str], np.ndarray]:
    order = {word: i for i, word in enumerate(dict.fromkeys(words))}
    return list(order), np.array([order[word] for word in words], np.int64)


def positions(reading: Reading) -> Iterator[tuple[str, Where]]:
    """Places in a row of text."""
    for n in range(4):
        yield f"at position {n} of a row", reading.place == n
    length = int(reading.place.max(initial=0)) + 1
    for n in (4, 8, 16, 32):
        if n < length:
            yield f"at the first {n} tokens of a row", reading.place < n
    yield "in the second half of a row", reading.place >= length / 2
    yield "in the last eighth of a row", reading.place >= length * 7 / 8


def syntax(reading: Reading) -> Iterator[tuple[str, Where]]:
    """Where a token stands among others, as far as it can be told from the left."""
    pieces, row = reading.pieces, reading.row
    ends = np.array([bool(re.fullmatch(r"\s*[.!?]+[\"')\]]*", piece)) for piece in pieces], bool)
    after_end = np.r_[False, ends[:-1]] & (np.r_[-1, row[:-1]] == row)
    yield "at the first token of a sentence", after_end
    yield "in the first word of a sentence", _spread(after_end, reading.begins)
    yield "inside quotation marks", _inside(pieces, row, '"“', '"”')
    yield "inside brackets", _inside(pieces, row, "([{", ")]}")
    seen, again, follows = _repeats(reading)
    yield "at a token that stood in the row before", seen
    yield "at a pair of tokens that stood in the row before", again
    yield "after a token that stood in the row before", follows
    digit = np.array([piece.strip().isdigit() for piece in pieces], bool)
    inner = digit & np.r_[False, digit[:-1]] & (np.r_[-1, row[:-1]] == row)
    yield "at a later digit of a number", inner


def _spread(starts: Where, begins: Where) -> Where:
    """From each start through the rest of its word."""
    word = np.cumsum(begins)
    return np.isin(word, word[starts])


def _inside(pieces: list[str], row: np.ndarray, opening: str, closing: str) -> Where:
    """Tokens behind one of the opening marks in their row that no closing one has followed; the marks themselves are outside."""
    found, open_, last = np.zeros(len(pieces), bool), False, -1
    for i, piece in enumerate(pieces):
        open_ = open_ and row[i] == last
        last = row[i]
        marks = [c for c in piece if c in opening or c in closing]
        found[i] = open_ and not marks
        for mark in marks:
            open_ = (not open_) if mark in opening and mark in closing else mark in opening
    return found


def _repeats(reading: Reading) -> tuple[Where, Where, Where]:
    """Tokens that their row held before; whose pair with the token before it held before; whose token before it held before."""
    seen, again, follows = (np.zeros(reading.n, bool) for _ in range(3))
    tokens: set[int] = set()
    pairs: set[tuple[int, int]] = set()
    last, row = -1, -1
    for i, (token, at) in enumerate(zip(reading.ids.tolist(), reading.row.tolist(), strict=True)):
        if at != row:
            tokens, pairs, last, row = set(), set(), -1, at
        seen[i], again[i] = token in tokens, (last, token) in pairs
        follows[i] = bool(i) and last >= 0 and bool(seen[i - 1])
        tokens.add(token)
        pairs.add((last, token))
        last = token
    return seen, again, follows
