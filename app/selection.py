"""The selection that all panels of a page share, as it stands in the address: token, layer, head, unit, node."""

from typing import TYPE_CHECKING, Any

from dash import Patch

from probe.heads.first_chosen import first_head
from probe.model.unit_names import UnitName

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns
    from probe.lens.logit import LensResult


SHOWN = "show-"
"""How keys begin, in a selection and in an address, that say how a figure is turned."""
Selection = dict[str, Any]
"""The selection as the browser holds it: JSON, of which any part may be missing or, in an address, wrong."""


def changes(before: Selection | None, after: Selection) -> Patch:
    """What a server-side completion changes, and nothing else: what a person chose meanwhile stays as it is."""
    patch = Patch()
    for name, value in after.items():
        if (before or {}).get(name) != value:
            patch[name] = value
    return patch


def selection_from(query: dict[str, str]) -> Selection:
    """Token, layer, head, unit and node of an address, and its model and prompt; whatever is malformed is left out."""
    chosen: dict[str, Any] = {}
    for short, name in (("t", "token"), ("l", "layer"), ("n", "node"), ("c", "column")):
        if query.get(short, "").isdecimal() and len(query[short]) < 10:
            chosen[name] = int(query[short])
    layer, _, head = query.get("h", "").partition(".")
    if layer.isdecimal() and head.isdecimal() and len(layer) + len(head) < 10:
        chosen["head"] = f"{int(layer)}.{int(head)}"
    unit = UnitName.typed(query.get("u", ""))
    if unit is not None and unit.kind != "head" and str(unit) == query["u"]:
        chosen["unit"] = query["u"]
    for short, name in (("m", "model"), ("p", "prompt")):
        if query.get(short):
            chosen[name] = query[short][:300]
    return chosen | {name: value[:40] for name, value in query.items() if name.startswith(SHOWN)}


def position(selection: Selection | None, record: "HeadPatterns | LensResult") -> int:
    """The selected token, the last one when none is or the address names one that is not there."""
    at = (selection or {}).get("token")
    return at if isinstance(at, int) and 0 <= at < len(record.tokens) else len(record.tokens) - 1


def chosen_head(selection: Selection | None, heads: "HeadPatterns") -> tuple[int, int]:
    """Layer and head of the selection; else the one that is looked at first (`probe.heads.first_chosen`)."""
    layer, _, head = str((selection or {}).get("head") or "").partition(".")
    layers, count = heads.patterns.shape[:2]
    if layer.isdecimal() and head.isdecimal() and int(layer) < layers and int(head) < count:
        return int(layer), int(head)
    return first_head(heads.metrics)
