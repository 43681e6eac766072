"""Finding units in a feature table: by text in their labels, tokens or examples, by how often they fire, in any order, a page
at a time.

A table is asked the same again and again while somebody scrolls, so what was looked for lately is kept with it: which units hold
a text, and the order by each number. A page of 100,000 units then takes milliseconds.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Int

from probe.errors import BadInput
from probe.features.matches import in_examples
from probe.plain_values import Settings
from probe.show.record import Record

if TYPE_CHECKING:
    from probe.features.table import FeatureTable

SearchIn = Literal["any", "label", "promoted", "suppressed", "inputs", "measured", "peaks", "examples"]
TOKENS: tuple[SearchIn, ...] = ("promoted", "suppressed", "inputs", "measured", "peaks")
PLACES: tuple[SearchIn, ...] = ("label", *TOKENS, "examples")
"""Where a text can stand, in the order in which it is said what matched."""
WORDS: dict[SearchIn, str] = {
    "any": "anywhere",
    "label": "labels",
    "examples": "examples",
    "promoted": "promotes",
    "suppressed": "suppresses",
    "inputs": "reads",
    "measured": "fires at",
    "peaks": "peak tokens",
}
"""What people call these places."""
SHOWN = ("promoted", "measured", "peaks")
"""The lists of tokens that a row of many units has."""
Number = Literal["unit", "fired", "density", "mean_active", "max", "min"]
NUMBERS: tuple[Number, ...] = get_args(Number)
_KEPT = 48
"Searches remembered by a table."


@dataclass(frozen=True, eq=False)
class Found(Record, page=True):
    """A page of a search: `units` on this page, in order, of `total` that match. matched: what of each unit did, in words;
    nothing where no text was searched for."""

    table: "FeatureTable"
    total: int
    units: list[int]
    matched: dict[int, str] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """One row per unit of the page."""
        rows = self.table.rows(self.units)
        return [{**row, "matched": self.matched[row["unit"]]} for row in rows] if self.matched else rows

    def records(self) -> list[dict[str, Any]]:
        """The same with lists of tokens as lists; and of every unit its first label, what matched, and whether it is dead."""
        labels, matched = self.table.labels, self.matched
        lists = [name for name in SHOWN if name in self.table.columns]
        return [
            {
                **row,
                "label": "".join(label.text for label in labels.get(row["unit"], [])[:1]),
                "matched": matched.get(row["unit"], ""),
                "dead": row["density"] == 0,
            }
            for row in self.table.records(self.units, lists, 5)
        ]

    def summary(self) -> str:
        """How many match, of how many."""
        return f"{self.total:,} of {self.table.n_units:,} {self.table.kind}s in {self.table.folder.name}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"total": self.total, "units": self.units, "rows": self.rows()}


def matching(
    table: "FeatureTable",
    text: str,
    where: SearchIn,
    density: tuple[float, float] | None,
    dead: bool | None,
    label: str = "",
) -> Bool[np.ndarray, " unit"]:
    """Which units match; see `FeatureTable.search`."""
    keep = np.ones(table.n_units, bool)
    if dead is not None:
        keep &= (table.column("fired") == 0) == dead
    if density is not None:
        keep &= (table.column("density") >= density[0]) & (table.column("density") <= density[1])
    if label:
        keep &= labelled(table, label)
    return keep & holding(table, text, where) if text else keep


def labelled(table: "FeatureTable", text: str) -> Bool[np.ndarray, " unit"]:
    """Which units have a label with that text in it; "*" is any label."""
    found, wanted = np.zeros(table.n_units, bool), text.casefold()
    for unit, labels in table.labels.items():
        found[unit] = wanted == "*" or any(wanted in label.text.casefold() for label in labels)
    return found


def places(where: SearchIn) -> tuple[SearchIn, ...]:
    """The places that are searched; BadInput for one there is not."""
    if where != "any" and where not in PLACES:
        raise BadInput(f"'{where}' is no list of tokens and no other place; choose any, {', '.join(PLACES)}.")
    return PLACES if where == "any" else (where,)


def holding(table: "FeatureTable", text: str, where: SearchIn) -> Bool[np.ndarray, " unit"]:
    """Which units have that text in a label, a token or an example. What does not change is kept with the table."""
    if not isinstance(text, str):
        raise BadInput(f"A text was wanted to search for; {type(text).__name__} {str(text)[:40]} came.")
    wanted, found = text.casefold(), np.zeros(table.n_units, bool)
    for place in places(where):
        if place == "label":
            found |= labelled(table, text)
        else:
            found |= remembered(table, ("holding", wanted, place), lambda place=place: _holding(table, wanted, place))
    return found


def _holding(table: "FeatureTable", wanted: str, where: SearchIn) -> Bool[np.ndarray, " unit"]:
    if where == "examples":
        return in_examples(table, wanted)
    hits = np.array([wanted in token for token in table.text.folded] + [False])  # the last is no token, -1
    found = np.zeros(table.n_units, bool)
    if where in table.columns:
        for column in range((tokens := table.column(where)).shape[1]):  # a reduction over a short axis is slower
            found |= hits[tokens[:, column]]
    return found


def ordered(table: "FeatureTable", sort: str, descending: bool) -> Int[np.ndarray, " unit"]:
    """All units by a number, ties by unit."""
    if sort == "unit":
        return np.arange(table.n_units)[:: -1 if descending else 1]
    key = table.column(sort)
    return remembered(
        table, ("order", sort, descending), lambda: np.argsort(-key if descending else key, kind="stable")
    )


def remembered(table: "FeatureTable", key: tuple[Any, ...], make: Any) -> np.ndarray:
    """What a table was asked before, or what `make` makes; the oldest answers are dropped."""
    kept = table.answers
    if (found := kept.get(key)) is None:
        found = kept[key] = make()
        for old in list(kept)[:-_KEPT]:
            kept.pop(old, None)
    return found


@dataclass(frozen=True)
class Page(Settings):
    """Which of the units that match are shown, in which order."""

    sort: str = "unit"
    "A number of theirs; ties by unit."
    descending: bool = False
    "The largest first."
    offset: int = 0
    "How many are passed over."
    limit: int = 50
    "How many are shown."


def page_of(table: "FeatureTable", keep: Bool[np.ndarray, " unit"], page: Page) -> Found:
    """A page of the units that are kept."""
    if page.sort not in NUMBERS:
        raise BadInput(f"Units cannot be sorted by '{page.sort}'; choose {', '.join(NUMBERS)}.")
    order = ordered(table, page.sort, page.descending)
    units = order[keep[order]]
    return Found(table, len(units), units[page.offset : page.offset + page.limit].tolist())
