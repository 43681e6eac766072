"""Three relations of countries, each asked in eight ways, real countries and invented ones, and how well known each is.

How well known: the paper counts views of a Wikipedia article. Offline the stand-in is how often the name stands in the text that
is shipped, 228 addresses of American presidents; `POPULAR` mentions or more are popular. Both sides of that are kept in the
tables.
"""

import re
from dataclasses import dataclass
from functools import cache

from probe.tasks.words import listed
from probe.text.documents import corpus

TEMPLATES = {
    "capital": (
        "The capital of {} is the city of",
        "The capital city of {} is called",
        "{}'s capital is the city of",
        "The government of {} sits in the city of",
        "The parliament of {} meets in the city of",
        "The main airport of {} is near its capital, the city of",
        "They visited {} and saw its capital, the city of",
        "Question: What is the capital of {}? Answer:",
    ),
    "language": (
        "In {}, most people speak",
        "The official language of {} is",
        "Most people in {} speak",
        "Children in {} learn to read and write in",
        "The newspapers in {} are written in",
        "She was born in {}. Her native language is",
        "To live in {}, one has to learn",
        "Question: Which language is spoken in {}? Answer:",
    ),
    "continent": (
        "{} is a country on the continent of",
        "{} is located on the continent of",
        "The continent on which {} lies is called",
        "On a map, {} is found on the continent of",
        "{} belongs to the continent of",
        "To reach {}, one travels to the continent of",
        "The country {} is part of the continent of",
        "Question: On which continent is {}? Answer:",
    ),
}
NAMELESS, BY_NAME = "that country", "The name {} makes people think of"
"""What stands in the subject's place to find what a prompt alone calls for, and what asks for a name's own associations."""
POPULAR = 20


@dataclass(frozen=True)
class Fact:
    """A subject and its answer in one relation; an invented subject has none. mentions: in the shipped text."""

    relation: str
    subject: str
    answer: str
    mentions: int

    @property
    def invented(self) -> bool:
        """Whether there is no such country."""
        return not self.answer

    @property
    def popular(self) -> bool:
        """Whether its subject is well known."""
        return self.mentions >= POPULAR


@cache
def mentions() -> dict[str, int]:
    """How often each country's name stands in the shipped text."""
    names = [line.split("\t")[0] for line in listed("countries")]
    found, pattern = dict.fromkeys(names, 0), re.compile(rf"\b({'|'.join(names)})\b")
    for document in corpus("sotu"):
        for name in pattern.findall(document.text):
            found[name] += 1
    return found


def facts() -> list[Fact]:
    """Of all countries and relations, then of the invented ones."""
    rows = [line.split("\t") for line in listed("countries")]
    real = [
        Fact(relation, row[0], row[at], mentions()[row[0]])
        for row in rows
        for at, relation in enumerate(TEMPLATES, start=1)
    ]
    return real + [Fact(relation, name, "", 0) for name in listed("invented") for relation in TEMPLATES]


def golds(relation: str) -> set[str]:
    """All answers of a relation."""
    at = 1 + list(TEMPLATES).index(relation)
    return {line.split("\t")[at] for line in listed("countries")}
