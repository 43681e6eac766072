"""Subject and verb agree in number, past a phrase of the other number (Linzen et al. 2016).

The boys near the doctor     ->  are, not is          corrupted: The boy near the doctor
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words, enough, pairs_listed

TEMPLATES = {
    "near": "The {subject} near the {other}",
    "with": "The {subject} with the {other}",
    "that": "The {subject} that the {other} saw",
    "plain": "Yesterday I heard that the {subject}",
}
VERBS = ((" is", " are"), (" has", " have"), (" was", " were"))


def agreement(draw: Random, words: Words, *, templates: tuple[str, ...] = tuple(TEMPLATES)) -> Example:
    """One pair: the same noun in the other number."""
    known = [pair for pair in pairs_listed("plurals") if all(words.one_token(f" {word}") for word in pair)]
    noun, other = draw.sample(enough(known, "nouns"), 2)
    name, plural = draw.choice(templates), draw.randrange(2)
    filled = {"other": other[draw.randrange(2)]}
    clean = TEMPLATES[name].format(subject=noun[plural], **filled)
    right = [verbs[plural] for verbs in VERBS if all(map(words.one_token, verbs))]
    wrong = [verbs[1 - plural] for verbs in VERBS if all(map(words.one_token, verbs))]
    return Example(
        clean=clean,
        corrupted=TEMPLATES[name].format(subject=noun[1 - plural], **filled),
        right=right,
        wrong=wrong,
        segments=spans(clean, subject=noun[plural]),
        template=name,
    )
