"""Strings of a hidden automaton: from where a letter led before, it leads again (in-context language learning, Akyürek et al.
2024).

A cycle of states, each with one letter; strings are walks along it. After enough of them the next letter is known. In the
corrupted prompt the automaton is another one over the same letters.
"""

from random import Random

from probe.tasks.example import Example
from probe.tasks.words import Words

LETTERS = "abcdefghjkmnopqrstuvwxyz"


def automata(draw: Random, words: Words, *, states: int = 4, strings: int = 4, length: int = 6) -> Example:
    """One pair. states: of the cycle. strings, length: what is shown of it before the question."""
    letters = draw.sample(LETTERS, states)
    other = [letters[0], *draw.sample(letters[1:], states - 1)]
    starts = [draw.randrange(states) for _ in range(strings)]
    last, steps = letters[draw.randrange(states)], 3
    clean, corrupted = (_text(cycle, [letters[s] for s in starts], length, last, steps) for cycle in (letters, other))
    nexts = [_walk(cycle, last, steps + 1)[-1] for cycle in (letters, other)]
    return Example(clean=clean, corrupted=corrupted, right=[f" {nexts[0]}"], wrong=[f" {nexts[1]}"])


def _text(cycle: list[str], starts: list[str], length: int, last: str, steps: int) -> str:
    shown = [" ".join(_walk(cycle, start, length)) for start in starts]
    return "\n".join([*shown, " ".join(_walk(cycle, last, steps))])


def _walk(cycle: list[str], start: str, length: int) -> list[str]:
    at = cycle.index(start)
    return [cycle[(at + i) % len(cycle)] for i in range(length)]
