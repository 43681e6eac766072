"""The table of a record's panel, and of any rows, as data that the browser draws. Bounded, and it says so."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.components.drawn import Drawn
from probe.show.columns import columns_and_cells
from probe.show.panels import Rows

ROWS, PAGED = 300, 20
"""Most rows of a table; rows that are shown at first, with a button for more."""
_CALLED = 40  # characters of what a unit is called
Link = Callable[[Any, Mapping[str, Any]], tuple[str | None, str]]
"""From the name of a unit, or of what else has a page, and the row it stands in, to its page and what it is called."""
TABLE = "method-rows"
"""The type of the id of a record's table; one registering draws them all (`app.methods.drawing`)."""


def panel_data(
    panel: Rows, link: Link | None = None, chosen: Mapping[str, Any] | None = None, most: int = ROWS
) -> Drawn:
    """The table of a record's panel."""
    most = len(panel.rows) if panel.whole else most
    data = row_data(panel.title, panel.rows, link, panel.picks, chosen, panel.kinds, most)
    for one in data["columns"]:
        if (said := panel.meanings.get(one["key"])) is not None:
            one["title"] = said
    for row in data["rows"][len(panel.rows) - panel.sums :]:
        row["quiet"] = True
    return data


def row_data(
    label: str,
    rows: Sequence[Mapping[str, Any]],
    link: Link | None = None,
    picks: Sequence[Mapping[str, Any]] = (),
    chosen: Mapping[str, Any] | None = None,
    declared: Mapping[str, str] = {},
    most: int = ROWS,
) -> Drawn:
    """A table of plain values. link: the page of what a cell names. picks: what each row selects; chosen: what is selected.
    declared: kinds of columns that their values do not tell."""
    columns, cells = columns_and_cells(rows[:most], declared)
    paged = [c["key"] for c in columns if c["kind"] in ("unit", "name")]
    if link is not None and paged:
        cells = [_linked(row, paged[0], link) for row in cells]
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
