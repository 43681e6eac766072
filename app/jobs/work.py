"""Model work that a page asks for and waits for in place: a job whose result is found again under a key.

A callback builds a `Work` and hands it to `submit`; the page holds a slot (`app.components.slot`) that shows the progress,
can cancel, and tells the page when `result(key)` is there. Equal keys are one job, and a result that is there is no job at all.
Results stay in memory for a while; of work with a `store` they are on disk too, and outlive the process.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.jobs import results
from app.jobs.job import Task
from app.jobs.table import job_table
from app.library import recent_records
from probe.artifacts.records import load_record
from probe.errors import BadInput, OpenworkError
from probe.progress import Progress


@dataclass(frozen=True)
class Work:
    """title: a sentence for the table of jobs. run: gets the progress, returns the record. link: the page that shows it.
    store: puts the record on disk (`app.jobs.results`); without it the result is in memory only, and its page makes it again.
    alone: it runs no model, so it waits for none. again: name and arguments of the task that starts it anew after a restart
    (`app.jobs.repeat_job`)."""

    key: str
    title: str
    run: Callable[[Progress], Any]
    link: str = ""
    kind: str = "experiment"
    store: Callable[[Any], object] | None = None
    alone: bool = False
    again: Task | None = None


def key_of(*parts: object) -> str:
    """A short key for anything JSON can write: equal parts, equal key. It names a kind first: `ablate:3f2a...`."""
    text = json.dumps(parts[1:], sort_keys=True, default=str)
    return f"{parts[0]}:{hashlib.sha256(text.encode('utf8', 'surrogatepass')).hexdigest()[:16]}"


def submit(work: Work) -> str:
    """Queue the work unless its result is there; returns its key."""
    if not is_there(work.key):
        named: dict[str, Any] = {"key": work.key, "link": work.link, "again": work.again, "alone": work.alone}
        job_table().submit(work.kind, work.title, lambda p: _keep(work, p), **named)
    return work.key


def _keep(work: Work, progress: Progress) -> str | None:
    found = work.run(progress)
    try:  # stored first: whoever sees that it is there finds it among what is stored
        if work.store is not None:
            work.store(found)
    finally:
        recent_records.remember(*_place(work.key), found)
    return None


def keep(key: str, record: object) -> None:
    """Put a record that was made elsewhere where the page of this key looks for it."""
    recent_records.remember(*_place(key), record)


def result(key: str | None) -> Any | None:
    """What the work of this key found, if it is in memory or stored; None for a stored one that is damaged."""
    if not key:
        return None
    if (value := recent_records.known(*_place(key))) is None and results.is_stored(key):
        try:
            value = recent_records.remember(*_place(key), load_record(results.folder_of(key)))
        except OpenworkError:
            return None
    return value


def is_there(key: str) -> bool:
    """Is the result of this key in memory or stored?"""
    return result(key) is not None


def required(key: str | None) -> Any:
    """The result that must be there; BadInput where it is not kept any more."""
    if (value := result(key)) is None:
        raise BadInput("This result is not kept any more; run it again.")
    return value


def given(key: str | None, *kinds: str) -> str | None:
    """A key that an address holds, if it is one of these kinds and something is known of it: a result, or a job."""
    if not key or len(key) > 80 or key.partition(":")[0] not in kinds:
        return None
    return key if is_there(key) or job_table().latest(key) is not None else None


def _place(key: str) -> tuple[str, str, str]:
    return "work", "", key


def instead_of(before: str | None, wanted: Work) -> str:
    """Submit, after calling off what was asked for before and is not wanted any more."""
    if before and before != wanted.key:
        job = job_table().latest(before)
        if job is not None and job.active:
            job_table().cancel(job.id)
    return submit(wanted)
