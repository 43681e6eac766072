"""The public door of a function that is asked of a model: the model comes first, and nothing else is one.

A model in another's place goes wrong far inside, in words about attributes; and a message that quotes it writes out 200,000
characters. So each public function whose first parameter is `model` looks at its arguments when it is called; and every public
function at those that are plain numbers, texts and switches.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from os import PathLike
from typing import Any

from probe.errors import BadCall, BadInput, brief
from probe.plain_values import look_at_values, look_at_words


def asked_of_a_model(found: Any) -> Any:
    """A public function with its arguments looked at; anything else, and what can do without a model, as it is."""
    return _door(found) if inspect.isfunction(found) else found


@functools.cache
def _door(function: Callable) -> Callable:
    signature = inspect.signature(function)
    names = list(signature.parameters.values())
    of_model = bool(names) and names[0].name == "model" and names[0].default is inspect.Parameter.empty
    declared = {p.name: p.annotation for p in names if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    read = {name: reader for name, reader in _READERS.items() if name in declared and "str" not in str(declared[name])}

    @functools.wraps(function)
    def door(*given: Any, **named: Any) -> Any:
        if of_model and (given or "model" in named):
            _look(function.__name__, names, given, named)
        look_at_words(function.__name__, signature, named)
        try:
            bound = signature.bind(*given, **named)
        except TypeError as error:
            raise BadCall(f"{function.__name__}: {error}. It takes {', '.join(signature.parameters)}.") from error
        look_at_values(function.__name__, declared, values := bound.arguments)
        values.update({n: look(function.__name__, values[n], declared[n]) for n, look in read.items() if n in values})
        return function(*bound.args, **bound.kwargs)

    return door


def _look(name: str, names: list[inspect.Parameter], given: tuple[Any, ...], named: dict[str, Any]) -> None:
    """BadInput unless the model, and the model alone, is one."""
    call = f"{name}({', '.join(p.name for p in names if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD)})"
    values = dict(zip((p.name for p in names), given, strict=False)) | named
    if not is_model(values["model"]):
        came = f"{brief(values['model'])} came {'first' if given else 'as `model`'}"
        raise BadInput(f"{name} is asked of a loaded model, and {came}. Write {call}; load one with load_model().")
    if doubled := [one for one, value in values.items() if one != "model" and is_model(value)]:
        raise BadInput(f"{call} was given a model as `{doubled[0]}`; the model comes first, and once.")


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


def _config_in(name: str, value: Any, hint: Any) -> Any:
    if value is None or (is_dataclass(value) and not isinstance(value, type)):
        return value
    wanted = getattr(hint, "__name__", str(hint)).removesuffix(" | None").rpartition(".")[2]
    raise BadInput(f"{name}: config is {brief(value)}; a {wanted} was wanted, like {wanted}(...).")


def _graph_in(name: str, value: Any, hint: Any) -> Any:
    if hasattr(value, "nodes") and hasattr(value, "edges"):
        return value
    raise BadInput(f"{name}: graph is {brief(value)}; a graph was wanted, of trace() or load_graph().")


_READERS = {"dictionaries": dictionaries_in, "config": _config_in, "graph": _graph_in}
"""What looks at the arguments of these names: each returns the argument, or what stands for it."""


def is_model(value: Any) -> bool:
    """Whether this is a loaded model (a `TransformerBridge`, or what stands for one)."""
    return hasattr(value, "original_model") and hasattr(value, "cfg")
