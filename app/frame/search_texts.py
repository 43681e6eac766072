"""Search for units by what they fire on, promote and read: the tokens and the examples of stored feature tables.

The library's own search answers (`FeatureTable.search`), and says what of each unit matched. Opened tables remember what they
were asked. They come with torch, which takes seconds to import the first time: until it is there, `waiting` says so, and the page
asks once more.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from app import links
from app.frame.search_words import Hit, clip
from app.library import tables
from app.library.artifacts import Library
from probe.errors import OpenworkError

if TYPE_CHECKING:
    from probe.features import FeatureTable
    from probe.features.search import SearchIn

LEAST = 2  # characters: one is in nearly every unit
MOST = 6  # tables that are read, the newest; as many as are kept open
_EACH = 5  # units of a table
_EXAMPLES = 2_000_000  # tokens of a table up to which examples are read through while somebody types
_LISTS: tuple["SearchIn", ...] = ("peaks", "measured", "promoted", "suppressed", "inputs")
_SAYS = {
    "peaks": "fires on",
    "measured": "fires on",
    "promoted": "promotes",
    "suppressed": "suppresses",
    "inputs": "reads",
}


def waiting(question: str, stored: Library) -> bool:
    """Would there be tables to search, if what reads them were imported? Its import is begun then."""
    if len(question.strip()) < LEAST or not stored.kinds["features"] or tables.warmed():
        return False
    tables.warm()
    return True


def matched_units(question: str, stored: Library) -> list[Hit]:
    """Units that hold this text in a token or an example, with what matched; the last hit of a table opens all it has."""
    if len(question) < LEAST or not tables.warmed():
        return []
    hits = []
    for folder, _ in stored.kinds["features"][:MOST]:
        try:
            hits += _of_table(tables.open_table(folder.name), folder, question)
        except OpenworkError:  # a damaged table says so on its own page
            continue
    return hits


def _of_table(table: "FeatureTable", folder: Path, question: str) -> list[Hit]:
    places: tuple[SearchIn, ...] = (*_LISTS, "examples") if table.text.tokens.size <= _EXAMPLES else _LISTS
    found: dict[int, str] = {}
    total = 0
    for place in places:
        page = table.search(question, where=place, sort="max", descending=True, limit=_EACH)
        total = max(total, page.total)
        for unit in page.units:
            found.setdefault(unit, _said(place, page.matched[unit]))
    name = folder.name
    hits = [
        Hit(f"{table.name(unit)} {said}", f"{table.kind} {unit} of {name}", links.unit_page(name, unit), "units")
        for unit, said in list(found.items())[:_EACH]
    ]
    if max(total, len(found)) > _EACH:
        title, page = f"All of {name} with “{clip(question)}”", links.table_page(name, q=question)
        hits.append(Hit(title, "in a label, a token or an example", page, "units"))
    return hits


def _said(place: str, matched: str) -> str:
    """`fires on ' commerce'` for `peaks ' commerce'`."""
    return clip(matched.replace(place, _SAYS.get(place, place), 1))
