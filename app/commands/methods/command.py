"""One method or tool as a command: its options read into a call, which is looked at before the model loads, run and printed; what
it found is kept."""

from collections.abc import Callable, Iterable
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from app.commands.limits import require_possible
from app.commands.methods.announcing import announce
from app.commands.methods.parameters_as_options import arguments_of, options_of, unmarked
from app.commands.methods.standing import Wanted, standing
from app.commands.methods.stored import call_asked, with_its_model
from probe.errors import BadCall, BadInput
from probe.methods.call import Call
from probe.methods.read_declarations import Method

if TYPE_CHECKING:
    from probe.show.panels import Panel


def command_of(
    about: Method,
    changed: Callable[[Iterable[Argument]], Iterable[Argument]] = list,
    words: str = "",
    read: Callable[[dict[str, Any]], tuple[Method | None, dict[str, Any]]] = lambda typed: (None, typed),
) -> Callable[..., None]:
    """The function that the command line runs for a method; its signature says the options. changed: what becomes of these.
    words: its help, in place of the method's own. read: from what was typed to what the method's own options would hold, or
    another method's."""

    def run(**typed: Any) -> None:
        other, options = read(typed)
        asked = other or about
        arguments = arguments_of(asked, options)
        try:
            call = call_asked(asked, options, arguments)
        except BadCall as error:  # something is missing
            raise BadCall(f"{error} {_old_ways(asked, arguments, given)}".rstrip()) from error
        for name, value in call.arguments.items():
            require_possible(name, value)
        answer(call, Wanted(**{name: options[name] for name in Wanted.__dataclass_fields__ if name in options}))

    added = [
        Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in standing(about).items()
    ]
    paper = f"\n\nFrom: {about.paper}." if about.paper else ""
    said = unmarked((words or about.about) + paper)
    given = [*changed([*options_of(about), *added])]
    return dressed(run, given, said, about.function)


def _old_ways(asked: Method, arguments: dict[str, Any], options: Iterable[Argument]) -> str:
    """How that is given which is missing, where its option has an older name too."""
    missing = [p.name for p in asked.parameters if p.required and arguments.get(p.name) is None]
    flags = [_flags(get_args(o.annotation)[1]) for o in options if o.name in missing]
    return " ".join(f"Give {' or '.join(names)}." for names in flags if len(names) > 1)


def _flags(info: Any) -> list[str]:
    """What an option is called; typer holds the first of its names as its default until it reads the signature."""
    return [n for n in (info.default, *(info.param_decls or ())) if isinstance(n, str) and n.startswith("--")]


def dressed(run: Callable[..., None], parameters: list[Argument], words: str, name: str) -> Callable[..., None]:
    """A function with the signature that the command line reads of it."""
    run.__name__, run.__doc__ = name, words
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def answer(call: Call, wanted: Wanted) -> None:
    """Run a call, here or at the dashboard, print what it found, and keep it where that was asked for."""
    if wanted.dashboard:
        answer_from_dashboard(with_its_model(call), wanted)
        return
    from app.commands.options import load, progress, rank, reserve

    if wanted.dry_run:
        announce(with_its_model(call), wanted)
        return
    for name in call.names():  # names are taken before anything is looked up, for this command alone
        reserve("result", name, resume=wanted.resume)
    named = _destination(call, wanted) if wanted.save is not None else None
    call = with_its_model(call)
    to = named or _destination(call, wanted)
    call.ready()
    _check_files(call, wanted)
    keeps = to is not None and wanted.save is not None and not call.about.leaves
    saved = to if keeps else None
    if keeps and to is not None and to.exists():  # it is finished
        from probe.artifacts.records import load_record

        record, keeps = load_record(to), False
    else:
        bridge = load(call.model, wanted.device, wanted.precision) if call.about.of_model and call.model else None
        record = call.run(bridge, progress(), to, wanted.resume)
    if rank():
        return
    try:
        _show_record(record, wanted, saved)
    finally:  # a disk that fills up now does not take the report with it, nor what cannot be printed what took so long
        if keeps:
            record.save(to)
    stored = to if wanted.save is not None or call.about.leaves else None
    if not (wanted.json and call.about.page) and (said := how_to_see_it(call, stored)):
        typer.echo(said, err=True)
    if to is not None and "folder" in call.about.handed and not call.about.leaves:
        from probe.artifacts.names import partial
        from probe.artifacts.renames import discard

        discard(partial(to))  # the parts that were kept in case that it stopped


def _show_record(record: Any, wanted: Wanted, saved: Path | None) -> None:
    """Print it, and write its table and document. saved: where it is stored, which JSON says too."""
    show_answer(wanted, lambda: _with_place(record.to_dict(), saved), record.panels, record.every_row)
    if wanted.document is not None:
        from probe.artifacts.exports import write_file
        from probe.show.render import as_file

        write_file(wanted.document, record.markdown() if wanted.document.suffix == ".md" else as_file(record))
        typer.echo(f"wrote {wanted.document}", err=True)


def _with_place(told: Any, saved: Path | None) -> Any:
    """What a record says, and where it is stored; a list of reports says that of each itself."""
    return {**told, "saved": str(saved)} if saved is not None and isinstance(told, dict) else told


def _destination(call: Call, wanted: Wanted) -> Path | None:
    """Where the artifact goes that the call makes, or its record where that is to be kept; for this command alone."""
    from app.commands.options import reserve

    name = wanted.save if wanted.save is not None else call.name()
    if not name and wanted.save is None:
        return None
    leaves, kept = call.about.leaves, wanted.resume or wanted.save is None
    if leaves or kept:
        return reserve(leaves or call.about.artifact, name, resume=bool(not leaves or wanted.resume))
    return free_place(name, call.about.artifact)


def answer_from_dashboard(call: Call, wanted: Wanted) -> None:
    """The same by the dashboard's model, which is loaded already."""
    if wanted.dry_run or wanted.at or wanted.document or wanted.device is not None or wanted.precision != "float32":
        raise BadInput(
            "--dashboard asks a model that is loaded there: it goes without --device, --precision, --at, --document and "
            "--dry-run."
        )
    from app.commands.methods.elsewhere import Asked, dashboard
    from app.commands.options import progress, release
    from probe.show.panels import as_told

    there, saved = dashboard(), None
    if wanted.save is not None:
        saved = free_place(wanted.save, call.about.artifact)
        release()  # the dashboard writes it
    _check_files(call, wanted)
    asked = Asked(there, call)
    told = asked.found(progress(), table=wanted.csv is not None)
    if wanted.save is not None:
        asked.save(wanted.save)
    show_answer(
        wanted, lambda: _with_place(told["record"], saved), lambda: as_told(told["panels"]), lambda: told["table"]
    )
    if not wanted.json:
        typer.echo(f"{f'Stored as {wanted.save}. ' if wanted.save else ''}Its figures: {asked.page}", err=True)


def _check_files(call: Call, wanted: Wanted) -> None:
    """BadInput for a file that cannot be written, before the work and not after it."""
    from probe.artifacts.folder import require_writable

    if wanted.document is not None:
        kinds = [".html", *([".md"] if call.about.writes_markdown else [])]
        if wanted.document.suffix not in kinds:
            said = " or ".join(kinds)
            raise BadInput(f"{wanted.document} says no kind of document; give a name that ends in {said}.")
    for file in filter(None, (wanted.csv, wanted.document)):
        require_writable(file)


def show_answer(
    wanted: Wanted,
    plain: Callable[[], Any],
    panels: Callable[[], "list[Panel]"],
    rows: Callable[[], Any],
) -> None:
    """Print what was found, as asked, and write its table."""
    from app.commands.options import print_json
    from probe.artifacts.exports import write_csv
    from probe.show.terminal import show_panels

    if wanted.json:
        print_json(plain())
    else:
        show_panels(panels(), wanted.rows, wanted.chosen)
    if wanted.csv is not None:
        typer.echo(f"wrote {write_csv(rows(), wanted.csv)}", err=True)


def free_place(name: str, kind: str = "result") -> Path:
    """Where a result of this name goes, for this command alone; BadInput, in the words of every door, where the name is taken."""
    from app.commands.options import reserve
    from probe.artifacts.renames import taken

    folder = reserve(kind, name, resume=True)
    if folder.exists():
        raise BadInput(taken(folder))
    return folder


def how_to_see_it(call: Call, to: Path | None) -> str:
    """The last line: what was written, and where the figures are."""
    about = call.about
    if not about.page:
        files = [call.arguments[p.name] for p in about.parameters if p.kind.writes and p.name in call.arguments]
        return "\n".join(f"wrote {place}" for place in [*files, *([to] if to is not None else [])])
    if to is None:
        return "--save NAME keeps it; the dashboard (`openwork serve`) shows its figures."
    from app.links import artifact_page

    show = {"graph": "openwork graph show", "result": "openwork show"}.get(about.artifact)
    said = f": `{show} {to.name}`; its figures:" if show else ":"
    return f"Stored as {to.name}{said} {artifact_page(about.artifact, to.name)} of the dashboard (`openwork serve`)."
