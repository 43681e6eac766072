"""Model work that a page asks for and waits for in place: a job whose result stays in memory under a key.

A callback builds a `Work` and hands it to `submit`; the page holds a slot (`app.components.slot`) that shows the progress,
can cancel, and tells the page when `result(key)` is there. Equal keys are one job, and a result in memory is no job at all.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app import analyses, jobs
from probe.errors import BadInput
from probe.progress import Progress


@dataclass(frozen=True)
class Work:
    """title: a sentence for the table of jobs. run: gets the progress, returns the record. link: the page that shows it."""

    key: str
    title: str
    run: Callable[[Progress], Any]
    link: str = ""
    kind: str = "experiment"


def key_of(*parts: Any) -> str:
    """A short key for anything JSON can write: equal parts, equal key. It names a kind first: `ablate:3f2a...`."""
    text = json.dumps(parts[1:], sort_keys=True, default=str)
    return f"{parts[0]}:{hashlib.sha256(text.encode('utf8', 'surrogatepass')).hexdigest()[:16]}"


def submit(work: Work) -> str:
    """Queue the work unless its result is in memory; returns its key."""
    if result(work.key) is None:
        jobs.table().submit(work.kind, work.title, lambda p: _keep(work, p), key=work.key, link=work.link)
    return work.key


def _keep(work: Work, progress: Progress) -> str | None:
    analyses.remember(*_place(work.key), work.run(progress))
    return None


def keep(key: str, record: Any) -> None:
    """Put a record that was made elsewhere where the page of this key looks for it."""
    analyses.remember(*_place(key), record)


def result(key: str | None) -> Any | None:
    """What the work of this key found, if it is in memory."""
    return analyses.known(*_place(key)) if key else None


def found(key: str | None) -> Any:
    """The result that must be there; BadInput where memory no longer holds it."""
    if (value := result(key)) is None:
        raise BadInput("This result is no longer in memory; run it again.")
    return value


def _place(key: str) -> tuple[str, str, str]:
    return "work", "", key
