"""A change as it is written, `zero:L9H6` or `scale=2:L5N120@3`; `probe.changes` makes of it what a model runs. No torch."""

import re
from typing import NamedTuple

from probe.errors import BadInput
from probe.unit_names import NamedUnit, position_of, unit_named

SYNONYMS = {"ablate": "zero", "add": "steer"}
"""Words of the field for the same change; the second is shown."""
EXAMPLES = "zero:L9H6, scale=2:L5N120, clamp=8:L4F650@3 or steer=5:L4F650"
_CHANGE = re.compile(r"(?:(?P<how>[a-z]+)(?:=(?P<amount>[^:]*))?:)?(?P<where>[^:@]+)(?:@(?P<pos>.*))?")


class Change(NamedTuple):
    """A change as it was written: how, by how much, and where (a unit, or the name of a site and positions)."""

    how: str
    amount: float
    where: NamedUnit | str
    pos: int | slice | None


def parse_change(text: str) -> Change:
    """What a text asks for; BadInput where it is no change."""
    found = _CHANGE.fullmatch(text.strip())
    how = SYNONYMS.get(found["how"] or "zero", found["how"] or "zero") if found else ""
    if found is None or how not in ("zero", "scale", "clamp", "steer"):
        raise BadInput(f"'{text[:60]}' is no change. Write {EXAMPLES}.")
    if (how == "zero") != (found["amount"] is None):
        said = "takes no amount" if how == "zero" else "does not say by how much"
        raise BadInput(f"'{text[:60]}' {said}; write {EXAMPLES}.")
    named = found["where"] + (f"@{found['pos']}" if found["pos"] is not None else "")
    unit = unit_named(named)
    if unit is None and re.match(r"[a-z_.]", found["where"]) is None:
        raise BadInput(
            f"'{text[:60]}' is no change: '{found['where'][:40]}' names no unit and no site. Write {EXAMPLES}."
        )
    pos = unit.pos if unit else position_of(found["pos"], text)
    return Change(how, _number(found["amount"], text), unit or found["where"], pos)


def _number(amount: str | None, text: str) -> float:
    try:
        return float(amount) if amount is not None else 0.0
    except ValueError as error:
        raise BadInput(f"'{amount[:20] if amount else amount}' in '{text[:60]}' is no number.") from error
