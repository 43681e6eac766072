"""Results of the dashboard's jobs on disk: the artifact of a piece of work, by its key.

A test of a subgraph, groups that were suggested, a run with a change, a patching sweep take minutes; what they found is stored
as a `result` whose name follows from the key of the work, so whoever knows the key (an address, a job's row) finds it after a
reload or a restart. The manifest holds what was asked, the model, what it was made from, and the page that shows it.
"""

from pathlib import Path

from app.links import local
from probe.artifacts.folder import place
from probe.artifacts.json import Json, write_json
from probe.artifacts.manifest import Manifest, writing
from probe.artifacts.records import REPORT, stamp_known, write_record
from probe.artifacts.stored import library
from probe.errors import BadInput
from probe.show.made import made_by
from probe.show.record import Record
from probe.show.values import as_json


def folder_of(key: str) -> Path:
    """Where the result of this key is, or would be."""
    return place("result", key.replace(":", "-"))


def is_stored(key: str) -> bool:
    """Is there a result of this key on disk?"""
    try:
        return (folder_of(key) / "manifest.json").is_file()
    except (BadInput, OSError):
        return False


def keep(
    key: str,
    title: str,
    record: object,
    *,
    page: str,
    about: tuple[str, ...] = (),
    options: Json | None = None,
    command: str = "",
) -> Path:
    """Store what the work of this key found. page: that shows it. about: names of the artifacts it is of. options: what was
    asked. command: the line that asks it again."""
    folder, call = folder_of(key), made_by(record)
    facts = {"what": key.partition(":")[0], "record": type(record).__name__, "key": key, "title": title, "page": page}
    facts |= {"call": call} if call is not None else {}
    facts = {**as_json(record.in_lists()), **facts} if isinstance(record, Record) else facts
    manifest = Manifest(
        "result",
        folder.name,
        stamp_known(record),
        config=options or {},
        parents=about,
        command=command or "made on the dashboard",
        facts=facts,
    )
    with writing(folder, manifest, replace=True) as scratch:
        write_record(scratch, record)
        if isinstance(record, Record):
            write_json(scratch / REPORT, as_json(record.to_dict()))
    return folder


def of(what: str, about: str) -> list[Manifest]:
    """Manifests of the results of this sort that are about this artifact, newest first."""
    kept = [m for folder, m in library("result").kinds["result"] if m.facts.get("key") == _key(folder.name)]
    return [m for m in kept if m.name.startswith(f"{what}-") and about in m.parents]


def page_of(manifest: Manifest) -> str | None:
    """The page that shows a result of the dashboard: a local address, or None."""
    page = manifest.facts.get("page")
    return page if isinstance(page, str) and local(page) and manifest.facts.get("key") == _key(manifest.name) else None


def _key(name: str) -> str:
    what, _, digest = name.rpartition("-")
    return f"{what}:{digest}"
