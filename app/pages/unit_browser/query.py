"""What the browser of a table asks for, as its address holds it: `q` the text, `w` where it stands, `lab` part of a label, `d`
dead or not, `lo` and `hi` densities as powers of ten, `s` the order, like `density-desc`; how many rows are fetched at once."""

import math
from collections.abc import Mapping
from typing import Any

from probe.artifacts.json import Json
from probe.features.search import WORDS

KEYS = ("q", "w", "lab", "d", "lo", "hi")
SORTS = {"unit": "unit", "density": "density", "mean": "mean_active", "mean_active": "mean_active", "max": "max"}
"""By the words of an address, today's and those of before."""
PAGE_ROWS, MOST_ROWS = 100, 500
"""Rows that the grid fetches at once, and the most that one request is given."""
_LONGEST = 100  # characters of a text


def asked_of(query: Mapping[str, Any]) -> Json:
    """The arguments of `FeatureTable.search` that an address asks for; what is malformed is left out."""
    sort, _, way = str(query.get("s", "")).partition("-")
    found = {
        "text": str(query.get("q") or "")[:_LONGEST],
        "where": query.get("w") if query.get("w") in WORDS else None,
        "label": str(query.get("lab") or "")[:_LONGEST],
        "density": _densities(_power(query.get("lo")), _power(query.get("hi"))),
        "dead": {"0": False, "1": True}.get(str(query.get("d"))),
        "sort": SORTS.get(sort),
        "descending": True if sort in SORTS and way == "desc" else None,
    }
    return {name: value for name, value in found.items() if value not in ("", None, "any", "unit")}


def ends_of(asked: Json, least: float) -> tuple[float, float]:
    """The densities that are asked for as powers of ten; of all, from the least."""
    low, high = asked.get("density", (0.0, 1.0))
    return round(math.log10(low), 2) if low else least, round(math.log10(high), 2)


def _densities(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None and high is None:
        return None
    return tuple(0.0 if end is None else float(f"{10**end:.3g}") for end in (low, high or 0.0))  # type: ignore[return-value]


def _power(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if -30 < number < 0 else None
