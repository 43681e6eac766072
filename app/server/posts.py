"""What a page of ours can post: the framework trusts a callback's body, and answers anything else with a failure of its own.

A body that no page sends is answered with 400 and a sentence before the framework reads it; a part of the framework that is not
there with 404. What reaches a callback has the ids, the properties and the number of values that it declared.
"""

import json

from flask import Flask, Response, abort, request

from probe.artifacts.json import Json
from probe.errors import brief

POST = "/_dash-update-component"
PARTS = "/_dash-component-suites/"
_NUMBER, _TEXT, _SWITCH = (int, float, type(None)), (str, type(None)), (bool, type(None))
_PROPERTIES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("n_clicks", "n_intervals", "n_submit"), _NUMBER),
    **dict.fromkeys(("pathname", "search", "hash", "href"), _TEXT),
    **dict.fromkeys(("checked", "opened"), _SWITCH),
}


def check_posts(server: Flask, callbacks: Json) -> None:
    """Refuse what no page sends; `callbacks` is the framework's own table of them."""
    from dash.exceptions import DependencyException

    @server.before_request
    def posted():
        if request.path == POST and request.method == "POST" and (fault := _fault(callbacks)):
            abort(plain(f"No page of the dashboard asks this: {fault}. Load the page anew.", 400))

    @server.errorhandler(DependencyException)
    @server.errorhandler(404)
    def absent(_: Exception):
        return plain("There is no such address.", 404)

    @server.errorhandler(FileNotFoundError)
    def missing(problem: FileNotFoundError):
        if not request.path.startswith(PARTS):
            raise problem
        return plain("There is no such address.", 404)


def plain(sentence: str, status: int) -> Response:
    """A sentence as an answer."""
    return Response(sentence, status, mimetype="text/plain")


def _fault(callbacks: Json) -> str | None:
    """What is wrong with the request's body, or None."""
    try:
        body = json.loads(request.get_data(cache=True))
    except (ValueError, RecursionError, OSError):  # the last: its pieces are no pieces, or never came
        return "its body is not JSON"
    if not request.is_json or not isinstance(body, dict):
        return "its body is not a JSON object"
    known = callbacks.get(body.get("output")) if isinstance(body.get("output"), str) else None
    if known is None or "callback" not in known:
        return f"there is no callback {brief(body.get('output'))}"
    try:
        _check(body, known)
    except _Odd as odd:
        return str(odd)
    return None


class _Odd(Exception):
    """A body that the callback's declaration does not allow."""


def _check(body: Json, known: Json) -> None:
    """Raise _Odd unless a body has what the callback declares."""
    for part, declared in (("inputs", known["inputs"]), ("state", known["state"])):
        values = body.get(part, [])
        if not isinstance(values, list) or len(values) != len(declared):
            raise _Odd(f"{len(declared)} {part} were wanted, and {brief(values)} came")
        for value, wanted in zip(values, declared, strict=True):
            _check_part(value, wanted)
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(name, str) and _readable(name) for name in changed):
        raise _Odd(f"what changed is {brief(changed)}")
    if not known.get("no_output"):
        _check_outputs(body.get("outputs"), known["output"])


def _check_part(value: object, wanted: Json) -> None:
    """One input: the declared id and property, or for a pattern a list of some that fit it."""
    pattern = json.loads(wanted["id"]) if wanted["id"].startswith("{") else None
    wild = pattern is not None and any(v in (["ALL"], ["ALLSMALLER"]) for v in pattern.values())
    if wild != isinstance(value, list):
        raise _Odd(f"{wanted['id']} came as {brief(value)}")
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict) or one.get("property") != wanted["property"] or not _fits(one.get("id"), wanted):
            raise _Odd(f"{wanted['id']}.{wanted['property']} was wanted, and {brief(one)} came")
        if not isinstance(one.get("value"), _PROPERTIES.get(wanted["property"], (object,))):
            raise _Odd(f"{wanted['id']}.{wanted['property']} cannot be {brief(one['value'])}")


def _fits(name: object, wanted: Json) -> bool:
    """Whether the id of a component is the one wanted, or fits the wanted pattern."""
    if not wanted["id"].startswith("{"):
        return name == wanted["id"]
    pattern = json.loads(wanted["id"])
    if not isinstance(name, dict) or set(name) != set(pattern):
        return False
    return all(
        isinstance(name[k], str | int | float) and (isinstance(v, list) or name[k] == v) for k, v in pattern.items()
    )


def _check_outputs(outputs: object, declared: Json | list[Json]) -> None:
    """The places to write: as many as declared, each an id and a property (a list of them for a pattern)."""
    several = isinstance(declared, list | tuple | dict)
    places = outputs if several else [outputs]
    if not isinstance(places, list) or len(places) != (len(declared) if several else 1):
        raise _Odd(f"where to write is {brief(outputs)}")
    for place in places:
        for one in place if isinstance(place, list) else [place]:
            if not isinstance(one, dict) or not isinstance(one.get("property"), str) or "id" not in one:
                raise _Odd(f"where to write is {brief(one)}")


def _readable(name: str) -> bool:
    """`id.property`, where an id that is a pattern is JSON."""
    where, dot, _ = name.rpartition(".")
    if not where.startswith("{"):
        return bool(dot)
    try:
        return isinstance(json.loads(where), dict)
    except (ValueError, RecursionError):
        return False
