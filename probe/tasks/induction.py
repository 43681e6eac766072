"""Induction: what came after a word the last time comes again (Elhage et al. 2021; Olsson et al. 2022).

river stone bread table ... river     ->  stone         corrupted: the first `river stone` is `river bread`
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words


def induction(draw: Random, words: Words, *, length: int = 8) -> Example:
    """One pair. length: words before the one that repeats."""
    chosen = draw.sample(words.of("nouns", length + 2), length + 1)
    *seen, other = chosen
    at = draw.randrange(length - 1)
    told = [*seen[: at + 1], other, *seen[at + 2 :]]
    text = " ".join(seen)
    return Example(
        clean=f"{text} {seen[at]}",
        corrupted=f"{' '.join(told)} {seen[at]}",
        right=[f" {seen[at + 1]}"],
        wrong=[f" {other}"],
        segments=spans(text, first=seen[at], after=seen[at + 1]),
    )
