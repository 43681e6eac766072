"""Any rows as a table: which column is a number, a token, a unit is read off what stands in it. Bounded, and it says so."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import html

from app.components import drawn
from app.components.drawn import Drawn
from probe.artifacts.json import plain
from probe.show.glossary import meaning
from probe.show.html import scale
from probe.show.panels import Rows

ROWS, COLUMNS, PAGED = 300, 16, 20
"""Most rows and columns of a table; rows that are shown at first, with a button for more."""
_TEXT, _FEW = 200, 12  # characters of a cell, entries of one that is a list
_UNIT = re.compile(r"L\d{1,4}[HNF]\d{1,9}")
_TOKENS = ("token", "prediction")  # how columns are called that hold one
_CALLED = 40  # characters of what a unit is called
Link = Callable[[Any, Mapping[str, Any]], tuple[str | None, str]]
"""From a unit's name, and the row it stands in, to its page and what it is called."""
TABLE = "method-rows"
"""The type of the id of a record's table; one registering draws them all (`app.methods.drawing`)."""


def column(key: str, label: str | None = None, kind: str = "text", **more: Any) -> dict[str, Any]:
    """A column of a table: its key, its heading, its kind (see `assets/rows.js`); its `title` is what the number means, `wide`
    leaves it out where there is little room."""
    label = key.replace("_", " ") if label is None else label
    title = more.pop("title", "") or meaning(label)
    return {"key": key, "label": label, "kind": kind, **({"title": title} if title else {}), **more}


def table(
    panel: Rows,
    at: str,
    height: int | None = None,
    *,
    link: Link | None = None,
    chosen: Mapping[str, Any] | None = None,
    note: str = "",
) -> html.Div:
    """A record's table under its title, whole. at: tells it from others of the page, and is the id of what holds both."""
    data = {**panel_data(panel, link, chosen, len(panel.rows)), "page": None, "note": note}
    return html.Div(
        [html.H3(panel.title, dir="auto"), drawn.rows({"type": TABLE, "at": at}, height, data)],
        id=at,
        className="ow-half",
    )


def panel_data(
    panel: Rows, link: Link | None = None, chosen: Mapping[str, Any] | None = None, most: int = ROWS
) -> Drawn:
    """The table of a record's panel."""
    return row_data(panel.title, panel.rows, link, panel.picks, chosen, panel.kinds, most)


def row_data(
    label: str,
    rows: Sequence[Mapping[str, Any]],
    link: Link | None = None,
    picks: Sequence[Mapping[str, Any]] = (),
    chosen: Mapping[str, Any] | None = None,
    declared: Mapping[str, str] = {},
    most: int = ROWS,
) -> Drawn:
    """A table of plain values; what is nested deeper than a list is left out. link: the page of a unit that a cell names. picks:
    what each row selects; chosen: what is selected. declared: kinds of columns that their values do not tell."""
    few = [{str(k): _plain(v) for k, v in row.items()} for row in rows[:most]]
    keys = list(dict.fromkeys(k for row in few for k, v in row.items() if not isinstance(v, dict)))[:COLUMNS]
    kinds = {key: declared.get(key) or _kind(key, [row.get(key) for row in few]) for key in keys}
    columns = [column(k, kind=kinds[k]) for k in keys if kinds[k]]
    cells = [{c["key"]: _cell(row.get(c["key"]), c["kind"]) for c in columns} for row in few]
    for at, key in reversed([(i, c["key"]) for i, c in enumerate(columns, 1) if c["kind"] == "num"]):
        sort, full = scale(key, [row[key] for row in cells])
        if sort:  # beside the number a bar, as in a notebook
            columns.insert(at, {"key": f"{key} bar", "label": "", "kind": sort})
            cells = [{**row, f"{key} bar": row[key] / full} if row[key] is not None else row for row in cells]
    units = [c["key"] for c in columns if c["kind"] == "unit"]
    if link is not None and units:
        cells = [_linked(row, units[0], link) for row in cells]
    for row, pick in zip(cells, picks, strict=False):
        if pick:
            mine = bool(chosen) and all((chosen or {}).get(name) == value for name, value in pick.items())
            row |= {"pick": dict(pick), "selected": mine}
            row.pop("href", None)  # what is chosen is shown here
    return {"columns": columns, "rows": cells, "label": label, "sorts": True, "page": PAGED}


def _linked(row: dict[str, Any], key: str, link: Link) -> dict[str, Any]:
    """The row with its unit's label behind the name, and the page that it opens."""
    href, called = link(row[key], row)
    called = called if len(called) <= _CALLED else f"{called[: _CALLED - 1]}…"
    return {**row, **({key: f"{row[key]} · {called}"} if called else {}), **({"href": href} if href else {})}


def shown_of(rows: Sequence[object]) -> str | None:
    """What is said of a table that is not shown whole."""
    return f"The first {ROWS} of {len(rows):,}" if len(rows) > ROWS else None


def _plain(value: Any) -> Any:
    return plain(value.tolist() if hasattr(value, "tolist") else value, 3)


def _kind(key: str, values: list[Any]) -> str:
    """The kind of a column, in the words of `assets/rows.js`; "" for one whose cells cannot be shown."""
    there = [v for v in values if v is not None]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in there):
        ids = key == "id" or key.endswith(("_id", " id"))
        whole = there and all(isinstance(v, int) for v in there)
        return ("text" if ids else "count") if whole else "num"
    if all(isinstance(v, str) for v in there):
        if key == "node" or all(_UNIT.fullmatch(v) for v in there):
            return "unit"
        return "token" if key.lower().endswith(_TOKENS) else "text"
    if all(isinstance(v, list) for v in there):
        flat = [one for v in there for one in v]
        if flat and all(isinstance(one, str) for one in flat):
            return "tokens"
        return "text" if all(isinstance(one, int | float) for one in flat) else ""
    return "text"


def _cell(value: Any, kind: str) -> Any:
    if value is None or kind in ("num", "count", "share"):
        return value
    if kind == "tokens":
        return [one[:_TEXT] for one in value[:_FEW]]
    if isinstance(value, list):
        numbers = ", ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in value[:_FEW])
        return numbers + (", …" if len(value) > _FEW else "")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:_TEXT]
