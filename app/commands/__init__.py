"""The subcommands, one file a subject."""

import typer

from app.commands.limits import checked


def register(cli: typer.Typer) -> None:
    """Add every command, once."""
    if cli.registered_commands:
        return
    from app.commands import demo, tools
    from app.commands.circuits import study, trace
    from app.commands.learn import evaluate as judging
    from app.commands.learn import exchange, features, runs, sample
    from app.commands.learn import harvest as activations
    from app.commands.learn import train as training
    from app.commands.methods import catalogue, results
    from app.commands.prompt import heads
    from app.commands.prompt import patch as patching

    looking = (demo, trace, heads, patching)
    for module in (
        *looking,
        sample,
        activations,
        training,
        runs,
        judging,
        features,
        exchange,
        study,
        catalogue,
        results,
        tools,
    ):
        for function in module.COMMANDS:
            cli.command(function.__name__.rstrip("_"))(checked(function))
    _register_graph(cli)
    _register_blind(cli)
    from app.commands.methods import old_names
    from app.commands.methods.register import register as methods

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
        for function in module.COMMANDS:
            group.command(function.__name__.rstrip("_"))(checked(function))
    cli.add_typer(group)


def _register_blind(cli: typer.Typer) -> None:
    """`openwork blind ...`: a study in steps."""
    from app.commands.circuits import blind

    group = typer.Typer(
        name="blind", help="Say what a unit does without its text, then look: new, guess, reveal.", no_args_is_help=True
    )
    for function in blind.COMMANDS:
        group.command(function.__name__)(checked(function))
    cli.add_typer(group)
