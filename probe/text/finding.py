"""Tokens of a vocabulary found by text or id, with their variants: with and without a space before, either case."""

from collections.abc import Sequence

MOST = 12


def found_tokens(words: Sequence[str], text: str) -> list[tuple[int, str]]:
    """Ids and texts: the id itself, the exact text with and without a space before it, then tokens that begin with it. words:
    every token's text, by id."""
    if not text.strip():
        return []
    bare = text.strip().lower()
    number = int(bare) if bare.isdecimal() and len(bare) < 10 else -1
    hits = [(number, words[number])] if 0 <= number < len(words) else []
    exact = [(i, w) for i, w in enumerate(words) if w.strip().lower() == bare]
    exact.sort(key=lambda pair: (pair[1] != text, pair[1].strip() != text.strip(), len(pair[1])))
    begins = [(i, w) for i, w in enumerate(words) if w.strip().lower().startswith(bare) and w.strip().lower() != bare]
    begins.sort(key=lambda pair: len(pair[1]))
    return list(dict.fromkeys([*hits, *exact, *begins]))[:MOST]
