"""The glossary as a page: of every number what it is, what is good, and where it comes from."""

from collections.abc import Iterator

from probe.show.glossary_words import BY_SUBJECT
from probe.show.word import Word
from scripts.documenting.pages import Page


def glossary() -> Page:
    """Every word of `probe.show.glossary`, by subject."""
    return Page("reference/words.md", "Words and what is good", "\n".join(_lines()), "Reference")


def _lines() -> Iterator[str]:
    yield "# Words and what is good\n"
    yield "Every number that Openwork shows has a word, and every word says how to judge it. The same text stands in tooltips of"
    yield "the dashboard and is printed by `openwork words NAME`. Sites, axes and units have their words in"
    yield "[the reference of `model`](probe-model.md).\n"
    for subject, words in BY_SUBJECT.items():
        yield f"## {subject.capitalize()}\n"
        for word in words:
            yield from _word(word)


def _word(word: Word) -> Iterator[str]:
    yield f"### {word.name} {{ #{word.name.replace(' ', '-')} }}\n"
    yield f"{word.meaning}\n"
    yield f"**What is good:** {word.good}\n"
    if word.source:
        yield f"*{word.source}*\n"
