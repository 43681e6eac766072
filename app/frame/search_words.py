"""How a search compares: a hit, which texts match a question, and what becomes of long ones."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from probe.words import clip as clipped

Thing = TypeVar("Thing")
_CLIP = 160
_PARTS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Hit:
    """One thing found: its words, a note in smaller type, where it lives, and its icon."""

    title: str
    note: str
    href: str
    icon: str


def matching(words: list[str], things: Iterable[Thing], text: Callable[[Thing], str]) -> list[Thing]:
    """Those that hold every word, best first: what begins with the question, then what holds more of its words whole."""
    held = [(thing, text(thing).casefold()) for thing in things]
    found = [(thing, t) for thing, t in held if all(w in t for w in words)]
    question = " ".join(words)

    def rank(pair: tuple[Thing, str]) -> tuple[bool, int]:
        whole = set(_PARTS.split(pair[1]))
        return not pair[1].startswith(question), -sum(w in whole for w in words)

    return [thing for thing, _ in sorted(found, key=rank)]


def clip(text: object) -> str:
    return clipped(str(text), _CLIP)
