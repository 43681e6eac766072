"""What the columns of any rows are: numbers, tokens, units. It is read off what stands in them, so that whoever makes a table of
plain values (a record, a stored report) gets columns that are written and drawn as such.

Kinds: `text`, `unit`, `name` (of what has a page), `num`, `count` (a whole number), `share`, `token`, `tokens`; `meter` and
`signed` are bars beside a number.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from probe.show.glossary import meaning
from probe.show.html import scale
from probe.show.values import as_json
from probe.words import clip, spaced

COLUMNS = 16
"""Most columns of a table."""
_TEXT, _FEW = 400, 12  # characters of a cell, entries of one that is a list
_UNIT = re.compile(r"L\d{1,4}[HNF]\d{1,9}")
_TOKENS = ("token", "prediction")  # how columns are called that hold one


def column(key: str, label: str | None = None, kind: str = "text", **more: Any) -> dict[str, Any]:
    """A column of a table: its key, its heading, its kind; its `title` is what the number means, `wide` leaves it out where there
    is little room."""
    label = spaced(key) if label is None else label
    title = more.pop("title", "") or meaning(label)
    return {"key": key, "label": label, "kind": kind, **({"title": title} if title else {}), **more}


def columns_and_cells(
    rows: Sequence[Mapping[str, Any]], declared: Mapping[str, str] = {}
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Columns of rows, and what stands in them; what is nested deeper than a list is left out. declared: kinds of columns that
    their values do not tell."""
    few = [{str(k): as_json(v) for k, v in row.items()} for row in rows]
    keys = list(dict.fromkeys(k for row in few for k, v in row.items() if not isinstance(v, dict)))[:COLUMNS]
    kinds = {key: declared.get(key) or _kind(key, [row.get(key) for row in few]) for key in keys}
    columns = [column(k, kind=kinds[k]) for k in keys if kinds[k]]
    cells = [{c["key"]: _cell(row.get(c["key"]), c["kind"]) for c in columns} for row in few]
    for at, key in reversed([(i, c["key"]) for i, c in enumerate(columns, 1) if c["kind"] == "num"]):
        sort, full = scale(key, [row[key] for row in cells])
        if sort:  # beside the number a bar, as in a notebook
            columns.insert(at, {"key": f"{key} bar", "label": "", "kind": sort})
            cells = [{**row, f"{key} bar": row[key] / full} if row[key] is not None else row for row in cells]
    return columns, cells


def _kind(key: str, values: list[Any]) -> str:
    """The kind of a column; "" for one whose cells cannot be shown."""
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
    return clip(str(value), _TEXT)
