"""Values against what a signature or a config says they are: numbers, texts and switches, looked at when they come in.

A text where a number was wanted, None or a list fails far inside otherwise, as a TypeError about an operator. What is declared as
`int`, `float`, `str`, `bool`, a `Literal`, or one of these or None is checked; everything else is its reader's own business.
"""

import difflib
import inspect
import numbers
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from probe.errors import BadCall, BadInput, brief

_LARGEST = 2**63 - 1
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False", type(None): "None"}


def look_at_values(what: str, declared: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """BadInput for the first value that is not what it is declared to be."""
    for name, hint in declared.items():
        if name in values and (kinds := plain_kinds(hint)) and not any(_is(values[name], kind) for kind in kinds):
            wanted = " or ".join(dict.fromkeys(_said(kind) for kind in kinds))
            raise BadInput(f"{what}: {name} is {brief(values[name])}; {wanted} was wanted.")


def look_at_words(what: str, signature: inspect.Signature, named: Mapping[str, Any]) -> None:
    """BadCall for the first keyword that is none of the signature's, with those that look like it."""
    known = signature.parameters
    if named.keys() <= known.keys() or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    word = next(name for name in named if name not in known)
    close = [n for n in known if word in n.split("_")] or difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    said = f"Did you mean {' or '.join(close)}?" if close else f"It takes {', '.join(known)}."
    raise BadCall(f"{what} takes no `{word[:60]}`. {said}")


class Settings:
    """A dataclass of settings: a word it does not know is answered with those that look like it, as a value is."""

    if not TYPE_CHECKING:

        def __new__(cls, *given: Any, **named: Any) -> Any:
            look_at_words(cls.__name__, inspect.signature(cls), named)
            return super().__new__(cls)


def look_at_config(config: Any) -> None:
    """The same for the fields of a dataclass."""
    declared = {f.name: f.type for f in fields(config)}
    look_at_values(type(config).__name__, declared, {name: getattr(config, name) for name in declared})


def plain_kinds(hint: Any) -> tuple[Any, ...]:
    """The kinds a hint allows, if all of them are plain; else none."""
    parts = get_args(hint) if get_origin(hint) in (types.UnionType, Union) else (hint,)
    return parts if all(part in _WORDS or get_origin(part) is Literal for part in parts) else ()


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(kind))
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # a number of numpy or torch
        value = value.item()
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if kind is float:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        return real and value == value and (abs(value) <= 1e300 or abs(value) == float("inf"))
    return isinstance(value, kind)


def _said(kind: Any) -> str:
    return f"one of {', '.join(map(repr, get_args(kind)))}" if get_origin(kind) is Literal else _WORDS[kind]
