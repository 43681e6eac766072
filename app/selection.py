"""The selection that all panels of a page share, as it stands in the address: token, layer, head, node."""

from typing import Any


def selection_from(query: dict[str, str]) -> dict[str, Any]:
    """Token, layer and head of an address; whatever is malformed is left out."""
    chosen: dict[str, Any] = {}
    for short, name in (("t", "token"), ("l", "layer"), ("n", "node")):
        if query.get(short, "").isdigit():
            chosen[name] = int(query[short])
    layer, _, head = query.get("h", "").partition(".")
    if layer.isdigit() and head.isdigit():
        chosen["head"] = f"{int(layer)}.{int(head)}"
    return chosen
