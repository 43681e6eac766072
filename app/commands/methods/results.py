"""`openwork show`: what is stored, from whichever door it came, and how it was made. No model is loaded."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.methods.catalogue import visible_lines
from app.commands.options import AsJson, print_json
from probe.artifacts.exports import write_csv
from probe.artifacts.manifest import Manifest, read_manifest
from probe.errors import BadInput
from probe.show.terminal import print_rows, show_panels


def show(
    names: Annotated[
        list[str] | None, typer.Argument(help="Stored results by name, or their folders; a list of all without it.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the rows of its table to this file.")] = None,
    json: AsJson = False,
) -> None:
    """A stored result, several one under the other, or the list of all: what was found and how it was made."""
    if not names:
        _list(json)
        return
    if csv is not None and len(names) > 1:
        raise BadInput(f"--csv writes the rows of one result; {len(names)} were named.")
    found = [_read(name) for name in names]
    if json:
        told = [{**_facts(manifest), "record": _plain(record)} for manifest, record in found]
        print_json(told[0] if len(told) == 1 else told)
    else:
        for i, (manifest, record) in enumerate(found):
            if i:
                typer.echo("\n" + "-" * 60 + "\n")
            _print(manifest, record)
    if csv is not None:
        manifest, record = found[0]
        if not hasattr(record, "rows"):
            raise BadInput(f"{manifest.name} has no table.")
        rows = record.every_row() if hasattr(record, "every_row") else record.rows()
        typer.echo(f"wrote {write_csv(rows, csv)}", err=True)


def _list(json: bool) -> None:
    from app.library.artifacts import library

    rows = [_facts(manifest) for _, manifest in library().kinds["result"]]
    if json:
        print_json(rows)
    elif rows:
        shown = ("name", "what", "model", "created", "title")
        print_rows([{key: row[key] for key in shown} for row in rows], "Stored results, newest first")
    else:
        typer.echo("Nothing is stored yet; --save NAME of a method's command keeps what it found.")


def _read(name: str) -> tuple[Manifest, Any]:
    """What its folder says of itself, and its record, or the report of a result that has that alone."""
    from probe.artifacts.manifest import found_folder
    from probe.artifacts.records import RECORD, load_record
    from probe.methods.stored_report import stored_report

    folder = found_folder("result", name, "`openwork show` lists what there is.")
    manifest = read_manifest(folder, "result")
    return manifest, load_record(folder) if (folder / RECORD).exists() else stored_report(folder)


def _facts(manifest: Manifest) -> dict[str, Any]:
    """How it was made, as its manifest says."""
    call = manifest.facts.get("call")
    call = call if isinstance(call, dict) else {}
    return {
        "name": manifest.name,
        "what": call.get("method") or manifest.facts.get("what") or "",
        "model": call.get("model") or (manifest.model.name if manifest.model else ""),
        "created": manifest.created,
        "title": manifest.facts.get("title") or "",
        "command": manifest.command,
        "call": call or None,
    }


def _plain(record: Any) -> Any:
    from probe.show.values import as_json

    return record.to_dict() if hasattr(record, "to_dict") else as_json(record)


def _print(manifest: Manifest, record: Any) -> None:
    if hasattr(record, "panels"):
        show_panels(record.panels())
    else:
        typer.echo(visible_lines(repr(record)))
    _how(manifest, record)


def _how(manifest: Manifest, record: Any) -> None:
    """The lines that make it again."""
    from app.links import result_page
    from probe.methods.call import call_of

    call = call_of(record)
    model = _facts(manifest)["model"]
    typer.echo(f"\nMade {manifest.created[:16].replace('T', ' ')}{f' of {model}' if model else ''}")
    typer.echo(f"    its page: {result_page(manifest.name)} of the dashboard (`openwork serve`)")
    if line := (call.shell() if call else None) or manifest.command:
        typer.echo(f"    {visible_lines(line)}")
    if call is not None:
        typer.echo("\n".join(f"    {visible_lines(line)}".rstrip() for line in call.python().split("\n")))
    elif stored := _facts(manifest)["call"]:
        typer.echo(f"    a call of {str(stored.get('method'))[:80]}, which this Openwork does not know as it was made")
