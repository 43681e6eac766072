"""What a command would take, in words: `--dry-run`."""

from typing import Any

import typer

from app.commands.methods.standing import Wanted
from probe.methods.call import Call


def announce(call: Call, wanted: Wanted) -> None:
    """What it would take, where the method says. The name it would be stored under is looked at, and not kept."""
    from app.commands.options import load, print_json
    from probe.artifacts.folder import place
    from probe.show.record import Record
    from probe.show.terminal import show_panels

    about = call.about
    name = wanted.save if wanted.save is not None else call.name()
    to = place(about.artifact, name) if name or wanted.save is not None else None
    bridge = load(call.model, wanted.device, wanted.precision) if about.plans_of_model and call.model else None
    plan = call.plan(bridge, to)
    if wanted.json:
        print_json(None if plan is None else plan.to_dict())
    elif plan is not None and type(plan).panels is not Record.panels:
        show_panels(plan.panels())
    elif plan is None:
        runs = "running the model on what it is given" if about.of_model else "reading what it is given"
        typer.echo(f"{about.name} announces nothing beyond {runs}; start it without --dry-run.")
    else:
        typer.echo(in_words(plan))


def in_words(plan: Any) -> str:
    """A plan's own sentence, or its numbers."""
    from probe.show.record import Record
    from probe.words import counted, estimate, size

    if type(plan).summary is not Record.summary:
        return str(plan.summary())
    said = {"bytes": lambda n: f"{size(n)} of memory beside the model", "seconds": lambda s: f"about {estimate(s)}"}
    other = {name: value for name, value in plan.to_dict().items() if value is not None}
    return ", ".join(
        said[name](value)
        if name in said
        else counted(value, name[2:].removesuffix("s"))
        if name.startswith("n_")
        else f"{name} {value}"
        for name, value in other.items()
    )
