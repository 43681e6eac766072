"""`openwork study`: the method `study` by the study's name alone, or the list of studies."""

from collections.abc import Iterable, Iterator
from inspect import Parameter as Argument
from typing import Annotated, Any

import typer

from app.commands.methods.command import command_of
from app.commands.options import print_json
from probe.methods.catalogue import method_named
from probe.methods.read_declarations import Method

Name = Annotated[str | None, typer.Argument(help="Which study, like two-circuits.")]
Listed = Annotated[bool, typer.Option("--list", help="Name every study, and its claims with --json.")]


def _options(options: Iterable[Argument]) -> Iterator[Argument]:
    for option in options:
        yield option.replace(annotation=Name) if option.name == "name" else option
    yield Argument("listed", Argument.KEYWORD_ONLY, default=False, annotation=Listed)


def _asked(typed: dict[str, Any]) -> tuple[Method | None, dict[str, Any]]:
    if typed["listed"] or typed["name"] is None:
        _list(typed["json"])
        raise typer.Exit
    return None, typed


def _list(json: bool) -> None:
    from circuits.studies.catalogue import studies
    from probe.show.terminal import print_rows

    if json:
        print_json([one.to_dict() for one in studies()])
        return
    rows = [{"study": s.name, "what": s.summary, "claims": len(s.claims), "papers": s.paper} for s in studies()]
    print_rows(rows, "Studies")
    typer.echo("\n`openwork study NAME` runs one; --dry-run says what it would take, --quick takes less.")


study = command_of(method_named("study"), _options, read=_asked)
