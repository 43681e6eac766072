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


_ACRONYMS = frozenset(("qk", "ov", "mlp", "sae", "kl", "ce", "fvu", "l0", "eap", "acdc", "ioi"))


def spaced(name: str) -> str:
    """The name of a field as words, acronyms as they are written: `kl_spliced` is KL spliced."""
    return " ".join(word.upper() if word in _ACRONYMS else word for word in name.replace("_", " ").split(" "))


def percent(value: float) -> str:
    """A share in per cent with one decimal; of what would be 0.0, two digits, down to a hundred thousandth of a per cent."""
    size = 100 * abs(value)
    if 0 < size < 1e-5:
        return "> −0.00001 %" if value < 0 else "< 0.00001 %"
    said = f"{float(f'{size:.2g}'):.7f}".rstrip("0") if 0 < size < 0.05 else f"{size:.1f}"
    return f"{'−' if value < 0 else ''}{said} %"


def clip(text: str, most: int) -> str:
    """A text of at most so many characters, the last `…` where there were more."""
    return text if len(text) <= most else text[: most - 1] + "…"


MARKS = {"\n": "↵", "\t": "⇥", "\r": "␍"}
"""What white space that moves is shown as, wherever a token or a text stands on a line. Scripts of the pages have the same
(`marks` in `app/assets/00-openwork.js`)."""
SPACE = "·"
"""A space where every character counts."""


def one_line(text: str) -> str:
    """A text on one line: breaks and tabs as `MARKS`."""
    return text.translate({ord(c): mark for c, mark in MARKS.items()})


def prose(token: str) -> str:
    """A token inside a sentence or a name: without the space before it, line breaks visible; `space` and `nothing` by name."""
    text = "".join(c if c.isprintable() else f"⟨{ord(c):x}⟩" for c in one_line(token))
    if not text:
        return "nothing"
    return text.strip() or ("space" if len(text) == 1 else f"{len(text)} spaces")


def number(value: float, digits: int = 3) -> str:
    """A number of so many digits with a true minus; a dash where it is not finite."""
    return minus(f"{value:.{digits}g}") if math.isfinite(value) else "–"


def decimals(value: float, digits: int = 3) -> str:
    """The same with so many digits after the point, so that numbers in a column stand under each other."""
    return minus(f"{value:.{digits}f}") if math.isfinite(value) else "–"


def size(n: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000 or unit == "GB":
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


def duration(seconds: float | None) -> str:
    """How long something took or will take: `4 s`, `2 min 10 s`, `1 h 5 min`."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole or seconds == 0 else "< 1 s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def estimate(seconds: float | None) -> str:
    """How long a plan expects something to take: `4.0 s`, `2.2 min`, `3.5 h`."""
    if seconds is None:
        return "unknown"
    if seconds >= 90 * 60:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def strongest(shown: int, n: int, what: str) -> str:
    """The heading of a table of the first of many.

    >>> from probe.words import strongest
    >>> strongest(50, 70_651, "edges"), strongest(3, 3, "nodes")
    ('The strongest 50 of 70,651 edges', 'The strongest nodes')
    """
    return f"The strongest {shown:,} of {n:,} {what}" if shown < n else f"The strongest {what}"


def one_at_a_time(count: int) -> str:
    """What is said of several prompts where one is read."""
    return f"{count} prompts were given and this reads one at a time. Call it for each: [f(model, p) for p in prompts]."
