"""Facts of one word: the capital of a country, the language that is spoken there.

The capital of France is     ->  Paris, not Rome          corrupted: The capital of Italy is
"""

from random import Random

from probe.tasks.example import Example, spans
from probe.tasks.words import Words, enough, pairs_listed

TEMPLATES = {
    "capitals": {
        "is": "The capital of {subject} is the city of",
        "called": "The capital city of {subject} is called",
        "visit": "They went to {subject} to see its capital,",
    },
    "languages": {
        "speak": "In {subject}, most people speak",
        "official": "The official language of {subject} is",
        "native": "She was born in {subject}. Her native language is",
    },
}


def _fact(relation: str, draw: Random, words: Words, templates: tuple[str, ...]) -> Example:
    known = [(subject, answer) for subject, answer in pairs_listed(relation) if words.one_token(f" {answer}")]
    (subject, answer), (other, wrong) = draw.sample(enough(known, relation), 2)
    name = draw.choice(templates or tuple(TEMPLATES[relation]))
    clean = TEMPLATES[relation][name].format(subject=subject)
    return Example(
        clean=clean,
        corrupted=TEMPLATES[relation][name].format(subject=other),
        right=[f" {answer}"],
        wrong=[f" {wrong}"],
        segments=spans(clean, subject=subject),
        template=name,
    )


def capitals(draw: Random, words: Words, *, templates: tuple[str, ...] = ()) -> Example:
    """One pair of countries whose capitals differ."""
    return _fact("capitals", draw, words, templates)


def languages(draw: Random, words: Words, *, templates: tuple[str, ...] = ()) -> Example:
    """One pair of countries where other languages are spoken."""
    return _fact("languages", draw, words, templates)
