"""The subcommands: those that are written by hand, one file a subject, and those that follow from declarations.

Only what was typed is read and made into a command: `openwork flow sinks` needs none of the other methods. All of them are made
for `openwork --help`, and where what was typed is none.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from app.commands.methods.groups import Commands

_BY_HAND = {
    "study": "study",
    "methods": "methods.catalogue",
    "show": "methods.results",
    "demo": "demo",
    "runs": "runs",
    "serve": "tools",
    "doctor": "tools",
    "words": "tools",
}
"""Commands and the files of their functions, in the order of the help."""


def register(cli: typer.Typer, typed: Sequence[str] = ()) -> None:
    """Add the commands that are meant by these words after `openwork`; all there are, where that is none of them."""
    from app.commands.methods.groups import add

    words = {**_by_hand(), **_declared()}
    add(cli, _meant(words, typed) or {**words, **_all_declared()})


def _by_hand() -> "Commands":
    return {tuple(words.split()): partial(_function, words.split()[-1], file) for words, file in _BY_HAND.items()}


def _function(word: str, file: str) -> Callable[..., object]:
    from app.commands.limits import checked

    module = import_module(f"app.commands.{file}")
    return checked(getattr(module, word, None) or getattr(module, f"{word}_"))  # `import` is no name of a function


def _declared() -> "Commands":
    """Methods and tools, and the names that some had before."""
    from app.commands.limits import checked
    from app.commands.methods import old_names
    from app.commands.methods.command import command_of
    from probe.methods import catalogue

    new = {words: lambda read=read: checked(command_of(read())) for words, read in catalogue.known().items()}
    return new | {one.words: lambda one=one: checked(one.command()) for one in old_names.OLD_NAMES}


def _all_declared() -> "Commands":
    """The same of those that the catalogue has from elsewhere."""
    from app.commands.limits import checked
    from app.commands.methods.command import command_of
    from probe.methods import catalogue

    every = (*catalogue.methods(), *catalogue.tools())
    return {
        w: lambda one=one: checked(command_of(one)) for one in every if (w := (*one.words,)) not in catalogue.known()
    }


def _meant(words: "Commands", typed: Sequence[str]) -> "Commands":
    """The command, or the whole group where no command of it is named; nothing where it is none."""
    if typed[:1] == ["--version"]:
        return {("doctor",): words["doctor",]}
    if (pair := tuple(typed[:2])) in words:
        return {pair: words[pair]}
    group = {one: make for one, make in words.items() if one[:1] == tuple(typed[:1])}
    unknown = len(group) > 1 and len(typed) > 1 and not typed[1].startswith("-")
    return {} if unknown else group
