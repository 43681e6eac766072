"""Methods and tools as subcommands: `openwork GROUP NAME`. A group may bear the name of a command, which then goes on working
alone: `openwork heads --prompt ...` beside `openwork heads atlas --prompt ...`."""

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from app.commands.limits import checked
from app.commands.methods.command import command_of, dressed
from probe.errors import BadInput
from probe.methods import catalogue
from probe.methods.reading import Method

_ASIDE = "openwork.methods.aside"


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


def register(cli: typer.Typer) -> None:
    """Add every method and tool to its group, which is made where there is none of that name; a tool of no group at the top."""
    cli.info.cls = Top
    for name, methods in catalogue.groups().items():
        group = _group(cli, name, methods)
        for about in methods:
            group.command(about.name)(checked(command_of(about)))
    for about in catalogue.tools():
        home = _group(cli, about.group, [about]) if about.group else cli
        home.command(about.name)(checked(command_of(about)))


def _group(cli: typer.Typer, name: str, methods: list[Method]) -> typer.Typer:
    for known in cli.registered_groups:
        if known.name == name or (known.typer_instance and known.typer_instance.info.name == name):
            assert known.typer_instance is not None
            return known.typer_instance
    command = next((one for one in cli.registered_commands if one.name == name), None)
    if command is None or command.callback is None:
        words = f"Methods: {', '.join(one.name for one in methods)}."
        group = typer.Typer(name=name, cls=Group, help=words, no_args_is_help=True)
        cli.add_typer(group)
        return group
    cli.registered_commands.remove(command)
    group = typer.Typer(name=name, cls=Group, invoke_without_command=True, callback=_alone(command.callback))
    cli.add_typer(group)
    return group


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
