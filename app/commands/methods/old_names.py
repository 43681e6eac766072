"""Commands of before that are methods now: `openwork edit --change ...` is `openwork prompts edit --changes ...`.

An old name is a line of `OLD_NAMES`: what was typed, the method that it is now, and of each option with another name what it is
called now. The command takes the method's options by their new names and by their old ones; its help says the new name.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from inspect import Parameter as Argument
from typing import Annotated, Any, get_args

import typer
from typer.models import OptionInfo

from app.commands.limits import checked
from app.commands.methods.command import command_of
from probe.methods.call import flag
from probe.methods.catalogue import method_named

PANEL = "Names of before, which go on working"


@dataclass(frozen=True)
class OldName:
    """typed: the words after `openwork`. method: its name now. options: old names of options, and of each what parameter it is
    now. position: the parameters that were given without an option. given: other defaults of parameters, as one would type
    them. written: old options that are words of another parameter, and those words: `--top 20` is `--nodes top:20`."""

    typed: str
    method: str
    options: Mapping[str, str] = field(default_factory=dict)
    position: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def command(self) -> Callable[..., None]:
        """The function that the command line runs."""
        about = method_named(self.method)
        words = f"{about.about}\n\nThis is `openwork {about.group} {about.name}`; the old name goes on working."
        return command_of(about, self._options, words, self._read)

    def _options(self, options: Iterable[Argument]) -> Iterator[Argument]:
        yield from (self._renamed(one) for one in options if one.name not in self.written)
        for name, (parameter, words) in self.written.items():
            of = list[str] | None if "{}" in words else bool
            said = f"{flag(parameter)} {words.format(name.upper())}{', repeatable' if '{}' in words else ''}."
            kind = Annotated[of, typer.Option(flag(name), help=said)]  # type: ignore[valid-type]
            yield Argument(name, Argument.KEYWORD_ONLY, default=None if "{}" in words else False, annotation=kind)

    def _read(self, typed: dict[str, Any]) -> dict[str, Any]:
        """What was typed, with the words of old options in their parameters."""
        found = {**typed, **{parameter: [] for parameter, _ in self.written.values()}}
        for name, (parameter, words) in self.written.items():
            value = typed[name]
            found[parameter] += [words] if value is True else [words.format(one) for one in value or []]
        return {**found, **{p: ",".join(found[p]) or None for p, _ in self.written.values()}}

    def _renamed(self, option: Argument) -> Argument:
        """An option that is known by its old names too."""
        of, info = get_args(option.annotation)
        option = option.replace(default=self.given.get(option.name, option.default))
        if option.name in self.position:
            said = typer.Argument(help=info.help, metavar=option.name.upper())
            return option.replace(annotation=Annotated[of, said])
        old = [name for name, new in self.options.items() if new == option.name]
        if old and isinstance(info, OptionInfo):
            info = copy(info)
            info.param_decls = (*(info.param_decls or ()), *(one for name in old for one in _flags(name, info)))
        return option.replace(annotation=Annotated[of, info])


def _flags(name: str, info: OptionInfo) -> Iterator[str]:
    switch = any("/" in one for one in info.param_decls or ())
    yield f"{flag(name)}/--no-{flag(name)[2:]}" if switch else flag(name)


def register(cli: typer.Typer, names: "tuple[OldName, ...] | None" = None) -> None:
    """Add every old name where it was: at the top, or in its group."""
    for one in OLD_NAMES if names is None else names:
        *group, name = one.typed.split()
        home = next(g.typer_instance for g in cli.registered_groups if _is(g, group[0])) if group else cli
        home.command(name, rich_help_panel=None if group else PANEL)(checked(one.command()))  # type: ignore[union-attr]


def _is(group: Any, name: str) -> bool:
    return name in (group.name, group.typer_instance.info.name)


_OF_GRAPH = {"dictionary": "dictionaries", "top": "rows"}
_OF_PROMPT = {"dictionary": "dictionaries", "top_k": "k"}
_OF_TWO = {"prompt": "a", "ids": "a_ids", "with": "b", "with_ids": "b_ids", "dictionary": "dictionaries"}
OLD_NAMES: tuple[OldName, ...] = (
    OldName("lens", "logit-lens", {"position": "positions"}, given={"top_k": "5"}),
    OldName("units", "strongest-units", _OF_PROMPT),
    OldName("compare", "compare-prompts", _OF_TWO),
    OldName(
        "edit",
        "edit",
        {
            "change": "changes",
            "position": "pos",
            "dictionary": "dictionaries",
            "with": "other",
            "with_ids": "other_ids",
        },
    ),
    OldName("connections", "connections", {"dictionary": "dictionaries", "top": "k"}, ("target",)),
    OldName("paths", "top-paths", {"dictionary": "dictionaries"}),
    OldName(
        "graph test",
        "subgraph-test",
        {"random": "n_random", "prompt": "prompts", "dictionary": "dictionaries"},
        ("graph",),
        written={
            "nodes": ("nodes", "{}"),
            "top": ("nodes", "top:{}"),
            "top_k": ("nodes", "top:{}"),
            "pinned": ("nodes", "pinned"),
        },
    ),
    OldName("graph heads", "edge-heads", _OF_GRAPH, ("graph",)),
    OldName("graph qk", "qk-attribution", _OF_GRAPH, ("graph",)),
    OldName("graph diff", "compare-graphs", {"top": "rows"}, ("a", "b")),
    OldName("graph merge", "merge-graphs", {"top": "rows"}, ("graphs",)),
    OldName("unit", "unit-on-text", {"prompt": "text", "ids": "text_ids"}, ("unit",)),
)
