"""Commands in groups, as `openwork GROUP NAME`. A group may bear the name of a command, which then goes on working alone:
`openwork heads --prompt ...` beside `openwork heads atlas --prompt ...`."""

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from app.commands.methods import old_names
from app.commands.methods.command import dressed
from probe.errors import BadInput
from probe.methods import catalogue

Commands = dict[tuple[str, ...], Callable[[], Callable[..., object]]]
"""Commands by what one types after `openwork`, each made when it is wanted."""
_ASIDE = "openwork.methods.aside"
PANEL = "Names of before, which go on working"
HELP = {
    "graph": "Read, prune, compare, exchange and annotate stored graphs.",
    "blind": "Say what a unit does without its text, then look: new, guess, reveal.",
}
"""What groups of tools are for; what other groups have are methods."""


class Top(TyperGroup):
    """All commands. A method's name without its group is answered with both."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = [] if self.get_command(ctx, args[0]) else [m for m in catalogue.methods() if m.name == args[0]]
        if known:
            raise BadInput(f"{args[0]} is a method of the group {known[0].group}: openwork {known[0].group} {args[0]}.")
        return super().resolve_command(ctx, args)


class Group(TyperGroup):
    """A group whose unknown names are answered as unknown methods are from every door. Where it bears a command's name, that
    command's options, arguments and demands stand aside when a method's name comes first."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ASIDE] = bool(args) and (args[0] in self.commands or self._names_a_method(args[0]))
        return super().parse_args(ctx, args)

    def _names_a_method(self, word: str) -> bool:
        """A first word that is no option can be nothing but a method's name, unless the command takes words of its own."""
        return not word.startswith("-") and not any(p.param_type_name == "argument" for p in self.params)

    def get_params(self, ctx: Any) -> list[Any]:
        return [] if ctx.meta.get(_ASIDE) else super().get_params(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            found = catalogue.method_named(args[0])
            raise BadInput(f"The method {found.name} is of another group: openwork {found.group} {found.name}.")
        ctx.meta[_ASIDE] = False
        return super().resolve_command(ctx, args)


def add(cli: typer.Typer, commands: Commands) -> None:
    """Add commands to their groups, which are made; a group that bears a command's name runs that where no method is named."""
    cli.info.cls = Top
    old = [one.words for one in old_names.OLD_NAMES if one.method]
    inside: dict[str, Commands] = {words[0]: {} for words in commands if len(words) == 2}
    for words, make in commands.items():
        if len(words) == 2:
            inside[words[0]][words[1:]] = make
        elif words[0] not in inside:
            cli.command(words[0], rich_help_panel=PANEL if words in old else None)(make())
    for name, members in inside.items():
        group = _group(name, members, commands.get((name,)))
        for (word,), make in sorted(members.items()):
            group.command(word)(make())
        cli.add_typer(group)


def _group(name: str, members: Commands, own: Callable[[], Callable[..., Any]] | None) -> typer.Typer:
    cls = None if name in HELP else Group
    if own is not None:
        return typer.Typer(name=name, cls=cls, invoke_without_command=True, callback=_alone(own()))
    words = HELP.get(name) or f"Methods: {', '.join(sorted(word for (word,) in members))}."
    return typer.Typer(name=name, cls=cls, help=words, no_args_is_help=True)


def _alone(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that runs when no method's name follows; options before such a name would be lost, so they are refused."""

    def run(context: typer.Context, **options: Any) -> None:
        method = context.invoked_subcommand
        if method is None:
            command(**options)
            return
        given = [name for name in options if (how := context.get_parameter_source(name)) and how.name == "COMMANDLINE"]
        if given:
            raise BadInput(
                f"--{given[0].replace('_', '-')} stands before {method}; write options after the method's name."
            )

    signature = inspect.signature(command)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    others = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    return dressed(run, [context, *others], command.__doc__ or "", command.__name__)
