"""One method as a command: its options read into a call, which is looked at before the model loads, run, printed and kept."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.methods.asked import arguments_of, options_of, unmarked
from app.commands.options import AsJson, ConfigFile, Device, DryRun, Model, Precision
from probe.methods.call import Call
from probe.methods.reading import Method

if TYPE_CHECKING:
    from probe.show.record import Record

Save = Annotated[str | None, typer.Option("--save", help="Store what was found under this name.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the rows of its table to this file.")]
OF_A_MODEL: dict[str, tuple[Any, Any]] = {
    "model": (Model, "smollm2-135m"),
    "device": (Device, None),
    "precision": (Precision, "float32"),
}
OF_ALL: dict[str, tuple[Any, Any]] = {
    "save": (Save, None),
    "csv": (Csv, None),
    "config": (ConfigFile, None),
    "dry_run": (DryRun, False),
    "json": (AsJson, False),
}
"""Options that every method's command has, with their defaults."""


@dataclass(frozen=True)
class Wanted:
    """What a command was asked for beside the call itself."""

    device: str | None
    precision: str
    save: str | None
    csv: Path | None
    dry_run: bool
    json: bool


def command_of(about: Method) -> Callable[..., None]:
    """The function that the command line runs for a method; its signature says the options."""

    def run(**options: Any) -> None:
        call = Call.checked(about.name, options.get("model", ""), arguments_of(about, options))
        common = {name: options.get(name) for name in Wanted.__dataclass_fields__}
        answer(call, Wanted(**{**common, "precision": common["precision"] or "float32"}))

    standing = {**(OF_A_MODEL if about.of_model else {}), **OF_ALL}
    added = [
        Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in standing.items()
    ]
    paper = f"\n\nFrom: {about.paper}." if about.paper else ""
    return dressed(run, [*options_of(about), *added], unmarked(about.about + paper), about.function)


def dressed(run: Callable[..., None], parameters: list[Argument], words: str, name: str) -> Callable[..., None]:
    """A function with the signature that the command line reads of it."""
    run.__name__, run.__doc__ = name, words
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def answer(call: Call, wanted: Wanted) -> None:
    """Run a call here, print what it found, and keep it where that was asked for."""
    from app.commands.options import load, print_json, progress, rank

    if wanted.dry_run:
        announce(call, wanted)
        return
    to = free_place(wanted.save) if wanted.save is not None else None
    if wanted.csv is not None:
        from probe.artifacts.folder import require_writable

        require_writable(wanted.csv)
    bridge = load(call.model, wanted.device, wanted.precision) if call.about.of_model else None
    record = call.run(bridge, progress())
    if to is not None and not rank():
        record.save(to)
    if wanted.json:
        print_json(record.to_dict())
    else:
        _print(record, wanted.save)
    if wanted.csv is not None and not rank():
        from app.commands.methods.shown import write_csv

        write_csv(record, wanted.csv)


def free_place(name: str) -> Path:
    """Where a result of this name goes, for this command alone; BadInput, in the words of every door, where the name is taken."""
    from app.commands.options import reserve
    from probe.artifacts.renames import taken
    from probe.errors import BadInput

    folder = reserve("result", name, resume=True)
    if folder.exists():
        raise BadInput(taken(folder))
    return folder


def _print(record: "Record", saved: str | None) -> None:
    from app.commands.methods.shown import show_panels

    show_panels(record.panels())
    typer.echo(how_to_see_it(saved), err=True)


def how_to_see_it(saved: str | None) -> str:
    """The last line: where the figures are."""
    if saved is None:
        return "--save NAME keeps it; the dashboard (`openwork serve`) shows its figures."
    return f"Stored as {saved}: `openwork show {saved}`, and with its figures in the dashboard (`openwork serve`)."


def announce(call: Call, wanted: Wanted) -> None:
    """What it would take, where the method says."""
    from app.commands.options import load, print_json

    about = call.about
    bridge = load(call.model, wanted.device, wanted.precision) if about.of_model and about.plan else None
    plan = call.plan(bridge)
    if wanted.json:
        print_json(None if plan is None else plan.to_dict())
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
