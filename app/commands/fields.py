"""Options of a command that are declared elsewhere: the fields of a dataclass of settings, what a function says it takes.

    @takes(RECIPE, CONFIG)
    def train(cache: Annotated[...], given: Given, ...) -> None:
        config = CONFIG.made(given)

Name, sentence, default and bounds of each stand where it is declared, once (`probe.methods.reading.taken_by`). What two of them
have in common, like a seed, is one option of both.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from app.commands.limits import require_possible
from app.commands.methods.asked import arguments_of, options_of
from app.commands.methods.command import dressed
from probe.methods.call import looked_at
from probe.methods.reading import Asks

Given = Mapping[str, Any]
"""What was given for the fields, by the names of their options; of a command, the place where their options stand."""


def takes(*declared: Asks) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command with the options of what is declared in place of its parameter `given`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command)
        options: dict[str, inspect.Parameter] = {}
        for option in (option for one in declared for option in options_of(one)):
            options.setdefault(option.name, option)
        parameters = []
        for own in signature.parameters.values():
            parameters += options.values() if own.name == "given" else [own.replace(kind=own.KEYWORD_ONLY)]

        def run(**typed: Any) -> None:
            words = {n: typed.pop(n, option.default) for n, option in options.items()}
            given: dict[str, Any] = {}
            for one in declared:
                given |= looked_at(one, arguments_of(one, words))
            for name, value in given.items():
                require_possible(command.__name__.rstrip("_"), name, value)
            command(given=given, **typed)

        return dressed(run, parameters, command.__doc__ or "", command.__name__)

    return decorate
