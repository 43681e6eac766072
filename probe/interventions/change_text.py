"""A change as it is written, `ablate:L9H6` or `scale=2:L5N120@3`; `changes.py` makes of it what a model runs. No torch."""

import difflib
import re
from typing import NamedTuple

from probe.errors import BadInput
from probe.model.sites import GLOSSARY, site_named
from probe.model.unit_names import UnitName, nearly, position_of

SYNONYMS = {"ablate": "zero", "add": "steer", "patch": "restore"}
"""Words of the field for the same change; the first is shown, and both are taken."""
WORDS = {old: word for word, old in SYNONYMS.items()}
HOW = ("zero", "mean", "scale", "clamp", "steer", "restore")
_PLAIN = ("zero", "mean", "restore")  # they take no amount
EXAMPLES = "ablate:L9H6, scale=2:L5N120, clamp=8:L4F650@3 or add=5:L4F650"
_CHANGE = re.compile(r"(?:(?P<how>[a-z]+)(?:=(?P<amount>[^:]*))?:)?(?P<where>[^:@]+)(?:@(?P<pos>.*))?")


STARTS = {"scale": 2.0, "clamp": 8.0, "add": 8.0}
"""Amounts that are good to begin with, of changes that take one."""
MEANS = {
    "ablate": "Ablate: its activation is set to 0.",
    "mean": "Mean: it is held at its mean over the positions of the prompt.",
    "scale": "Scale: its activation times the amount.",
    "clamp": "Clamp: its activation is held at the amount.",
    "add": "Add: the amount is added to its activation, whether it fires or not.",
}
OF_HEAD, OF_UNIT = ("ablate", "mean", "scale"), ("ablate", "mean", "scale", "clamp", "add")
"""How a head, and a neuron or latent, is most often changed; each takes more."""


class Change(NamedTuple):
    """A change as it was written: how, by how much, and where (a unit, or the name of a site and positions)."""

    how: str
    amount: float
    where: UnitName | str
    pos: int | slice | None


def parse_change(text: str) -> Change:
    """What a text asks for; BadInput where it is no change."""
    found = _CHANGE.fullmatch(text.strip())
    how = SYNONYMS.get(found["how"] or "zero", found["how"] or "zero") if found else ""
    if found is None or how not in HOW:
        raise BadInput(f"'{text[:60]}' is no change.{_how_meant(how)} Write {EXAMPLES}.")
    _require_order(text, found["how"] or "ablate", how)
    if (how in _PLAIN) != (found["amount"] is None):
        said = "takes no amount" if how in _PLAIN else "does not say by how much"
        raise BadInput(f"'{text[:60]}' {said}; write {EXAMPLES}.")
    named = found["where"] + (f"@{found['pos']}" if found["pos"] is not None else "")
    unit = UnitName.parse(named)
    if unit is None:
        _require_site(text, found["where"], named)
    pos = unit.pos if unit else position_of(found["pos"], text)
    return Change(how, _number(found["amount"], text), unit or found["where"], pos)


def written(how: str, amount: object, unit: str, pos: int | None) -> str:
    """`clamp=8:L1N5@2`: the change as every door reads it."""
    by = f"={amount:g}" if how in STARTS and isinstance(amount, int | float) else ""
    return f"{how}{by}:{unit}" + ("" if pos is None else f"@{pos}")


def _how_meant(how: str) -> str:
    close = difflib.get_close_matches(how, [*HOW, *SYNONYMS], n=1) if how else []
    return f" Did you mean {close[0]}?" if close else ""


def _require_order(text: str, written: str, how: str) -> None:
    """BadInput where the amount stands behind the place: `clamp:L1N7=3`."""
    if found := re.fullmatch(r"(?:[a-z]+:)?([^=:]+)=([^=:]+)", text.strip()):
        amount = "" if how in _PLAIN else f"={found[2][:20]}"
        raise BadInput(f"'{text[:60]}' has its amount behind the place; write {written}{amount}:{found[1][:30]}.")


def _require_site(text: str, where: str, named: str) -> None:
    """BadInput for what names no site either: what the unit was that it nearly names, or which sites are like it."""
    if meant := nearly(named):
        raise BadInput(f"'{text[:60]}' is no change: '{named[:40]}' names no unit.{meant}")
    if "." not in where and where not in GLOSSARY:
        raise BadInput(f"'{text[:60]}' is no change: '{where[:40]}' names no unit and no site. Write {EXAMPLES}.")
    site_named(where)


def _number(amount: str | None, text: str) -> float:
    try:
        return float(amount) if amount is not None else 0.0
    except ValueError as error:
        raise BadInput(f"'{amount[:20] if amount else amount}' in '{text[:60]}' is no number.") from error
