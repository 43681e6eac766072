"""The subcommands, one file a subject."""

import typer


def register(cli: typer.Typer) -> None:
    """Add every command, once."""
    if cli.registered_commands:
        return
    from app.commands import activations, demo, exchange, features, judging, prompts, sample, tools, training

    for module in (demo, prompts, sample, activations, training, judging, features, exchange, tools):
        for function in module.COMMANDS:
            cli.command(function.__name__.rstrip("_"))(function)
    _register_graph(cli)


def _register_graph(cli: typer.Typer) -> None:
    """`openwork graph ...`: what one does with a stored graph."""
    from app.commands import graph, graph_files

    group = typer.Typer(
        name="graph", help="Read, prune, compare, exchange and annotate stored graphs.", no_args_is_help=True
    )
    for module in (graph, graph_files):
        for function in module.COMMANDS:
            group.command(function.__name__.rstrip("_"))(function)
    cli.add_typer(group)
