"""Values against what a signature or a config says they are: numbers, texts and switches, looked at when they come in.

A text where a number was wanted, None or a list fails far inside otherwise, as a TypeError about an operator. What is declared as
`int`, `float`, `str`, `bool`, a `Literal`, or one of these or None is checked; everything else is its reader's own business.
"""

import numbers
import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin

from probe.errors import BadInput, brief

_LARGEST = 2**63 - 1
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False", type(None): "None"}


def look_at_values(what: str, declared: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """BadInput for the first value that is not what it is declared to be."""
    for name, hint in declared.items():
        if name in values and (kinds := plain_kinds(hint)) and not any(_is(values[name], kind) for kind in kinds):
            wanted = " or ".join(dict.fromkeys(_said(kind) for kind in kinds))
            raise BadInput(f"{what}: {name} is {brief(values[name])}; {wanted} was wanted.")


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
