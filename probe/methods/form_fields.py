"""An argument as a person writes it into fields, of a form or an address: their texts, and the plain value they stand for.

One parameter is one field, but that a contrast of two tokens has a second one, for the token it is held against. Texts are those
of the command line (`kinds.py`); several values stand on a line each. What no field can hold (chat messages, ids) is
for whoever asks to keep beside the field.
"""

from collections.abc import Mapping
from typing import Any

from probe.methods.call import checked
from probe.methods.kinds import TargetKind, TokenKind
from probe.methods.read_declarations import Asks, Parameter

OTHER = "minus"
"""The second field of a token: the one it is held against."""


def parts_of(p: Parameter) -> tuple[str, ...]:
    """The fields of a parameter; the first has no name of its own."""
    differs = isinstance(p.kind, TargetKind) and not isinstance(p.kind, TokenKind)
    return ("", OTHER) if differs and not p.several else ("",)


def texts_of(p: Parameter, plain: Any) -> dict[str, str] | None:
    """A plain value as the texts of its fields; None where they cannot hold it."""
    if plain is None:
        return {}
    if p.several:
        lines = [p.kind.text(one) for one in plain]
        written = [line for line in lines if line is not None and "\n" not in line]
        return {"": "\n".join(written)} if len(written) == len(lines) else None
    if isinstance(plain, Mapping) and OTHER in parts_of(p):
        sides = {"": p.kind.text(plain["token"]), OTHER: p.kind.text(plain["other"])}
        return {part: text for part, text in sides.items() if text is not None}
    text = p.kind.text(plain)
    return None if text is None else {"": text}


def plain_of(about: Asks, p: Parameter, given: Mapping[str, Any]) -> Any:
    """The plain value of what stands in a parameter's fields. BadInput where it is none of its kind."""
    value = given.get("")
    if p.several:
        lines = value if isinstance(value, list) else str(value).splitlines()
        return checked(about, p, [p.kind.typed(str(line)) for line in lines if str(line).strip()])
    if given.get(OTHER) not in (None, ""):
        return checked(about, p, {"token": _typed(p, value or ""), "other": _typed(p, given[OTHER])})
    return checked(about, p, _typed(p, value))


def arguments_of(about: Asks, given: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """Arguments from all fields, by parameter and part; an empty field leaves its parameter at its default."""
    found = {}
    for p in about.parameters:
        mine = {part: given.get((p.name, part)) for part in parts_of(p)}
        if any(value not in (None, "", []) for value in mine.values()):
            found[p.name] = plain_of(about, p, mine)
    return found


def _typed(p: Parameter, value: Any) -> Any:
    return p.kind.typed(value) if isinstance(value, str) else value
