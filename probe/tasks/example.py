"""One example of a task: a prompt with the behaviour, the same without it, and which next tokens are right and wrong."""

from dataclasses import dataclass, field

from probe.show.record import Record


@dataclass(frozen=True, kw_only=True)
class Example(Record):
    """clean, corrupted: the two prompts, as text. right, wrong: next tokens that the clean prompt calls for and calls against,
    as text with their space. segments: spans of characters of the clean prompt by what they are (`subject`, `question`).
    template: the name of the sentence's form, for tests on forms that were not looked at."""

    clean: str
    corrupted: str
    right: list[str]
    wrong: list[str]
    segments: dict[str, tuple[int, int]] = field(default_factory=dict)
    template: str = ""


def spans(text: str, **words: str) -> dict[str, tuple[int, int]]:
    """Where these words stand in a text: of each its last place.

    >>> spans("Mary met John", who="John")
    {'who': (9, 13)}
    """
    return {name: (at, at + len(word)) for name, word in words.items() if word and (at := text.rfind(word)) >= 0}
