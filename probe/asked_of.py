"""The public door of a function that is asked of a model: the model comes first, and nothing else is one.

A model in another's place goes wrong far inside, in words about attributes; and a message that quotes it writes out 200,000
characters. So each public function whose first parameter is `model` looks at its arguments when it is called; and every public
function at those that are plain numbers, texts and switches.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from probe.errors import BadInput, brief
from probe.plain_values import look_at_values, plain_kinds


def asked_of_a_model(found: Any) -> Any:
    """A public function with its arguments looked at; anything else, and what can do without a model, as it is."""
    return _door(found) if inspect.isfunction(found) else found


@functools.cache
def _door(function: Callable) -> Callable:
    names = list(inspect.signature(function).parameters.values())
    of_model = bool(names) and names[0].name == "model" and names[0].default is inspect.Parameter.empty
    declared = {p.name: p.annotation for p in names if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if not of_model and not any(map(plain_kinds, declared.values())):
        return function

    @functools.wraps(function)
    def door(*given: Any, **named: Any) -> Any:
        if of_model and (given or "model" in named):
            _look(function.__name__, names, given, named)
        look_at_values(function.__name__, declared, dict(zip(declared, given, strict=False)) | named)
        return function(*given, **named)

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


def is_model(value: Any) -> bool:
    """Whether this is a loaded model (a `TransformerBridge`, or what stands for one)."""
    return hasattr(value, "original_model") and hasattr(value, "cfg")
