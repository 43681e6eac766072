"""The selection that all panels of a page share, as it stands in the address: token, layer, head, unit, node."""

import re
from typing import Any

from dash import Patch

_UNIT = re.compile(r"L(\d{1,4})([NF])(\d{1,9})")


def changes(before: dict[str, Any] | None, after: dict[str, Any]) -> Patch:
    """What a server-side completion changes, and nothing else: what a person chose meanwhile stays as it is."""
    patch = Patch()
    for name, value in after.items():
        if (before or {}).get(name) != value:
            patch[name] = value
    return patch


def selection_from(query: dict[str, str]) -> dict[str, Any]:
    """Token, layer, head, unit and node of an address, and its model and prompt; whatever is malformed is left out."""
    chosen: dict[str, Any] = {}
    for short, name in (("t", "token"), ("l", "layer"), ("n", "node")):
        if query.get(short, "").isdecimal() and len(query[short]) < 10:
            chosen[name] = int(query[short])
    layer, _, head = query.get("h", "").partition(".")
    if layer.isdecimal() and head.isdecimal() and len(layer) + len(head) < 10:
        chosen["head"] = f"{int(layer)}.{int(head)}"
    if _UNIT.fullmatch(query.get("u", "")):
        chosen["unit"] = query["u"]
    for short, name in (("m", "model"), ("p", "prompt")):
        if query.get(short):
            chosen[name] = query[short][:300]
    return chosen
