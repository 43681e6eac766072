"""A call of a method as a job, and its results: stored with the call, so that every door opens them, whoever made them.

Equal calls are one job. Where the result that is stored was made from other weights than the model has now, the call is another
piece of work: the old result keeps its name, and the new one gets its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import links
from app.components.plain_rows import Link
from app.jobs import results
from app.jobs import work as jobs
from app.jobs.repeat_job import Arguments, task
from app.jobs.table import Job, job_table
from app.jobs.work import Work, key_of, result, submit
from app.library import models, recent_records, vocabulary
from app.library.artifacts import is_registered, registered, require_corpora, require_tasks
from app.library.models import stale
from app.methods import addresses
from probe.artifacts.folder import place
from probe.artifacts.manifest import Manifest, read_manifest
from probe.artifacts.names import usable_name
from probe.artifacts.records import load_record
from probe.artifacts.renames import taken
from probe.errors import BadInput, OpenworkError
from probe.methods import in_words as words
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.methods.kinds import KINDS
from probe.methods.results import artifacts_of, call_that_made
from probe.progress import Progress
from probe.show.made import made_by, remember

WHAT = "method"
MOST = 100
"""Stored results of a method that its page lists."""


def key_for(call: Call) -> str:
    """The key of the call's job, under which its result is found."""
    asked: list[Any] = [call.to_dict()]
    while results.is_stored(key := key_of(WHAT, *asked)) and (other := _other_since(call, key)):
        asked += other
    return key


def _other_since(call: Call, key: str) -> list[str]:
    """What is another thing under its name now than when the result was stored: the model, artifacts that the call names. What
    it made and is gone, too."""
    if call.about.leaves and (name := call.name()) and not is_registered(call.about.leaves, name):
        return [f"without {name}"]
    now = models.stamp_in_memory(call.model)
    weights = [now.weights, now.tokenizer] if now is not None else []
    try:
        made = read_manifest(results.folder_of(key), "result")
        dates = [read_manifest(registered(kind, name), kind).created for kind, name in artifacts_of(call)]
    except OpenworkError:
        return weights
    return [*(weights if weights and stale(made) is not None else []), *(d for d in dates if d > made.created)]


def work_of(call: Call, name: str = "") -> Work:
    """The job. Its result is stored, with the model's stamp and the names of the artifacts it was given. BadInput for a text or
    an artifact that is not among those here: whoever asks a page, or by an address, may name no file of this machine. name: of
    the artifact that the call makes, where somebody chose one."""
    _names_no_file(call)
    for kind, one in artifacts_of(
        call
    ):  # by its name: neither a folder where the dashboard was started, nor a link out of here
        registered(kind, one)
    key = key_for(call)
    again = ["method", {k: value for k, value in {**call.to_dict(), "name": name}.items() if value != ""}]
    kept = name or kept_as(call)
    link = links.artifact_page(call.about.artifact, kept) if kept else addresses.address_of(call)
    about = {"link": link, "kind": WHAT, "store": lambda record: _store(call, key, record)}
    alone = not call.about.of_model
    return Work(key, words.title(call), lambda p: _run(call, p, kept), **about, alone=alone, again=again)


def _names_no_file(call: Call) -> None:
    """BadInput for a text or a task that no form offers."""
    looks = {KINDS["CorpusName"]: require_corpora, KINDS["TaskName"]: require_tasks}
    for p in call.about.parameters:
        if p.kind in looks and (named := call.arguments.get(p.name)):
            looks[p.kind](named if isinstance(named, list) else [named])


def keep(call: Call, record: Any) -> str:
    """Store what a call found elsewhere, a notebook say, as if it had been asked here; returns the name it is stored under."""
    return _store(call, key_for(call), record)


def keep_in_memory(call: Call, record: Any) -> str:
    """Put what a call found elsewhere where pages look for it, while the dashboard runs; returns the key."""
    if made_by(record) is None:  # Python was given what no call can tell, and it comes to the same
        remember(record, call.to_dict())
    jobs.keep(key := key_for(call), record)
    return key


def _store(call: Call, key: str, record: Any) -> str:
    """Store it, with what it says of itself."""
    name, about = results.folder_of(key).name, tuple(name for _, name in artifacts_of(call))
    said = {"page": links.result_page(name), "options": dict(call.arguments), "command": call.shell() or ""}
    results.keep(key, words.title(call), record, about=about, **said)
    return name


def kept_as(call: Call) -> str:
    """The name of the artifact that a call leaves beside its result, like a graph; "" where it leaves none."""
    if call.about.artifact == "result":
        return ""
    if name := call.name():
        return name
    texts = [v for p in call.about.parameters if isinstance(v := call.arguments.get(p.name), str)]
    return usable_name(f"{texts[0][:40] if texts else call.method}-{key_for(call)[-8:]}".lower())


def _run(call: Call, progress: Progress, kept: str) -> Any:
    """The record; of a call that makes an artifact, with that stored. What was begun under that name, kept, is gone on with."""
    about = call.about
    model = models.model_named(call.model, progress) if about.of_model else None
    folder = place(about.artifact, kept) if kept else None
    record = call.run(model, progress, folder, resume=True)
    if folder is not None and not about.leaves:
        _leave(call, folder, record)
    if about.of_model and any(p.kind.control == "token" for p in about.parameters):
        vocabulary.load_vocabulary(call.model, progress)  # for whoever asks again, of another token
    return record


def _leave(call: Call, folder: Path, record: Any) -> None:
    """Store what a call made as the artifact it is."""
    stamp = models.stamp_in_memory(call.model)
    if call.about.artifact == "graph":
        from circuits.comparison.carry_marks import (
            marked_as_stored,  # numpy's part of circuits is read by who has a graph
        )

        record = marked_as_stored(folder, record, stamp.weights if stamp else "")
    record.save(folder, model=stamp, parents=tuple(name for _, name in artifacts_of(call)), replace=True)


def keep_artifact(call: Call, key: str) -> None:
    """Leave once more what a call left, where its result is kept and somebody removed that."""
    kind, kept = call.about.artifact, kept_as(call)
    if kept and (record := result(key)) is not None and not is_registered(kind, kept):
        _leave(call, place(kind, kept), record)


def maker_of(name: str) -> Job | None:
    """The newest job that leaves the artifact of this name: its page waits for it."""
    made = (j for j in job_table().all() if j.key.partition(":")[0] == WHAT and j.key[-8:] == name[-8:])
    return next(made, None)


def planned(call: Call) -> str:
    """What a call would take, in a sentence. BadInput where it cannot be asked."""
    if not call.about.plan:
        return ""
    _names_no_file(call)
    if (model := models.for_plans(call.model)) is None:
        return "What it will take is told when the model is loaded."
    plan = call.plan(model)
    return plan.summary() if plan is not None else ""


@task("method")
def _again(arguments: Arguments) -> None:
    about, model = method_named(arguments["method"]), arguments.get("model", "")
    if "asked" in arguments:  # a row of before holds an address
        call = addresses.call_of(about, *addresses.asked_in(about, dict(arguments["asked"])))
    else:
        call = addresses.call_of(about, model, arguments["arguments"])
    if call is None:
        raise BadInput("What this job was asked is not stored here any more; start it from its page.")
    name = arguments.get("name", "")
    if name != "" and (folder := place(about.artifact, name)).exists():
        raise BadInput(taken(folder))
    submit(work_of(call, name))


@dataclass(frozen=True)
class Found:
    """A result: its record, the call that made it where that is known, and what is stored of it. reference: the key of its job,
    or the name it is stored under. link: to the pages of what it names, where these are not the call's units."""

    reference: str
    record: Any
    call: Call | None = None
    manifest: Manifest | None = None
    link: Link | None = None

    @property
    def name(self) -> str:
        """The name it is stored under; "" where it is in memory only."""
        return self.manifest.name if self.manifest else ""


RECORDS: dict[str, Callable[[str], Found]] = {}
"""How records are found that are no results, like trainings under way, by what their references begin with: `runs:NAME`."""


def found(reference: str) -> Found:
    """The result of a job's key, or of a stored name. BadInput where there is none, Unavailable where it is damaged."""
    what, key, names = reference.partition(":")
    if key and what in RECORDS:
        return RECORDS[what](names)
    name = results.folder_of(reference).name if key else reference
    manifest = read_manifest(registered("result", name), "result") if not key or results.is_stored(reference) else None
    record = result(reference) if key else _stored(name, manifest)
    if record is None:
        raise BadInput("This result is not kept any more; run it again.")
    return Found(reference, record, call_that_made(record, manifest), manifest)


def _stored(name: str, manifest: Manifest | None) -> Any:
    """A stored record, which is read once."""
    place = ("stored record", name, manifest.created if manifest else "")
    known = recent_records.known(*place)
    return recent_records.remember(*place, load_record(registered("result", name))) if known is None else known
