"""The subcommands, one file a subject."""

from collections.abc import Callable, Iterable

import typer

from app.commands.limits import checked


def register(cli: typer.Typer, word: str = "") -> None:
    """Add every command, once. word: the first that was typed. What it names may need nothing of the others, and reading all
    declarations takes longer than starting does."""
    from app.commands import demo, tools
    from app.commands.learn import runs

    if not cli.registered_commands:
        for module in (demo, runs, tools):
            _add(cli, module.COMMANDS)
    alone = {"--version", *(function.__name__ for module in (demo, runs, tools) for function in module.COMMANDS)}
    if word not in alone and not cli.registered_groups:
        _register_declared(cli)


def _add(cli: typer.Typer, functions: Iterable[Callable[..., None]]) -> None:
    for function in functions:
        cli.command(function.__name__.rstrip("_"))(checked(function))


def _register_declared(cli: typer.Typer) -> None:
    """What takes its options from declarations: above the others in the help."""
    from app.commands.circuits import study, trace
    from app.commands.learn import evaluate as judging
    from app.commands.learn import exchange, features, sample
    from app.commands.learn import harvest as activations
    from app.commands.learn import train as training
    from app.commands.methods import catalogue, old_names, results
    from app.commands.methods.register import register as methods
    from app.commands.prompt import heads
    from app.commands.prompt import patch as patching

    others, cli.registered_commands = cli.registered_commands, []
    for module in (
        trace,
        heads,
        patching,
        sample,
        activations,
        training,
        judging,
        features,
        exchange,
        study,
        catalogue,
        results,
    ):
        _add(cli, module.COMMANDS)
    cli.registered_commands += others
    _register_graph(cli)
    _register_blind(cli)
    old_names.register(cli)
    methods(cli)


def _register_graph(cli: typer.Typer) -> None:
    """`openwork graph ...`: what one does with a stored graph."""
    from app.commands.circuits import files as graph_files
    from app.commands.circuits import graph

    group = typer.Typer(
        name="graph", help="Read, prune, compare, exchange and annotate stored graphs.", no_args_is_help=True
    )
    for module in (graph, graph_files):
        _add(group, module.COMMANDS)
    cli.add_typer(group)


def _register_blind(cli: typer.Typer) -> None:
    """`openwork blind ...`: a study in steps."""
    from app.commands.circuits import blind

    group = typer.Typer(
        name="blind", help="Say what a unit does without its text, then look: new, guess, reveal.", no_args_is_help=True
    )
    _add(group, blind.COMMANDS)
    cli.add_typer(group)
