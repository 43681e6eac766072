"""Options of a command that are declared elsewhere: fields of settings, parameters of a function, and how a command runs at all.

    @takes(RECIPE, CONFIG)
    def train(*, cache: Annotated[...] = None, given: Given, how: Running) -> None:
        bridge, config = how.load(model), CONFIG.made(given)

Name, sentence, default and bounds of each stand where it is declared, once (`probe.methods.reading.taken_by`). What two of them
have in common, like a seed, is one option of both. How a command runs (`How`, `Running`) is the same everywhere.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import options
from app.commands.limits import require_possible
from app.commands.methods.asked import arguments_of, options_of
from app.commands.methods.command import dressed
from app.commands.options import AsJson, ConfigFile, Device, DryRun, Precision, Resume
from probe.artifacts.folder import place
from probe.methods.call import looked_at
from probe.methods.reading import Asks

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from probe.show.record import Record

Given = Mapping[str, Any]
"""What was given for the fields, by the names of their options; of a command, the place where their options stand."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How a command runs: of a command, the place of these options."""

    resume: Resume = False
    dry_run: DryRun = False
    json: AsJson = False
    config: ConfigFile = None

    def reserve(self, kind: str, name: str) -> Path:
        """Where an artifact of this name goes; what is there may stay where it is to be resumed. To announce reserves nothing."""
        return place(kind, name) if self.dry_run else options.reserve(kind, name, resume=self.resume)

    def announce(self, plan: "Record", before: str = "") -> None:
        """What it would take."""
        options.print_plan(plan, self.json, before)


@dataclass(frozen=True, kw_only=True)
class Running(How):
    """The same of a command that runs a model."""

    device: Device = None
    precision: Precision = "float32"

    def load(self, name: str) -> "TransformerBridge":
        return options.load(name, self.device, self.precision)


def takes(*declared: Asks) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command with the options of what is declared in place of its parameter `given`, and those of how it runs for `how`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        way = signature.parameters["how"].annotation
        asked: dict[str, inspect.Parameter] = {}
        for option in (option for one in declared for option in options_of(one)):
            asked.setdefault(option.name, option)
        ways = {f.name: _option(f.name, f.default, f.type) for f in fields(way)}
        parts = {"given": asked, "how": ways}
        parameters = [p for own in signature.parameters.values() for p in parts.get(own.name, {"": own}).values()]

        def run(**typed: Any) -> None:
            words = {n: typed.pop(n, option.default) for n, option in asked.items()}
            how = way(**{n: typed.pop(n) for n in ways if n in typed})
            given: dict[str, Any] = {}
            for one in declared:
                given |= {p.name: p.default for p in one.parameters if not p.required and p.name not in given}
                given |= looked_at(one, arguments_of(one, words))
            for name, value in given.items():
                require_possible(command.__name__.rstrip("_"), name, value)
            command(how=how, **({"given": given} if declared else {}), **typed)

        return dressed(run, parameters, command.__doc__ or "", command.__name__)

    return decorate


def _option(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
