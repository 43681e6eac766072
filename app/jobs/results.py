"""Results of the dashboard's jobs on disk: the artifact of a piece of work, by its key.

A test of a subgraph, groups that were suggested, a run with a change, a patching sweep take minutes; what they found is stored
as a `result` whose name follows from the key of the work, so whoever knows the key (an address, a job's row) finds it after a
reload or a restart. The manifest holds what was asked, the model, what it was made from, and the page that shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.links import local
from probe.artifacts.folder import place
from probe.artifacts.json import write_json
from probe.artifacts.manifest import Manifest, ModelStamp, writing
from probe.artifacts.records import REPORT, write_record
from probe.artifacts.stored import library
from probe.errors import BadInput
from probe.show.made import made_by
from probe.show.record import Record
from probe.show.values import as_json


@dataclass(frozen=True)
class Origin:
    """What a stored piece of work says of itself: what it is about, what was asked (for JSON), the line that asks it again.

    about: names of the artifacts it is of (a graph, dictionaries). model: gives the stamp of the model that was run. page: the
    one that shows it, where that is not the page of the job.
    """

    about: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    model: Callable[[], ModelStamp | None] = lambda: None
    page: str = ""


def folder_of(key: str) -> Path:
    """Where the result of this key is, or would be."""
    return place("result", key.replace(":", "-"))


def is_stored(key: str) -> bool:
    """Is there a result of this key on disk?"""
    try:
        return (folder_of(key) / "manifest.json").is_file()
    except (BadInput, OSError):
        return False


def keep(key: str, title: str, link: str, origin: Origin, record: object) -> Path:
    """Store what the work of this key found."""
    folder, call = folder_of(key), made_by(record)
    facts = {"what": key.partition(":")[0], "key": key, "title": title, "page": origin.page or link}
    facts |= {"call": call} if call is not None else {}
    facts = {**as_json(record.in_lists()), **facts} if isinstance(record, Record) else facts
    manifest = Manifest(
        "result",
        folder.name,
        origin.model(),
        config=origin.options,
        parents=origin.about,
        command=origin.command or "made on the dashboard",
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
