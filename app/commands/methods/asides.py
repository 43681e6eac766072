"""Options of before that ask something else of what a command makes: `openwork features --unit 3` is `openwork features unit` of
the table that `openwork features` would store, `openwork harvest --repair` is `openwork caches repair`."""

import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import signature
from typing import Annotated, Any

import typer

from app.commands.methods.command import command_of, dressed
from app.commands.methods.parameters_as_options import arguments_of
from app.commands.methods.stored import with_its_model
from probe.methods import catalogue
from probe.methods.call import Call, flag
from probe.methods.read_declarations import Method


@dataclass(frozen=True)
class Aside:
    """option: an old one, with the words of its help; a switch, or with a value. tool: what it asks, of what is stored under the
    name that the command was given, or would store it under: as `of`. value: the parameter that the option's value is. made:
    whether that is made first where it is not there."""

    option: str
    help: str
    tool: tuple[str, str]
    of: str
    value: str = ""
    made: bool = False

    @property
    def asked(self) -> Argument:
        """The option."""
        said = typer.Option(flag(self.option), help=f"{self.help} This is `openwork {' '.join(self.tool)}`.")
        kind = Annotated[str | None if self.value else bool, said]
        return Argument(self.option, Argument.KEYWORD_ONLY, default=None if self.value else False, annotation=kind)


def with_asides(command: Callable[..., None], about: Method, asides: Iterable[Aside]) -> Callable[..., None]:
    """A command that has these options too."""
    known = {one.option: one for one in asides}

    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in known}
        one = next((known[name] for name, value in chosen.items() if value not in (None, False)), None)
        if one is None or given["dry_run"]:
            command(**given)
            return
        from probe.artifacts.stored import is_registered

        asked = Call.checked(about, given.get("model") or "", arguments_of(about, given))
        name = given["save"] or with_its_model(asked).name()
        if one.made and not is_registered(about.leaves, name):
            with redirect_stdout(sys.stderr):  # what is asked for is told alone
                command(**given)
        other = command_of(catalogue.known()[one.tool]())
        found = {**given, one.of: name, **({one.value: chosen[one.option]} if one.value else {})}
        other(**{n: found.get(n, p.default) for n, p in signature(other).parameters.items()})

    options = [*signature(command).parameters.values(), *(one.asked for one in known.values())]
    return dressed(run, options, command.__doc__ or "", command.__name__)


REPAIR = Aside("repair", "Check the cache's files and make the damaged ones again.", ("caches", "repair"), "cache")
UNIT = Aside("unit", "Print this unit of the table (built if need be).", ("features", "unit"), "table", "unit", True)
_FOUND = "Print the densest units with this text in a label, a token or an example."
SEARCH = Aside("search", _FOUND, ("features", "find"), "table", "text", True)
