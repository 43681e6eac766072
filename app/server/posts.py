"""What a page of ours can post: the framework trusts a callback's body, and answers anything else with a failure of its own.

A body that no page sends is answered with 400 and a sentence before the framework reads it. What reaches a callback has the ids,
the properties and the number of values that it declared.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from flask import Flask, abort, request

from app.server.plain_answers import plain
from probe.artifacts.json import Json
from probe.artifacts.schemas import Rule, anything, fields, maybe, number, several, text, yes_or_no
from probe.errors import brief

POST = "/_dash-update-component"
_VALUES: dict[str, Rule] = {
    **dict.fromkeys(("n_clicks", "n_intervals", "n_submit"), maybe(number())),
    **dict.fromkeys(("pathname", "search", "hash", "href"), maybe(text)),
    **dict.fromkeys(("checked", "opened"), maybe(yes_or_no)),
}
"""What these properties may be, of whichever component."""
_PLACE = fields({"id": anything, "property": text})


def check_posts(server: Flask, callbacks: Json) -> None:
    """Refuse what no page sends; `callbacks` is the framework's own table of them."""

    @server.before_request
    def posted():
        if request.path == POST and request.method == "POST" and (fault := _fault(callbacks)):
            abort(plain(f"No page of the dashboard asks this: {fault}. Load the page anew.", 400))


def _fault(callbacks: Json) -> str | None:
    """What is wrong with the request's body, or None."""
    try:
        body = json.loads(request.get_data(cache=True))
    except (ValueError, RecursionError, OSError):  # the last: its pieces are no pieces, or never came
        return "its body is not JSON"
    if not request.is_json or not isinstance(body, dict):
        return "its body is not a JSON object"
    known = callbacks.get(name) if isinstance(name := body.get("output"), str) else None
    if known is None or "callback" not in known:
        return f"there is no callback {brief(name)}"
    return next(_faults(body, known), None)


def _faults(body: Json, known: Json) -> Iterator[str]:
    """What a body has, or lacks, beside what the callback declares."""
    for part, declared in (("inputs", known["inputs"]), ("state", known["state"])):
        values = body.get(part, [])
        if not isinstance(values, list) or len(values) != len(declared):
            yield f"{len(declared)} {part} were wanted, and {brief(values)} came"
        for value, wanted in zip(values, declared, strict=True):
            yield from _odd(value, wanted)
    changed = body.get("changedPropIds", [])
    if not several(_readable)(changed):
        yield f"what changed is {brief(changed)}"
    outputs, declared = body.get("outputs"), known["output"]
    if not isinstance(declared, list | tuple | dict):
        outputs, declared = [outputs], [declared]
    if not known.get("no_output") and not (several(_places)(outputs) and len(outputs) == len(declared)):
        yield f"where to write is {brief(outputs)}"


def _odd(value: Any, wanted: Json) -> Iterator[str]:
    """What is odd about one input, which has the declared id and property, or for a pattern is a list of some that fit it."""
    pattern, name = _pattern(wanted["id"]), f"{wanted['id']}.{wanted['property']}"
    wild = isinstance(pattern, dict) and any(v in (["ALL"], ["ALLSMALLER"]) for v in pattern.values())
    if wild != isinstance(value, list):
        yield f"{wanted['id']} came as {brief(value)}"
    for one in value if wild else [value]:
        if not _PLACE(one) or one["property"] != wanted["property"] or not _fits(one["id"], pattern):
            yield f"{name} was wanted, and {brief(one)} came"
        if not _VALUES.get(wanted["property"], anything)(one.get("value")):
            yield f"{name} cannot be {brief(one['value'])}"


@cache
def _pattern(name: str) -> Any:
    """An id as it is declared: a text, or the pattern that it writes."""
    return json.loads(name) if name.startswith("{") else name


def _fits(name: object, pattern: Any) -> bool:
    """Whether the id of a component is the one wanted, or fits the wanted pattern."""
    if not isinstance(pattern, dict) or not isinstance(name, dict) or set(name) != set(pattern):
        return name == pattern
    return all(
        isinstance(name[k], str | int | float) and (isinstance(v, list) or name[k] == v) for k, v in pattern.items()
    )


def _places(place: Any) -> bool:
    """Where to write: an id and a property, for a pattern a list of them."""
    return several(_PLACE)(place) if isinstance(place, list) else _PLACE(place)


def _readable(name: Any) -> bool:
    """`id.property`, where an id that is a pattern is JSON."""
    where, dot, _ = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    try:
        return bool(dot) and (not where.startswith("{") or isinstance(json.loads(where), dict))
    except (ValueError, RecursionError):
        return False
