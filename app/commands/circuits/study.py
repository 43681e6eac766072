"""`openwork study`: a paper's claims re-examined on a model, or the list of studies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.fields import Running, takes
from app.commands.limits import MAX_SEED
from app.commands.options import Model, print_json, print_rows, progress, rank, reserve
from probe.errors import BadInput

if TYPE_CHECKING:
    from circuits.studies.record import StudyResult


@takes()
def study(
    *,
    name: Annotated[str | None, typer.Argument(help="Which study, like two-circuits.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="Name every study, and its claims with --json.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few prompts and 19 control sets: no p falls below 0.05.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Of the control sets.")] = 0,
    save: Annotated[str | None, typer.Option("--save", help="Store the result under this name.")] = None,
    document: Annotated[
        Path | None, typer.Option("--document", help="Write it as a document to this file, .md or .html.")
    ] = None,
    model: Model = "smollm2-135m",
    how: Running,
) -> None:
    """A paper's claims, re-examined on a model: number, interval, control, and a verdict by a rule written down first."""
    from circuits.studies.catalogue import study_named

    if listed or name is None:
        _list(how.json)
        return
    entry = study_named(name)
    if document is not None:
        _require_document(document)
    if how.dry_run:
        _announce(name, quick, seed, how)
        return
    folder = reserve("result", save or _unsaved(name, model, quick), resume=True)
    if folder.exists() and save is not None:
        _show(_stored(folder, how.resume), how.json, document)
        return
    bridge = how.load(model)
    from circuits.studies import running
    from probe.methods.call import Call
    from probe.show.made import remember

    scale = running.scale_of(quick, seed)
    found = running.run_study(bridge, entry.study(), scale=scale, folder=folder, resume=how.resume, progress=progress())
    call = Call.checked("study", model, {"name": name, "quick": quick, "seed": seed})
    remember(found, call.made)
    if save is not None and not rank():
        found.save(folder)
    running.end(folder)
    _show(found, how.json, document)
    if save is not None:
        typer.echo(f"wrote {folder}", err=True)


def _list(json: bool) -> None:
    from circuits.studies.catalogue import studies

    if json:
        print_json([one.to_dict() for one in studies()])
        return
    rows = [{"study": s.name, "what": s.summary, "claims": len(s.claims), "papers": s.paper} for s in studies()]
    print_rows(rows, "Studies")
    typer.echo("\n`openwork study NAME` runs one; --dry-run says what it would take, --quick takes less.")


def _announce(name: str, quick: bool, seed: int, how: Running) -> None:
    from circuits.studies.running import plan_study

    plan = plan_study(None, name, quick=quick, seed=seed)
    how.announce(plan)
    if not how.json:
        print_rows([{"part": part, "runs": runs} for part, runs in plan.parts.items()])


def _unsaved(name: str, model: str, quick: bool) -> str:
    """Where the parts of a study are kept that nobody gave a name."""
    from probe.artifacts.names import usable_name

    return usable_name(f"{name}-{model}{'-quick' if quick else ''}")


def _stored(folder: Path, resume: bool) -> "StudyResult":
    from circuits.studies.record import StudyResult
    from probe.artifacts.renames import taken

    if not resume:
        raise BadInput(taken(folder))
    return StudyResult.load(folder)


def _require_document(path: Path) -> None:
    from probe.artifacts.folder import require_writable

    if path.suffix.lower() not in (".md", ".html"):
        raise BadInput(f"{path} says no kind of document; give a name that ends in .md or .html.")
    require_writable(path)


def _show(found: "StudyResult", json: bool, document: Path | None) -> None:
    from probe.show.terminal import show_panels

    if document is not None:
        from probe.artifacts.exports import write_file
        from probe.show.render import as_file

        write_file(document, found.markdown() if document.suffix.lower() == ".md" else as_file(found))
        typer.echo(f"wrote {document}", err=True)
    if json:
        print_json(found.to_dict())
        return
    show_panels(found.panels())


COMMANDS = (study,)
