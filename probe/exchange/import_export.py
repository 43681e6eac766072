"""Dictionaries imported under a name, and stored ones exported: the tools `openwork dictionaries import` and `export`.

What is read and written, and how exactly: `probe.exchange.registry`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from probe.artifacts.folder import place
from probe.artifacts.locks.claims import claim
from probe.artifacts.manifest import read_manifest
from probe.artifacts.stored import is_registered, registered
from probe.dictionaries import load_dictionary
from probe.doc import Doc
from probe.errors import BadInput
from probe.exchange.hub import is_hub
from probe.exchange.plan import DownloadPlan, ExchangePlan, plan_download, plan_exchange
from probe.exchange.registry import (
    artifact_name,
    contents,
    export_dictionary,
    import_dictionaries,
    known_format,
    store,
)
from probe.methods import FolderToRead, FolderToWrite, tool
from probe.plain_values import Settings, takes_fields
from probe.progress import SILENT, Progress
from probe.show.record import Record

_SHOWN = ("stored", "kind", "rule", "d_in", "d_dict", "d_out")


@dataclass(frozen=True)
class ImportedSet(Record):
    """What was imported, a row each with the name it is stored under; `kept` are names of those that were there already."""

    imported: list[dict[str, Any]]
    kept: list[str]
    format: str

    def rows(self) -> list[dict[str, Any]]:
        """A row for each dictionary: its kind and widths, and what it reads and writes."""
        ends = ({"reads": ", ".join(row["sites_in"]), "writes": ", ".join(row["sites_out"])} for row in self.imported)
        return [{**{key: row[key] for key in _SHOWN}, **end} for row, end in zip(self.imported, ends, strict=True)]

    def summary(self) -> str:
        """How many, and of which format."""
        said = f"imported {len(self.imported)} of the format {self.format}"
        return f"{said}; kept: {', '.join(self.kept)}" if self.kept else said


@dataclass(frozen=True)
class ReadAs(Settings):
    """What is known of a source beside its files."""

    format: str | None = None
    "saelens, sparsify, circuit-tracer, dictionary-learning, gemma-scope or transcoder-circuits; by default recognised."
    model_name: str | None = None
    "The model they belong to; they are checked against it and stamped."
    only: Sequence[str] = ()
    "Of a set, these parts."
    site_in: str | None = None
    "Site it reads, where the file does not say."
    site_out: str | None = None
    "Site it writes, likewise."


def plan_import(
    source: FolderToRead, format: str | None = None, only: Sequence[str] = (), name: str | None = None
) -> DownloadPlan | ExchangePlan:
    """What `import_stored` would take; of a source on the hub, what has to be fetched first."""
    source = Path(source).as_posix()
    if is_hub(source):
        return plan_download(source)
    path, chosen, parts = contents(source, format, only)
    return plan_exchange(chosen.name, [artifact_name(source, part, name) for part in parts], [path], parts)


@tool("import", group="dictionaries", plan="plan_import")
@takes_fields("read_as", ReadAs)
def import_stored(
    source: Annotated[
        FolderToRead, Doc("A folder, a file, or a hub id: hf:owner/name, hf:owner/name/folder@revision.")
    ],
    *,
    read_as: ReadAs = ReadAs(),
    name: Annotated[str | None, Doc("Name to store it under; by default the source's.")] = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> ImportedSet:
    """Import dictionaries that another library trained; they encode and decode as they did there.

    resume: keep those that were imported from here already. Raises BadInput for what cannot be read exactly, or a name that is
    taken; Unavailable for damaged files and where the hub cannot be reached.

    >>> ow.import_stored(foreign, name="theirs").rows()[0]["stored"]
    'theirs-layers.1.mlp'
    """
    source = Path(source).as_posix()
    path, chosen, parts = contents(source, read_as.format, read_as.only)
    names = {part: artifact_name(source, part, name) for part in parts}
    kept = [part for part in parts if _is_kept(names[part], chosen.name, part, resume)]
    left = [part for part in parts if part not in kept]
    bridge = _loaded(read_as.model_name, progress)
    options = {"model": bridge, "only": left, "site_in": read_as.site_in, "site_out": read_as.site_out}
    rows: list[dict[str, Any]] = []
    with progress.stage("import", len(left)) as step:
        given = source if is_hub(source) else path
        for found in import_dictionaries(given, chosen.name, **options) if left else ():
            with claim(place("dictionary", names[found.name])):
                store(found, place("dictionary", names[found.name]), bridge)
            rows.append({"stored": names[found.name], **found.to_dict()})
            step()
    return ImportedSet(rows, [names[part] for part in kept], chosen.name)


def _loaded(name: str | None, progress: Progress) -> Any:
    if not name:
        return None
    from probe.model.load import load_model

    return load_model(name, progress=progress)


def _is_kept(name: str, format: str, part: str, resume: bool) -> bool:
    """Whether what is stored under a name was imported as this part of a source of this format. BadInput where it was not."""
    if not is_registered("dictionary", name):
        place("dictionary", name)  # BadInput for what cannot name one
        return False
    then = read_manifest(place("dictionary", name), "dictionary").config.get("imported", {})
    if not resume:
        raise BadInput(f"There is already a dictionary '{name}'. Choose another --name, or delete it.")
    if (then.get("format"), then.get("part")) != (format, part):
        raise BadInput(f"The dictionary '{name}' that is there was not imported from here. Choose another --name.")
    return True


@dataclass(frozen=True)
class Exported(Record):
    """What was written."""

    format: str
    folder: str
    files: list[str]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each file."""
        return [{"file": name} for name in self.files]

    def summary(self) -> str:
        """Of which format, and where."""
        return f"{self.format} in {self.folder}"


def plan_export(dictionaries: Sequence[str], format: str) -> ExchangePlan:
    """What `export_stored` would take."""
    known_format(format)
    return plan_exchange(format, dictionaries, [registered("dictionary", name) for name in dictionaries])


@tool("export", group="dictionaries", plan="plan_export")
def export_stored(
    *,
    dictionaries: Annotated[Sequence[str], Doc("Names of stored dictionaries; several for a set.")],
    format: Annotated[str, Doc("saelens, sparsify, circuit-tracer, dictionary-learning or gemma-scope.")],
    to: Annotated[FolderToWrite, Doc("The folder, which must not exist or be empty.")],
    layers: Annotated[str, Doc("What the model calls its list of blocks (layers, h), for sparsify.")] = "layers",
    resume: bool = False,
) -> Exported:
    """Export dictionaries as another library reads them: an SAE, a transcoder, or a set of one transcoder a layer.

    resume: a folder of this format that is there already was written whole, and is told. Raises BadInput for what the format
    cannot express exactly, and if the folder holds anything else.

    >>> ow.export_stored(dictionaries=["small"], format="sparsify", to=folder).files
    ['layers.1.mlp/cfg.json', 'layers.1.mlp/sae.safetensors']
    """
    known_format(format)
    folders = [registered("dictionary", name) for name in dictionaries]
    to = Path(to)
    if resume and to.is_dir() and any(to.iterdir()):
        contents(to, format)  # BadInput where it is something else
        return Exported(format, str(to), sorted(p.relative_to(to).as_posix() for p in to.rglob("*") if p.is_file()))
    model = stamp.name if (stamp := read_manifest(folders[0], "dictionary").model) else None
    facts = {
        "model_name": Path(model).name if model and Path(model).is_absolute() else model,
        "layers": layers,
        "name": dictionaries[0],
    }
    return Exported(format, str(to), export_dictionary([*map(load_dictionary, folders)], to, format, **facts))
