"""What the browser of a table asks for: a text, a range of densities, an order; and the rows that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.library import tables
from probe.artifacts.json import Json

PAGE_ROWS = 100


_LISTS = ("any", "label", "promoted", "suppressed", "inputs", "measured", "peaks", "examples")


_SORTS = {"unit": "unit", "density": "density", "mean": "mean_active", "max": "max"}


_SHOWN = ("promoted", "measured", "peaks")


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

    def to_dict(self) -> Json:
        """For the store of the page."""
        return {k: getattr(self, k) for k in ("text", "where", "label", "dead", "low", "high")}

    def search(self) -> Json:
        """The same as arguments of `FeatureTable.search`; defaults are left out."""
        asked: dict[str, Any] = {"text": self.text} if self.text else {}
        if self.text and self.where != "any":
            asked["where"] = self.where
        if self.label:
            asked["label"] = self.label
        if self.low is not None or self.high is not None:
            asked["density"] = (
                0.0 if self.low is None else float(f"{10**self.low:.3g}"),
                1.0 if self.high is None else float(f"{10**self.high:.3g}"),
            )
        if self.dead:
            asked["dead"] = self.dead == "1"
        if self.sort != "unit" or self.descending:
            asked |= {"sort": _SORTS[self.sort], "descending": self.descending}
        return asked


def query_of(query: Json) -> Query:
    """The query of an address; what is malformed is left out."""
    sort, _, way = str(query.get("s", "")).partition("-")
    return Query(
        text=str(query.get("q") or "")[:100],
        where=query.get("w", "") if query.get("w", "") in _LISTS else "any",
        label=str(query.get("lab") or "")[:100],
        dead=query.get("d", "") if query.get("d", "") in ("0", "1") else "",
        low=_power(query.get("lo")),
        high=_power(query.get("hi")),
        sort=sort if sort in _SORTS else "unit",
        descending=way == "desc" and sort in _SORTS,
    )


def _power(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if -30 < number < 0 else None


def from_store(stored: Json | None, sort: Sequence[Json]) -> Query:
    """The query of the page's store, with the order the grid asks for."""
    asked = stored or {}
    column = sort[0] if sort else {}
    way = f"{column.get('colId', 'unit')}-{column.get('sort', 'asc')}"
    return query_of(
        {
            **{k: asked.get(v) for k, v in (("q", "text"), ("w", "where"), ("lab", "label"), ("d", "dead"))},
            "lo": asked.get("low"),
            "hi": asked.get("high"),
            "s": way,
        }
    )


def page_of(table: str, asked: Query, start: int, end: int) -> tuple[list[Json], int]:
    """Rows start to end - 1 of what is asked, and how many there are in all."""
    opened = tables.open_table(table)
    found = opened.search(**asked.search(), offset=max(0, start), limit=min(max(0, end - start), 500))
    lists = [name for name in _SHOWN if name in opened.columns]
    labels = opened.labels
    rows = []
    for row in opened.records(found.units, lists, 5):
        said = labels.get(row["unit"])
        number = {"mean": row["mean_active"], "max": row["max"], "density": row["density"]}
        words = {name: row.get(name, []) for name in _SHOWN}
        rows.append(
            {
                "unit": row["unit"],
                "name": row["name"],
                "label": said[0].text if said else "",
                "matched": found.matched.get(row["unit"], ""),
                "dead": row["density"] == 0,
                **number,
                **words,
            }
        )
    return rows, found.total
