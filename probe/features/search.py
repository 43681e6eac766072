"""Finding units in a feature table: by text in their tokens, by how often they fire, in any order, a page at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool

from probe.errors import BadInput
from probe.html import table_html

if TYPE_CHECKING:
    from probe.features.table import FeatureTable

SearchIn = Literal["any", "promoted", "suppressed", "inputs", "measured", "peaks"]
TOKENS: tuple[SearchIn, ...] = ("promoted", "suppressed", "inputs", "measured", "peaks")
NUMBERS = ("unit", "fired", "density", "mean_active", "max", "min")


@dataclass(frozen=True, eq=False)
class Found:
    """A page of a search: `units` on this page, in order, of `total` that match."""

    table: "FeatureTable"
    total: int
    units: list[int]

    def rows(self) -> list[dict[str, Any]]:
        """One row per unit of the page."""
        return self.table.rows(self.units)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"total": self.total, "units": self.units, "rows": self.rows()}

    def _repr_html_(self) -> str:
        return table_html(self.rows(), f"{len(self.units):,} of {self.total:,} units")


def matching(
    table: "FeatureTable", text: str, where: SearchIn, density: tuple[float, float] | None, dead: bool | None
) -> Bool[np.ndarray, " unit"]:
    """Which units match; see `FeatureTable.search`."""
    keep = np.ones(table.n_units, bool)
    if dead is not None:
        keep &= (table.column("fired") == 0) == dead
    if density is not None:
        keep &= (table.column("density") >= density[0]) & (table.column("density") <= density[1])
    return keep & holding(table, text, where) if text else keep


def holding(table: "FeatureTable", text: str, where: SearchIn) -> Bool[np.ndarray, " unit"]:
    """Which units have a token with that text in it."""
    if where != "any" and where not in TOKENS:
        raise BadInput(f"'{where}' is no list of tokens; choose any, {', '.join(TOKENS)}.")
    wanted = text.casefold()
    hits = np.array(
        [wanted in token.casefold() for token in table.text.vocabulary] + [False]
    )  # the last is no token, -1
    found = np.zeros(table.n_units, bool)
    for name in TOKENS if where == "any" else (where,):
        if name in table.columns:
            found |= hits[table.column(name)].any(1)
    return found


def page(
    table: "FeatureTable", keep: Bool[np.ndarray, " unit"], sort: str, descending: bool, offset: int, limit: int
) -> Found:
    """A page of the units that are kept, sorted by a number, ties by unit."""
    if sort not in NUMBERS:
        raise BadInput(f"Units cannot be sorted by '{sort}'; choose {', '.join(NUMBERS)}.")
    units = np.flatnonzero(keep)
    key = units if sort == "unit" else table.column(sort)[units]
    order = np.argsort(-key if descending else key, kind="stable")
    return Found(table, len(units), units[order][offset : offset + limit].tolist())
