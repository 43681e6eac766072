"""Counts and numbers in sentences, the one way: `1 run`, `2 runs`, `−0.31`, `+1.2`."""

import math

_PLURALS = {"dictionary": "dictionaries", "study": "studies", "entry": "entries", "analysis": "analyses"}


def plural(n: float, word: str) -> str:
    """The word for n of them: `run` for one, `runs` for any other number."""
    if n == 1:
        return word
    first, space, last = word.rpartition(" ")
    return f"{first}{space}{_PLURALS.get(last, f'{last}s')}"


def counted(n: int, word: str) -> str:
    """`1 run`, `12,431 edges`, `0 jobs`."""
    return f"{n:,} {plural(n, word)}"


def minus(text: str) -> str:
    """A number as text, with a true minus: a hyphen breaks at the end of a line and is too short to be seen."""
    return text.replace("-", "−")


def figures(value: float, digits: int = 3) -> str:
    """A number of so many digits, with a true minus; `unknown` for NaN."""
    return "unknown" if math.isnan(value) else minus(f"{value:.{digits}g}")


def signed(value: float, digits: int = 3) -> str:
    """The same with its sign always: `+1.2`, `−0.31`."""
    return "unknown" if math.isnan(value) else minus(f"{value:+.{digits}g}")


def percent(value: float) -> str:
    """A share in per cent with one decimal; of what would be 0.0, two digits, down to a hundred thousandth of a per cent."""
    size = 100 * abs(value)
    if 0 < size < 1e-5:
        return "> −0.00001 %" if value < 0 else "< 0.00001 %"
    said = f"{float(f'{size:.2g}'):.7f}".rstrip("0") if 0 < size < 0.05 else f"{size:.1f}"
    return f"{'−' if value < 0 else ''}{said} %"


_VISIBLE = {"\n": "↵", "\t": "⇥", "\r": "␍"}


def prose(token: str) -> str:
    """A token inside a sentence or a name: without the space before it, line breaks visible; `space` and `nothing` by name."""
    text = "".join(_VISIBLE.get(c, c if c.isprintable() else f"⟨{ord(c):x}⟩") for c in token)
    if not text:
        return "nothing"
    return text.strip() or ("space" if len(text) == 1 else f"{len(text)} spaces")
