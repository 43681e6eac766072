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
