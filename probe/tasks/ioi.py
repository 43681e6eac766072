"""Indirect object identification: who is given something when two people are named and one of them gives (Wang et al. 2023).

    When Mary and John went to the store, John gave a drink to     ->  Mary, not John

The corrupted prompt names a third person in the place of the one who is named twice (`abc`), or swaps who is (`swapped`).
"""

from random import Random

from probe.errors import BadInput, brief
from probe.tasks.example import Example, spans
from probe.tasks.words import Words, listed

TEMPLATES = {
    "store": "When {a} and {b} went to the {place}, {s} gave a {thing} to",
    "then": "Then, {a} and {b} had a long talk. Afterwards {s} gave a {thing} to",
    "friends": "Friends {a} and {b} found a {thing} at the {place}. {s} gave it to",
    "after": "After {a} and {b} left the {place}, {s} handed a {thing} to",
    "work": "{a} and {b} were working at the {place}. {s} decided to give a {thing} to",
}
CORRUPTIONS = ("abc", "swapped")


def ioi(
    draw: Random, words: Words, *, templates: tuple[str, ...] = tuple(TEMPLATES), corruption: str = "abc"
) -> Example:
    """One pair. Half of the prompts name the subject first, half second."""
    if corruption not in CORRUPTIONS:
        raise BadInput(f"There is no corruption {brief(corruption)}; choose {' or '.join(CORRUPTIONS)}.")
    a, b, c = draw.sample(words.of("names", 3), 3)
    subject, other = (a, b) if draw.random() < 0.5 else (b, a)
    name = draw.choice(templates)
    filled = {"a": a, "b": b, "place": draw.choice(listed("places")), "thing": draw.choice(listed("objects"))}
    clean = TEMPLATES[name].format(s=subject, **filled)
    corrupted = TEMPLATES[name].format(s=c if corruption == "abc" else other, **filled)
    return Example(
        clean=clean,
        corrupted=corrupted,
        right=[f" {other}"],
        wrong=[f" {subject}"],
        segments={**spans(clean, subject=subject), **_first(clean, io=other, s1=subject)},
        template=name,
    )


def _first(text: str, **words: str) -> dict[str, tuple[int, int]]:
    return {name: (at := text.find(word), at + len(word)) for name, word in words.items()}
