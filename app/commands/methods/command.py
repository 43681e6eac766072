"""One method as a command: its options read into a call, which is looked at before the model loads, run, printed and kept."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.limits import require_possible
from app.commands.methods.asked import arguments_of, options_of, unmarked
from app.commands.methods.shown import MOST
from app.commands.methods.stored import asks_of_graph, call_asked
from app.commands.options import AsJson, ConfigFile, Device, DryRun, Model, Precision
from probe.errors import BadInput
from probe.methods.call import Call
from probe.methods.reading import Method

if TYPE_CHECKING:
    from probe.show.panels import Panel

Save = Annotated[str | None, typer.Option("--save", help="Store what was found under this name.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the rows of its table to this file.")]
Dashboard = Annotated[
    bool,
    typer.Option(
        "--dashboard", help="Ask the dashboard that runs (`openwork serve`) instead of loading the model again."
    ),
]
Rows = Annotated[int, typer.Option("--rows", min=1, help="Rows of each table that are printed.")]
ModelOfGraph = Annotated[str | None, typer.Option("--model", help="By default the one the graph was traced in.")]
OF_A_MODEL: dict[str, tuple[Any, Any]] = {
    "model": (Model, "smollm2-135m"),
    "device": (Device, None),
    "precision": (Precision, "float32"),
    "dashboard": (Dashboard, False),
}
OF_ALL: dict[str, tuple[Any, Any]] = {
    "save": (Save, None),
    "csv": (Csv, None),
    "rows": (Rows, MOST),
    "config": (ConfigFile, None),
    "dry_run": (DryRun, False),
    "json": (AsJson, False),
}
"""Options that every method's command has, with their defaults."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a command was asked for beside the call itself."""

    device: str | None = None
    precision: str = "float32"
    save: str | None = None
    csv: Path | None = None
    dry_run: bool = False
    json: bool = False
    dashboard: bool = False
    rows: int = MOST


def command_of(
    about: Method,
    changed: Callable[[Iterable[Argument]], Iterable[Argument]] = list,
    words: str = "",
    read: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> Callable[..., None]:
    """The function that the command line runs for a method; its signature says the options. changed: what becomes of these.
    words: its help, in place of the method's own. read: from what was typed to what the method's own options would hold."""

    def run(**typed: Any) -> None:
        options = read(typed)
        call = call_asked(about, options, arguments_of(about, options))
        for name, value in call.arguments.items():
            require_possible(about.name, name, value)
        answer(call, Wanted(**{name: options[name] for name in Wanted.__dataclass_fields__ if name in options}))

    standing = {**(OF_A_MODEL if about.of_model else {}), **OF_ALL}
    if about.of_model and asks_of_graph(about):
        standing["model"] = (ModelOfGraph, None)
    added = [
        Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in standing.items()
    ]
    paper = f"\n\nFrom: {about.paper}." if about.paper else ""
    said = unmarked((words or about.about) + paper)
    return dressed(run, [*changed([*options_of(about), *added])], said, about.function)


def dressed(run: Callable[..., None], parameters: list[Argument], words: str, name: str) -> Callable[..., None]:
    """A function with the signature that the command line reads of it."""
    run.__name__, run.__doc__ = name, words
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def answer(call: Call, wanted: Wanted) -> None:
    """Run a call, here or at the dashboard, print what it found, and keep it where that was asked for."""
    if wanted.dashboard:
        answer_from_dashboard(call, wanted)
        return
    from app.commands.options import load, progress, rank

    if wanted.dry_run:
        announce(call, wanted)
        return
    to = free_place(wanted.save, call.about.artifact) if wanted.save is not None else None
    _check_csv(wanted)
    bridge = load(call.model, wanted.device, wanted.precision) if call.about.of_model else None
    record = call.run(bridge, progress())
    if rank():
        return
    if to is not None:
        record.save(to)
    show_answer(wanted, record.to_dict, record.panels, record.rows, how_to_see_it(call.about, wanted.save))


def answer_from_dashboard(call: Call, wanted: Wanted) -> None:
    """The same by the dashboard's model, which is loaded already."""
    if wanted.dry_run or wanted.device is not None or wanted.precision != "float32":
        raise BadInput(
            "--dashboard asks a model that is loaded there: it goes without --device, --precision and --dry-run."
        )
    from app.commands.methods.elsewhere import Asked, dashboard, panels_of
    from app.commands.options import progress, release

    there = dashboard()
    if wanted.save is not None:
        free_place(wanted.save, call.about.artifact)
        release()  # the dashboard writes it
    _check_csv(wanted)
    asked = Asked(there, call)
    told = asked.found(progress(), table=wanted.csv is not None)
    if wanted.save is not None:
        asked.save(wanted.save)
    said = f"{f'Stored as {wanted.save}. ' if wanted.save else ''}Its figures: {asked.page}"
    show_answer(wanted, lambda: told["record"], lambda: panels_of(told["panels"]), lambda: told["table"], said)


def _check_csv(wanted: Wanted) -> None:
    if wanted.csv is not None:
        from probe.artifacts.folder import require_writable

        require_writable(wanted.csv)


def show_answer(
    wanted: Wanted,
    plain: Callable[[], Any],
    panels: Callable[[], "list[Panel]"],
    rows: Callable[[], Any],
    said: str,
) -> None:
    """Print what was found, as asked. said: the last line, how to see it."""
    from app.commands.methods.shown import show_panels, write_csv
    from app.commands.options import print_json

    if wanted.json:
        print_json(plain())
    else:
        show_panels(panels(), wanted.rows)
        typer.echo(said, err=True)
    if wanted.csv is not None:
        write_csv(rows(), wanted.csv)


def free_place(name: str, kind: str = "result") -> Path:
    """Where a result of this name goes, for this command alone; BadInput, in the words of every door, where the name is taken."""
    from app.commands.options import reserve
    from probe.artifacts.renames import taken

    folder = reserve(kind, name, resume=True)
    if folder.exists():
        raise BadInput(taken(folder))
    return folder


def how_to_see_it(about: Method, saved: str | None) -> str:
    """The last line: where the figures are."""
    if saved is None:
        return "--save NAME keeps it; the dashboard (`openwork serve`) shows its figures."
    from app.links import artifact_page

    show = "openwork graph show" if about.artifact == "graph" else "openwork show"
    page = artifact_page(about.artifact, saved)
    return f"Stored as {saved}: `{show} {saved}`; its figures: {page} of the dashboard (`openwork serve`)."


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
