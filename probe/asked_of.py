"""The public door of a function that is asked of a model: the model comes first, and nothing else is one.

A model in another's place goes wrong far inside, in words about attributes; and a message that quotes it writes out 200,000
characters. So each public function whose first parameter is `model` looks at its arguments when it is called; and every public
function at those that are plain numbers, texts and switches. A model may be given by its name or folder, or as transformers holds
it: inside it is always the loaded one.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from importlib import import_module
from os import PathLike
from typing import Any, NoReturn

from probe.errors import BadCall, BadInput, brief
from probe.plain_values import all_wanted, look_at_values, look_at_words


def asked_of_a_model(found: Any) -> Any:
    """A public function with its arguments looked at; anything else, and what can do without a model, as it is."""
    return _door(found) if inspect.isfunction(found) else found


def looked_at(method: Callable) -> Callable:
    """The same for a method; of `__init__`, what is said names the class."""

    @functools.wraps(method)
    def door(self: Any, *given: Any, **named: Any) -> Any:
        given, named = _method_look(method)(given, named)
        return method(self, *given, **named)

    return door


@functools.cache
def _method_look(method: Callable) -> "Callable[[tuple[Any, ...], dict[str, Any]], Call]":
    """Made when it is first needed: importing does no work."""
    name = method.__qualname__.split(".")[-2] if method.__name__ == "__init__" else method.__name__
    return _look_of(name, inspect.Signature([*inspect.signature(method).parameters.values()][1:]))


@functools.cache
def _door(function: Callable) -> Callable:
    look = _look_of(function.__name__, inspect.signature(function), not hasattr(function, "looks_itself"))

    @functools.wraps(function)
    def door(*given: Any, **named: Any) -> Any:
        given, named = look(given, named)
        return function(*given, **named)

    return door


Call = tuple[tuple[Any, ...], dict[str, Any]]


def _look_of(
    name: str, signature: inspect.Signature, at_all: bool = True
) -> Callable[[tuple[Any, ...], dict[str, Any]], Call]:
    """What looks at a call's arguments, and gives them back. `signature.bind` would take most of the time, so it speaks only
    where a call does not fit. at_all: at all of them, or at the model alone, where the function looks at the others."""
    every = list(signature.parameters.values())
    names = [p for p in every if p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = {p.name for p in every if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    of_model = bool(names) and names[0].name == "model" and ("model" in needed or not at_all)
    declared = {p.name: p.annotation for p in every if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if of_model:
        declared.pop("model")  # it is looked at first
    read = {one: reader for one, reader in _READERS.items() if one in declared and "str" not in str(declared[one])}
    of = all_wanted({one: hint for one, hint in declared.items() if one not in read})
    by_name = {p.name: of[p.name] for p in every if p.kind is p.KEYWORD_ONLY and p.name in of}
    of = {one: found for one, found in of.items() if not (one in _NAMED_THINGS and str in found.parts)}

    def look(given: tuple[Any, ...], named: dict[str, Any]) -> Call:
        if of_model and (named.get("model") if not given else given[0]) is None and "model" not in needed:
            return given, named
        if of_model and (given or "model" in named):
            given, named = _with_model(name, names, given, named)
        if not at_all:
            return given, named
        if named:
            look_at_words(name, signature, named)
        values = {p.name: value for p, value in zip(names, given, strict=False)}
        if len(given) > len(names) or (named and values.keys() & named.keys()) or needed - values.keys() - named.keys():
            _refuse(name, signature, given, named)
        values.update(named)
        look_at_values(name, of, values, by_name)
        found = [one for one in read if one in values]
        for one in found:
            values[one] = read[one](name, values[one], declared[one])
        return ((), values) if found else (given, named)

    return look


def _refuse(name: str, signature: inspect.Signature, given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """BadCall for a call that does not fit, in Python's words."""
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        raise BadCall(f"{name}: {error}. It takes {', '.join(signature.parameters)}.") from error


def _with_model(name: str, names: list[inspect.Parameter], given: tuple[Any, ...], named: dict[str, Any]) -> Call:
    """The call with its model loaded. BadInput unless the model, and the model alone, is one."""
    model, *others = given or (named["model"],)
    doubled = any(map(is_model, others)) or (bool(named) and any(map(is_model, _beside(named))))
    if is_model(model) and not doubled:
        return given, named
    if doubled or not can_be_model(model):
        _refuse_model(name, names, given, named)
    try:
        model = _at_hand(model)
    except BadInput as error:
        _refuse_model(name, names, given, named, error)
    return ((model, *others), named) if given else (given, {**named, "model": model})


def _refuse_model(
    name: str, names: list[inspect.Parameter], given: tuple[Any, ...], named: dict[str, Any], why: Any = ""
) -> NoReturn:
    call = f"{name}({', '.join(p.name for p in names if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD)})"
    values = dict(zip((p.name for p in names), given, strict=False)) | named
    if not is_model(values["model"]):
        came = f"{brief(values['model'])} came {'first' if given else 'as `model`'}"
        said = f" ({str(why).rstrip('.')[:120]})" if why else ""
        raise BadInput(
            f"{name} is asked of a loaded model, and {came}{said}. Write {call}; load one with load_model()."
        )
    doubled = next(one for one, value in values.items() if one != "model" and is_model(value))
    raise BadInput(f"{call} was given a model as `{doubled}`; the model comes first, and once.")


def _beside(named: dict[str, Any]) -> list[Any]:
    return [value for name, value in named.items() if name != "model"]


def dictionaries_in(name: str, value: Any, hint: Any = None) -> Any:
    """Dictionaries as a list: one alone is a list of one; names and None are none."""
    if hasattr(value, "sites_in") or hasattr(value, "site_in") or hasattr(value, "parts"):
        return [value]
    wrong = [one for one in value if isinstance(one, str | PathLike)] if isinstance(value, list | tuple) else []
    if wrong or isinstance(value, str | PathLike):
        raise BadInput(
            f"{name}: dictionaries holds {brief((wrong or [value])[0])}, a name. Give load_dictionary(NAME)."
        )
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise BadInput(f"{name}: dictionaries is {brief(value)}; a list of dictionaries was wanted, empty for none.")
    return value


def model_in(name: str, value: Any, hint: Any = None) -> Any:
    """A model that need not be given, loaded where it is."""
    if value is None or is_model(value) or not can_be_model(value):
        return value
    try:
        return _at_hand(value)
    except BadInput as error:
        said = str(error).rstrip(".")[:160]
        raise BadInput(f"{name}: model is {brief(value)} ({said}). Give a loaded model, of load_model().") from error


def _config_in(name: str, value: Any, hint: Any) -> Any:
    if value is None or (is_dataclass(value) and not isinstance(value, type)):
        return value
    wanted = getattr(hint, "__name__", str(hint)).removesuffix(" | None").rpartition(".")[2]
    raise BadInput(f"{name}: config is {brief(value)}; a {wanted} was wanted, like {wanted}(...).")


def _graph_in(name: str, value: Any, hint: Any) -> Any:
    if hasattr(value, "nodes") and hasattr(value, "edges"):
        return value
    raise BadInput(f"{name}: graph is {brief(value)}; a graph was wanted, of trace() or load_graph().")


_NAMED_THINGS = ("sites", "kind", "target", "targets", "answers")
"""Where these may be texts, they are looked at where they are read, in better words."""
_READERS = {"model": model_in, "dictionaries": dictionaries_in, "config": _config_in, "graph": _graph_in}
"""What looks at the arguments of these names: each returns the argument, or what stands for it."""


def is_model(value: Any) -> bool:
    """Whether this is a loaded model (a `TransformerBridge`, or what stands for one)."""
    return type(value) not in _PLAIN and hasattr(value, "original_model") and hasattr(value, "cfg")


def can_be_model(value: Any) -> bool:
    """Whether this may name a model, or is one of transformers."""
    return isinstance(value, str | PathLike) or any(kind.__name__ == "PreTrainedModel" for kind in type(value).__mro__)


def _at_hand(value: Any) -> Any:
    return import_module("probe.model.at_hand").at_hand(value)  # by name: loading stands in a room above


_PLAIN = (str, int, float, bool, list, tuple, dict, type(None))
