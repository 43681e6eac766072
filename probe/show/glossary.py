"""The words of Openwork's numbers: what each is, and what is good. One place for docstrings, tables, the command line and pages.

    WORDS["influence"].meaning        find("influence, mean")        `openwork words influence`

A sentence for what the number is, one for how to judge it, and where the idea comes from.
"""

from probe.errors import BadInput
from probe.show.glossary_words import BY_SUBJECT
from probe.show.word import Word

_NO_HEADINGS = frozenset(("error", "effect", "rest", "first", "bias", "full", "kept", "noise", "denoise"))
"""Words that head columns of other things too, so that no tooltip explains them."""
WORDS: dict[str, Word] = {word.name: word for words in BY_SUBJECT.values() for word in words}
_SPELLED = {
    "replacement score": "replacement",
    "completeness score": "completeness",
    "conservation residual": "residual",
    "ce_recovered_zero": "ce_recovered",
    "ce_recovered_mean": "ce_recovered",
    "kl_spliced": "kl",
    "dead": "dead_share",
    "direct effect": "direct",
    "predicted": "direct",
}


def find(column: str) -> Word | None:
    """The word that a column's heading is, or begins with (`write at 5`, `entropy, mean`); None where it is none of them."""
    said = column.strip().lower().replace("_score", " score")
    plain = said.split(", ")[0].split(" at ")[0].split(" (")[0]
    for name in (said, plain, plain.replace(" ", "_")):
        if (found := WORDS.get(_SPELLED.get(name, name))) is not None:
            return found
    return None


def meaning(column: str) -> str:
    """What a column's heading means and what is good, or nothing: the text of a tooltip."""
    found = find(column)
    return found.told() if found and found.name not in _NO_HEADINGS else ""


def asked_words(name: str = "") -> list[Word]:
    """One word, or all of them; BadInput names the nearest where there is none."""
    if not name:
        return list(WORDS.values())
    found = find(name)
    if found is None:
        import difflib

        close = difflib.get_close_matches(name.lower(), WORDS, n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]}?" if close else f"Words are {', '.join(WORDS)}."
        raise BadInput(f"{name[:40]!r} is none of the words. {hint}")
    return [found]
