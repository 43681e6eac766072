"""A pronoun follows the name before it (Vig et al. 2020).

Mary was late, because     ->  she, not he            corrupted: John was late, because
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words

TEMPLATES = {
    "because": "{name} was late for work, because",
    "when": "{name} was very happy when",
    "said": "{name} said that",
    "thought": "After the long day, {name} thought that",
}


def gender(draw: Random, words: Words, *, templates: tuple[str, ...] = tuple(TEMPLATES)) -> Example:
    """One pair."""
    lists, pronouns = ("women", "men"), (" she", " he")
    side, name = draw.randrange(2), draw.choice(templates)
    here, there = (draw.choice(words.of(lists[s])) for s in (side, 1 - side))
    clean = TEMPLATES[name].format(name=here)
    return Example(
        clean=clean,
        corrupted=TEMPLATES[name].format(name=there),
        right=[pronouns[side]],
        wrong=[pronouns[1 - side]],
        segments=spans(clean, name=here),
        template=name,
    )
