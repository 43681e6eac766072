"""The decorator of a method, and what it does at run time: look at the arguments, and remember of the record how it was made."""

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from probe.errors import BadCall
from probe.show.made import remember
from probe.show.opening import came_from, origins

if TYPE_CHECKING:
    from probe.methods.read_declarations import Method

Function = TypeVar("Function", bound=Callable[..., Any])


def method(
    name: str,
    *,
    group: str,
    paper: str = "",
    plan: str = "",
    leaves: str = "",
    named: str = "",
    model_by: str = "",
) -> Callable[[Function], Function]:
    """Marks a public function as a method: a command, a form and an entry of the catalogue follow from its declaration.

    name: of the command and the address, like `attention-rank`; under it results are stored, so it stays. group: the command's
    group. paper: where it comes from.

    leaves: the kind of artifact that a call writes (`cache`, `dictionary`, ...) into the `folder` it takes; and it takes `resume`
    if it can go on with what was begun. A record that is stored as an artifact itself, like a graph, says so by its class.

    Three functions of the same file may say more of a call, each of those of its arguments that it takes (and of `model`, loaded,
    or its name where a name is made or looked for): plan, what it would take, as a record; named, what the artifact is called if
    nobody says so; model_by, the name of the model that is meant where none is named, or "".

    All are written as plain texts, since they are read without importing the file.
    """
    return _declare


def tool(
    name: str,
    *,
    group: str = "",
    plan: str = "",
    leaves: str = "",
    named: str = "",
    model_by: str = "",
    names: str = "",
) -> Callable[[Function], Function]:
    """Marks a public function as a tool: something to do by hand, in Python and as `openwork GROUP NAME`, without page and job.

    It may read and write files (`FileToRead`, ...). What Python takes by position the shell does too. The rest as of `method`.
    names: the function of the same file that lists the results a call stores, so that they are taken before it begins.
    """
    return _declare


def _declare(function: Function) -> Function:
    """The function, which looks at its arguments as they are declared. A method's record remembers the call."""
    declared: list[Any] = []

    @functools.wraps(function)
    def door(*given: Any, **named: Any) -> Any:
        from probe.methods.call import Call

        if not declared:
            declared.append((_declared(function), inspect.signature(function)))
        about, signature = declared[0]
        bound = _bound(about, signature, given, named)
        _listed(about, bound.arguments)
        call = Call.of(about, bound.arguments)
        _loaded(about, bound.arguments)
        found = function(*bound.args, **bound.kwargs)
        if bound.arguments.get("model") is not None and about.of_model and not origins(found):
            came_from(found, bound.arguments["model"])
        return remember(found, call.made if call is not None and about.page else None)

    door.looks_itself = True  # type: ignore[attr-defined]  # at its arguments: the public name looks at the model alone
    return door  # type: ignore[return-value]


def _bound(
    about: "Method", signature: inspect.Signature, given: tuple[Any, ...], named: dict[str, Any]
) -> inspect.BoundArguments:
    """The call's arguments by name. BadCall, as from every door, for one that does not fit."""
    from probe.methods.call import look_at_names

    handed = [name for name in signature.parameters if about.parameter(name) is None]
    try:
        bound = signature.bind_partial(*given, **{n: v for n, v in named.items() if n in signature.parameters})
    except TypeError as error:
        raise BadCall(f"{about.name}: {error}. It takes {', '.join(signature.parameters)}.") from error
    look_at_names(about, {n: v for n, v in (bound.arguments | named).items() if n not in handed})
    if about.of_model and "model" not in bound.arguments and not about.without_model:
        raise BadCall(f"{about.name} is asked of a model, which comes first: ow.{about.function}(model, ...).")
    return bound


def _listed(about: "Method", arguments: dict[str, Any]) -> None:
    """Put a list in the place of what may be several: one alone, or what can be gone through once."""
    from probe.methods.call import listed

    for p in about.parameters:
        if p.several and not p.more and arguments.get(p.name) is not None:
            arguments[p.name] = listed(p, arguments[p.name])


def _loaded(about: "Method", arguments: dict[str, Any]) -> None:
    """Put dictionaries in the place of their names."""
    from probe.methods.kinds import DictionaryKind

    for p in about.parameters:
        value, model = arguments.get(p.name), arguments.get("model")
        if isinstance(p.kind, DictionaryKind) and value is not None:
            several = [p.kind.given(one, model) for one in value] if p.several else []
            arguments[p.name] = several if p.several else p.kind.given(value, model)


def _declared(function: Callable[..., Any]) -> Any:
    """The declaration of a function, read from its source as the other doors read it."""
    from probe.methods.read_declarations import declared_in

    return next(one for one in declared_in(function.__module__) if one.function == function.__name__)
