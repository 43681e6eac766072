"""What is asked for: parameters, and what has them: a method, a dataclass of settings, a function."""

from ast import get_docstring
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

from probe.methods.plain_kinds import Kind
from probe.methods.source import tree_of

REQUIRED = object()
"""The default of a parameter that has none."""
HANDED = ("model", "folder", "resume", "progress")
"""Not asked for as values, but handed in: the loaded model, where the artifact goes that a call makes, whether to go on with one
that was begun, and the progress."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter: its kind, default (plain) and sentence. optional: None is let in, and means what the sentence says.
    several: a list of the kind. by_name: given by keyword alone. more: Python may give what no file can hold. settings: the
    argument whose settings it is a field of. field: what it is called where it is declared, if not so."""

    name: str
    kind: Kind
    default: Any
    doc: str
    optional: bool = False
    several: bool = False
    by_name: bool = True
    more: bool = False
    settings: str = ""
    field: str = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, eq=False, kw_only=True)
class Asks:
    """What is asked for by name, and where that is declared: of a method, a dataclass, a function. in_python: what no file can
    hold, so that only Python gives it. of_model: whether it is asked of a loaded model."""

    name: str
    module: str
    parameters: tuple[Parameter, ...]
    in_python: tuple[str, ...] = ()
    of_model: bool = False

    def parameter(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)

    def only(self, *names: str) -> "Asks":
        """Some of them, in this order."""
        return replace(self, parameters=tuple(p for name in names for p in self.parameters if p.name == name))

    def without(self, *names: str) -> "Asks":
        return replace(self, parameters=tuple(p for p in self.parameters if p.name not in names))

    def called(self, **others: Any) -> "Asks":
        """The same where some are asked for by other names: `called(kinds="kind")`."""
        return replace(self, parameters=tuple(_renamed(p, others) for p in self.parameters))

    def starting(self, **defaults: Any) -> "Asks":
        """The same with other defaults."""
        found = (replace(p, default=defaults[p.name]) if p.name in defaults else p for p in self.parameters)
        return replace(self, parameters=tuple(found))

    def some(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are its own of what was given, by the names of where it is declared, as Python takes them."""
        found = {}
        for p in self.parameters:
            if p.name in given:
                value = given[p.name]
                found[p.field or p.name] = tuple(value) if p.several and value is not None else value
        return found

    def made(self, given: Mapping[str, Any]) -> Any:
        """What it declares, of what was given: the settings."""
        return getattr(_module(self.module), self.name)(**self.some(given))


def _renamed(p: Parameter, others: Mapping[str, str]) -> Parameter:
    return replace(p, name=others[p.name], field=p.name) if p.name in others else p


@dataclass(frozen=True, eq=False, kw_only=True)
class Method(Asks):
    """A method or a tool as it is declared. module, function: where it lives. summary: the docstring's first sentence; about: all
    of it. handed: what is handed to it beside its arguments (`model`, `folder`, `resume`, `progress`). returns: the class of its
    record. without_model: whether it may be asked without one. page: whether it has one, and a job, as a method does and a tool
    does not. leaves: the kind of artifact that a call makes. plan, named, model_by: functions of the same file, see
    `probe.methods.declare`."""

    group: str
    paper: str = ""
    plan: str = ""
    function: str
    summary: str
    about: str
    handed: tuple[str, ...] = ()
    returns: str = ""
    without_model: bool = False
    page: bool = True
    leaves: str = ""
    named: str = ""
    model_by: str = ""
    names: str = ""

    @property
    def definitions(self) -> str:
        """What its file opens with: formulas, units, what is whose choice."""
        return get_docstring(tree_of(self.module)) or ""

    @property
    def artifact(self) -> str:
        """The kind of artifact that is stored under a call's name: what it makes, or its record."""
        return self.leaves or artifact_of(self.returns)

    @property
    def words(self) -> list[str]:
        """What one types after `openwork`."""
        return [*self.group.split(), self.name]

    @property
    def plans_of_model(self) -> bool:
        """Whether what a call would take can only be said of the loaded model."""
        return self.of_model and bool(self.plan) and "model" in signature(self.function_beside(self.plan)).parameters

    @property
    def writes_markdown(self) -> bool:
        """Whether its record can be written as a document in Markdown."""
        return hasattr(getattr(_module(self.module), self.returns, None), "markdown")

    def positional(self, p: Parameter) -> bool:
        """Whether a parameter is typed without its name: of a tool, what Python takes so too."""
        return not self.page and not p.by_name and p.kind.control not in ("prompt", "token")

    def run(self, *given: Any, **named: Any) -> Any:
        """The function itself, imported now."""
        return getattr(_module(self.module), self.function)(*given, **named)

    def beside(self, function: str, given: Mapping[str, Any]) -> Any:
        """What a function of the same file says of a call, of those of the given that it takes; None where it has no name."""
        if not function:
            return None
        found = self.function_beside(function)
        taken = signature(found).parameters
        every = any(p.kind is p.VAR_KEYWORD for p in taken.values())
        return found(**{n: value for n, value in given.items() if n in taken or (every and n not in HANDED)})

    def function_beside(self, name: str) -> Callable[..., Any]:
        """A function of the same file, imported now."""
        return getattr(_module(self.module), name)


def artifact_of(record: str) -> str:
    """The kind of artifact that a record of this class is stored as: a graph as a graph, all others as results."""
    return {"CircuitGraph": "graph", "Traced": "graph"}.get(record, "result")


def _module(name: str) -> Any:
    from importlib import import_module

    return import_module(name)
