"""Values against what a signature or a config says they are, looked at when they come in.

A text where a number was wanted, None for a cache or a graph fails far inside otherwise, as a TypeError about an operator or an
AttributeError. Numbers, texts, switches, collections and what is made here are checked (`probe.wanted`).
"""

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from probe.doc import Doc
from probe.errors import BadCall, BadInput, brief
from probe.wanted import Wanted, wanted

_NOTHING: Mapping[str, Wanted] = {}
Found = TypeVar("Found")


def all_wanted(declared: Mapping[str, Any]) -> dict[str, Wanted]:
    """What is wanted of each name whose hint is understood."""
    return {name: found for name, hint in declared.items() if (found := wanted(hint)) is not None}


def look_at_values(
    what: str, of: Mapping[str, Wanted], values: Mapping[str, Any], by_name: Mapping[str, Wanted] = _NOTHING
) -> None:
    """BadInput for the first value that is not what it is declared to be. by_name: those given by keyword alone; where a text
    stands in another's place, they are told."""
    for name, one in of.items():
        if name in values and not one.is_met(value := values[name]):
            others = [n for n, o in by_name.items() if n not in values and isinstance(value, str) and o.is_met(value)]
            said = (
                f" By name, {' or '.join(others)} takes a text: {what}({others[0]}={brief(value)})." if others else ""
            )
            raise BadInput(f"{what}: {name} is {brief(value)}; {one.words} was wanted.{said}")


def look_at_words(what: str, signature: inspect.Signature, named: Mapping[str, Any]) -> None:
    """BadCall for the first keyword that is none of the signature's, with those that look like it."""
    known = signature.parameters
    if named.keys() <= known.keys() or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    word = next(name for name in named if name not in known)
    raise BadCall(f"{what} takes no `{word[:60]}`. {meant(word, known)}")


def meant(word: str, known: Iterable[str]) -> str:
    """Which of the names that are known look like an unknown one; all of them where none does."""
    known, word = list(known), word[:80]
    close = [n for n in known if word in n.split("_")] or difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(close)}?" if close else f"It takes {', '.join(known)}."


class Settings:
    """A dataclass of settings: a word it does not know is answered with those that look like it, as a value is."""

    if not TYPE_CHECKING:

        def __new__(cls, *given: Any, **named: Any) -> Any:
            if named:
                look_at_words(cls.__name__, _signature(cls), named)
            return super().__new__(cls)


def takes_fields(
    name: str, config: type, only: tuple[str, ...] = ()
) -> Callable[[Callable[..., Found]], Callable[..., Found]]:
    """A function that takes the settings `name` takes their fields (or `only` some) as keywords too: with `batch` a field of
    HarvestConfig, `harvest(..., batch=4)` is `harvest(..., config=HarvestConfig(batch=4))`. Of both, the keyword decides."""
    known = {f.name: f for f in fields(config) if f.name in only or not only}

    def decorate(function: Callable[..., Found]) -> Callable[..., Found]:
        at = [*inspect.signature(function).parameters].index(name)

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Found:
            some = {field: named.pop(field) for field in known.keys() & named.keys()}
            placed = len(given) > at  # the settings by their place
            whole = given[at] if placed else named.get(name)
            if not isinstance(whole, config | None):
                raise BadInput(f"{function.__name__}: {name} is {brief(whole)}; a {config.__name__} was wanted.")
            whole = config(**some) if whole is None else replace(whole, **some)
            return (
                function(*given[:at], whole, *given[at + 1 :], **named)
                if placed
                else function(*given, **{**named, name: whole})
            )

        call.__signature__ = _with_fields(inspect.signature(function), name, known.values())  # type: ignore[attr-defined]
        return call

    return decorate


def _with_fields(signature: inspect.Signature, name: str, fields_of: Iterable[Field]) -> inspect.Signature:
    """The fields as keywords before the settings themselves, which is where people look for them, or before other keywords."""
    word = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter(f.name, word, default=None if f.default is MISSING else f.default, annotation=f.type)
        for f in fields_of
    ]
    parts = list(signature.parameters.values())
    at = next((i for i, p in enumerate(parts) if p.kind is word), len(parts))
    at = next((i for i, p in enumerate(parts) if p.name == name and p.kind is word), at)
    return signature.replace(parameters=[*parts[:at], *more, *parts[at:]])


def look_at_config(config: Any) -> None:
    """The same for the fields of a dataclass, whose numbers may have bounds."""
    of = _fields_wanted(type(config))
    for name, one in of.items():
        if not one.is_met(value := getattr(config, name)):
            look_at_values(type(config).__name__, of, {name: value})
    for name, doc in _bounds(type(config)).items():
        value = getattr(config, name)
        if value is not None and not (math.isfinite(value) and doc.lets_in(value)):
            words = doc.number_words(whole=int in of[name].parts)
            words = words if math.isfinite(value) else words.replace("a number", "a finite number")
            raise BadInput(f"{type(config).__name__}: {name} is {brief(value)}; {words} was wanted.")


_signature = functools.cache(inspect.signature)


@functools.cache
def _fields_wanted(config: type) -> dict[str, Wanted]:
    return all_wanted({f.name: f.type for f in fields(config)})


@functools.cache
def _bounds(config: type) -> dict[str, Doc]:
    """What is said of each field beside its type."""
    docs = {f.name: getattr(f.type, "__metadata__", ()) for f in fields(config)}
    return {name: doc for name, found in docs.items() for doc in found if isinstance(doc, Doc) and doc.bounded}
