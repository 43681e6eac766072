"""What the browser of a table asks for: a text, a range of densities, an order; and the rows that answer it. The page's store and
its address hold the same: `q` the text, `w` where it stands, `lab` part of a label, `d` dead or not, `lo` and `hi` densities as
powers of ten, `s` the order, like `density-desc`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.library import tables
from probe.artifacts.json import Json

PAGE_ROWS = 100
KEYS = ("q", "w", "lab", "d", "lo", "hi")
LISTS = {
    "any": "anywhere",
    "label": "labels",
    "examples": "examples",
    "promoted": "promotes",
    "suppressed": "suppresses",
    "inputs": "reads",
    "measured": "fires at",
    "peaks": "peak tokens",
}
"""Where a text is looked for."""
SORTS = {"unit": "unit", "density": "density", "mean": "mean_active", "mean_active": "mean_active", "max": "max"}
"""By the words of an address, today's and those of before."""
SHOWN = ("promoted", "measured", "peaks")


@dataclass(frozen=True)
class Query:
    """What is asked of a table. low, high: powers of ten of the density; dead: "" all, "0" active ones, "1" dead ones."""

    text: str = ""
    where: str = "any"
    label: str = ""
    dead: str = ""
    low: float | None = None
    high: float | None = None
    sort: str = "unit"
    descending: bool = False

    def search(self) -> Json:
        """The same as arguments of `FeatureTable.search`; defaults are left out."""
        asked: dict[str, Any] = {"text": self.text} if self.text else {}
        if self.text and self.where != "any":
            asked["where"] = self.where
        if self.label:
            asked["label"] = self.label
        if self.low is not None or self.high is not None:
            ends = (-30.0 if self.low is None else self.low, 0.0 if self.high is None else self.high)
            asked["density"] = tuple(0.0 if end == -30 else float(f"{10**end:.3g}") for end in ends)
        if self.dead:
            asked["dead"] = self.dead == "1"
        if self.sort != "unit" or self.descending:
            asked |= {"sort": self.sort, "descending": self.descending}
        return asked


def query_of(query: Mapping[str, Any]) -> Query:
    """The query of an address; what is malformed is left out."""
    sort, _, way = str(query.get("s", "")).partition("-")
    return Query(
        text=str(query.get("q") or "")[:100],
        where=query.get("w", "") if query.get("w", "") in LISTS else "any",
        label=str(query.get("lab") or "")[:100],
        dead=query.get("d", "") if query.get("d", "") in ("0", "1") else "",
        low=_power(query.get("lo")),
        high=_power(query.get("hi")),
        sort=SORTS.get(sort, "unit"),
        descending=way == "desc" and sort in SORTS,
    )


def _power(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if -30 < number < 0 else None


def from_store(stored: Mapping[str, Any] | None, sort: Sequence[Mapping[str, Any]]) -> Query:
    """The query of the page's store, with the order the grid asks for."""
    column = sort[0] if sort else {}
    return query_of({**(stored or {}), "s": f"{column.get('colId', 'unit')}-{column.get('sort', 'asc')}"})


def page_of(table: str, asked: Query, start: int, end: int) -> tuple[list[Json], int]:
    """Rows start to end - 1 of what is asked, and how many there are in all."""
    opened = tables.open_table(table)
    found = opened.search(**asked.search(), offset=max(0, start), limit=min(max(0, end - start), 500))
    labels, there = opened.labels, [name for name in SHOWN if name in opened.columns]
    rows = [
        {
            **row,
            "label": said[0].text if (said := labels.get(row["unit"])) else "",
            "matched": found.matched.get(row["unit"], ""),
            "dead": row["density"] == 0,
        }
        for row in opened.records(found.units, there, 5)
    ]
    return rows, found.total
