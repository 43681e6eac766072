"""How a search compares: a hit, which texts match a question, and what becomes of long ones."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_CLIP = 160


@dataclass(frozen=True)
class Hit:
    """One thing found: its words, a note in smaller type, where it lives, and its icon."""

    title: str
    note: str
    href: str
    icon: str


def matching(words: list[str], things: Iterable[Any], text: Callable[[Any], str]) -> list[Any]:
    """Those that hold every word; first those that begin with the question."""
    held = [(t, text(t).casefold()) for t in things]
    found = [(thing, words_of) for thing, words_of in held if all(w in words_of for w in words)]
    return [thing for thing, words_of in sorted(found, key=lambda f: not f[1].startswith(" ".join(words)))]


def clip(text: Any) -> str:
    words = str(text)
    return words if len(words) <= _CLIP else words[: _CLIP - 1] + "…"
