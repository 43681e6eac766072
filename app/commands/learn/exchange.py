"""`openwork import` and `openwork export`: dictionaries from and to other libraries' files."""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.fields import How, takes
from app.commands.options import load, print_json, print_rows, progress, quiet
from probe.artifacts.folder import place
from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput

FORMATS = "saelens, sparsify, circuit-tracer, dictionary-learning, gemma-scope or transcoder-circuits"


@takes()
def import_(
    *,
    source: Annotated[
        str, typer.Argument(help="A folder, a file, or a hub id: hf:owner/name, hf:owner/name/folder@revision.")
    ],
    format: Annotated[str | None, typer.Option("--format", help=f"{FORMATS}; by default recognised.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model they belong to; they are checked against it and stamped.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Of a set, these parts; repeat it.")] = None,
    site_in: Annotated[
        str | None, typer.Option("--site-in", help="Site it reads, where the file does not say.")
    ] = None,
    site_out: Annotated[str | None, typer.Option("--site-out", help="Site it writes, likewise.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name to store it under; by default the source's.")] = None,
    how: How,
) -> None:
    """Import dictionaries that another library trained; they encode and decode as they did there."""
    from probe.exchange import artifact_name, contents, import_dictionaries, store
    from probe.exchange.hub import is_hub
    from probe.exchange.plan import plan_download, plan_exchange

    quiet()
    if how.dry_run and is_hub(source):
        how.announce(plan_download(source))
        return
    path, chosen, parts = contents(source, format, only or ())
    names = {part: artifact_name(source, part, name) for part in parts}
    if how.dry_run:
        how.announce(plan_exchange(chosen.name, list(names.values()), [path], parts))
        return
    folders = {part: how.reserve("dictionary", names[part]) for part in parts}
    there = [part for part in parts if folders[part].exists()]
    for part in there:
        _check_kept(names[part], chosen.name, part)
    bridge = load(model) if model else None
    left = [part for part in parts if part not in there]
    options = {"model": bridge, "only": left, "site_in": site_in, "site_out": site_out}
    rows: list[dict[str, Any]] = []
    with progress().stage("import", len(left)) as step:
        for found in (
            import_dictionaries(path if not is_hub(source) else source, chosen.name, **options) if left else ()
        ):
            store(found, place("dictionary", names[found.name]), bridge)
            rows.append({"stored": names[found.name], **found.to_dict()})
            step()
    kept = [names[part] for part in there]
    _report({"imported": rows, "kept": kept, "format": chosen.name}, how.json)


def _check_kept(name: str, format: str, part: str) -> None:
    """BadInput where what is stored under a name was not imported as this part of a source of this format."""
    then = read_manifest(place("dictionary", name), "dictionary").config.get("imported", {})
    if (then.get("format"), then.get("part")) != (format, part):
        raise BadInput(f"The dictionary '{name}' that is there was not imported from here. Choose another --name.")


def _report(report: Json, json: bool) -> None:
    if json:
        print_json(report)
        return
    shown = ("stored", "kind", "rule", "d_in", "d_dict", "d_out")
    ends = [{"reads": ", ".join(row["sites_in"]), "writes": ", ".join(row["sites_out"])} for row in report["imported"]]
    rows = [{**{key: row[key] for key in shown}, **end} for row, end in zip(report["imported"], ends, strict=True)]
    title = f"imported {len(rows)} of the format {report['format']}"
    print_rows(rows, f"{title}; kept: {', '.join(report['kept'])}" if report["kept"] else title)


@takes()
def export(
    *,
    dictionary: Annotated[list[str], typer.Option("--dictionary", help="Name of a dictionary; repeat it for a set.")],
    format: Annotated[
        str, typer.Option("--format", help="saelens, sparsify, circuit-tracer, dictionary-learning or gemma-scope.")
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder to write, which must not exist or be empty.")],
    layers: Annotated[
        str, typer.Option("--layers", help="What the model calls its list of blocks (layers, h), for sparsify.")
    ] = "layers",
    how: How,
) -> None:
    """Export dictionaries as another library reads them: an SAE, a transcoder, or a set of one transcoder a layer."""
    from app.library.artifacts import registered
    from app.library.models import short_model
    from probe.dictionaries import load_dictionary
    from probe.exchange import contents, export_dictionary, known_format
    from probe.exchange.plan import plan_exchange

    known_format(format)
    folders = [registered("dictionary", name) for name in dictionary]
    if how.dry_run:
        how.announce(plan_exchange(format, dictionary, folders))
        return
    if how.resume and to.is_dir() and any(to.iterdir()):  # a folder is written whole or not at all
        contents(to, format)  # BadInput where it is something else
        files = sorted(p.relative_to(to).as_posix() for p in to.rglob("*") if p.is_file())
    else:
        made_from = read_manifest(folders[0], "dictionary").model
        facts = {
            "model_name": short_model(made_from.name) if made_from else None,
            "layers": layers,
            "name": dictionary[0],
        }
        files = export_dictionary([load_dictionary(folder) for folder in folders], to, format, **facts)
    report = {"format": format, "folder": str(to), "files": files}
    print_json(report) if how.json else print_rows([{"file": name} for name in files], f"{format} in {to}")


COMMANDS = (import_, export)
