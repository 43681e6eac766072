"""Where the names of an IOI prompt stand, and prompts that differ in who is named where.

    clean          ... Mary and John ... John gave ... to     Mary is right; the subject stands second
    exchanged      ... John and Mary ... Mary gave ... to     John is right; the subject stands second
    turned         ... John and Mary ... John gave ... to     Mary is right; the subject stands first
    once           ... Mary and Alice ... John gave ... to    nobody is named twice, and it is the first mention that is another

All are as long as the clean one, since every name is one token. Templates are taken in which each name follows a space.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from probe.errors import BadInput
from probe.tasks.pairs import Pairs

TEMPLATES = ("store", "then", "friends", "after")
Ids = list[list[int]]


@dataclass(frozen=True)
class Places:
    """Positions in a prompt: the indirect object, the subject's first and second mention. The answer follows the last token."""

    io: Int[np.ndarray, " pair"]
    s1: Int[np.ndarray, " pair"]
    s2: Int[np.ndarray, " pair"]

    def some(self, rows: list[int]) -> "Places":
        """Of these pairs alone."""
        return Places(self.io[rows], self.s1[rows], self.s2[rows])


def places_of(pairs: Pairs) -> Places:
    """Where the names stand. BadInput for a prompt that does not name the indirect object once and the subject twice."""
    found = []
    for ids, (right,), (wrong,) in zip(pairs.clean, pairs.right, pairs.wrong, strict=True):
        twice = [i for i, token in enumerate(ids) if token == wrong]
        if ids.count(right) != 1 or len(twice) != 2:
            raise BadInput(
                f"A prompt of ioi names its indirect object {ids.count(right)} times and its subject {len(twice)}; once and "
                "twice were wanted."
            )
        found.append((ids.index(right), *twice))
    return Places(*np.array(found).T)


def exchanged(pairs: Pairs) -> Ids:
    """Indirect object and subject change names: the answer is the other, each is named where the other was."""
    swaps = [{r: w, w: r} for (r,), (w,) in zip(pairs.right, pairs.wrong, strict=True)]
    return [[swap.get(token, token) for token in ids] for swap, ids in zip(swaps, pairs.clean, strict=True)]


def turned(pairs: Pairs, at: Places) -> Ids:
    """The first two names change places: the answer is the same, and the subject stands where the indirect object stood."""
    found = []
    for i, ids in enumerate(pairs.clean):
        made = list(ids)
        made[at.io[i]], made[at.s1[i]] = made[at.s1[i]], made[at.io[i]]
        found.append(made)
    return found


def once(pairs: Pairs, at: Places) -> Ids:
    """The third person of the corrupted prompt stands at the subject's first mention."""
    found = []
    for i, ids in enumerate(pairs.clean):
        made = list(ids)
        made[at.s1[i]] = pairs.corrupted[i][at.s2[i]]
        found.append(made)
    return found
