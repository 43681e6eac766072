"""Closed classes of English words, by name: what a label may say. Open classes (names, countries) are those of `data/tasks/`."""

from collections.abc import Sequence

from probe.errors import BadInput, brief
from probe.tasks.words import listed

_CLOSED = {
    "articles": "a an the",
    "prepositions": "of in to for with on at from by about into over after under between through during against without "
    "within upon toward towards among across behind beyond near above below until since",
    "subject pronouns": "i you he she it we they who",
    "object pronouns": "me him her us them whom",
    "possessives": "my your his her its our their whose mine yours ours theirs",
    "reflexive pronouns": "myself yourself himself herself itself ourselves themselves",
    "conjunctions": "and or but nor so yet because although though while if unless whereas whether than",
    "demonstratives": "this that these those",
    "question words": "who what when where why how which whose whom",
    "forms of be": "am is are was were be been being",
    "forms of have": "have has had having",
    "forms of do": "do does did doing done",
    "modal verbs": "can could may might must shall should will would",
    "negations": "no not never none nothing nobody neither nor cannot without",
    "quantifiers": "all any both each every few many more most much several some such",
    "number words": "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred "
    "thousand million billion first second third fourth fifth",
    "months": "january february march april may june july august september october november december",
    "weekdays": "monday tuesday wednesday thursday friday saturday sunday",
    "units of time": "day days week weeks month months year years hour hours minute minutes century centuries decade decades",
    "words of degree": "very more most less least too quite rather almost only just even still",
    "verbs of saying": "say says said tell tells told ask asks asked speak spoke answer answered reply replied call called",
    "adverbs of time": "now then today yesterday tomorrow soon already always never often again once ago later",
}
_OPEN = {
    "given names": ("names", 0),
    "countries": ("countries", 0),
    "capital cities": ("capitals", 1),
    "languages and nationalities": ("languages", 1),
    "common nouns": ("nouns", 0),
}
LONGEST = 80
"""Characters of a list's name."""


def bundled_lists() -> dict[str, frozenset[str]]:
    """Lists by name, their words without case."""
    closed = {name: frozenset(words.split()) for name, words in _CLOSED.items()}
    return closed | {name: _column(*of) for name, of in _OPEN.items()}


def _column(name: str, column: int) -> frozenset[str]:
    return frozenset(line.split("\t")[column].casefold() for line in listed(name))


def read_lists(given: Sequence[str]) -> dict[str, frozenset[str]]:
    """Word lists that somebody wrote, `name: word, word`. BadInput for one without a name or without words."""
    found: dict[str, frozenset[str]] = {}
    for text in given:
        name, sign, words = text.partition(":")
        kept = frozenset(word.strip().casefold() for word in words.split(",") if word.strip())
        if not (sign and name.strip() and kept):
            raise BadInput(
                f"{brief(text)} is no word list; write its name and its words, like colours: red, green, blue."
            )
        if len(name.strip()) > LONGEST:
            raise BadInput(f"The name of a word list has at most {LONGEST} characters; {len(name.strip())} came.")
        if name.strip() in found:
            raise BadInput(f"Two word lists are called '{name.strip()}'; give one of them another name.")
        found[name.strip()] = kept
    return found
