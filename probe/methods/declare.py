"""The decorator of a method, and what it does at run time: look at the arguments, and remember of the record how it was made."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from probe.errors import BadInput
from probe.show.made import remember

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Doc:
    """A parameter's sentence, for a form and a command's help. least, most: bounds of a number, both let in."""

    text: str
    least: float | None = None
    most: float | None = None


def method(name: str, *, group: str, paper: str = "", plan: str = "") -> Callable[[Function], Function]:
    """Marks a public function as a method: a command, a form and an entry of the catalogue follow from its declaration.

    name: of the command and the address, like `attention-rank`; under it results are stored, so it stays. group: the command's
    group. paper: where it comes from. plan: the function of the same file that says what a call would take, of the same
    arguments. All four are written as plain texts, since they are read without importing the file.
    """

    def declare(function: Function) -> Function:
        declared: list[Any] = []

        @functools.wraps(function)
        def door(*given: Any, **named: Any) -> Any:
            from probe.methods.call import Call

            if not declared:
                declared.append((_declared(function), inspect.signature(function)))
            about, signature = declared[0]
            try:
                bound = signature.bind(*given, **named)
            except TypeError as error:
                raise BadInput(f"{function.__name__}: {error}. It takes {', '.join(signature.parameters)}.") from error
            call = Call.of(about, bound.arguments)
            made = None if call is None else {**call.to_dict(), "command": call.shell() or ""}
            return remember(function(*given, **named), made)

        return door  # type: ignore[return-value]

    return declare


def _declared(function: Callable[..., Any]) -> Any:
    """The declaration of a function, read from its source as the other doors read it."""
    from probe.methods.reading import declared_in

    return next(one for one in declared_in(function.__module__) if one.function == function.__name__)
