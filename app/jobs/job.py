"""One row of the table of jobs, and its file. A file that is damaged, or not of this shape, is no row."""

import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from app import links
from probe.artifacts.json import write_json
from probe.artifacts.untrusted import read_json
from probe.errors import Unavailable

Task = list[Any]
"""A task's name and its arguments, as JSON keeps them: `["heads", {"model": ..., "prompt": ...}]` (see `app.jobs.again`)."""
ACTIVE = ("queued", "running")
STATES = (*ACTIVE, "done", "failed", "cancelled", "interrupted")
_LARGEST = 4 << 20  # bytes of a job's file
_LINES, _FIRST = 80, 20  # lines of a log that are kept; so many of them are the first ones


@dataclass
class Job:
    """`key` says what it makes (equal keys are one job); `link` is the page that shows its result.

    state: queued, running, done, failed, cancelled or interrupted. done, total in `unit`; eta in seconds; times in Unix seconds.
    log: what happened when, as [time, words]. details: what to copy into a report when it failed. again: the name and the
    arguments of the task that makes it (`app.jobs.again`), so that it can be started again after a restart. pid and born
    say which process works on it. alone: it runs no model, and so waits for none.
    """

    id: str
    kind: str
    title: str
    key: str = ""
    link: str = ""
    state: str = "queued"
    stage: str = ""
    done: float = 0.0
    total: float | None = None
    unit: str = ""
    eta: float | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    message: str = ""
    pid: int = 0
    born: str = ""
    log: list[list[Any]] = field(default_factory=list)
    details: str = ""
    again: Task = field(default_factory=list)
    alone: bool = False

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def share(self) -> float | None:
        """Done part of the present stage, 0 to 1; None when its size is unknown."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def left(self) -> float | None:
        """Seconds left of the present stage, where that is worth saying."""
        return self.eta if self.eta is not None and self.eta >= 2 else None

    def say(self, words: str) -> None:
        """Add a line to the log; of a long one the middle goes."""
        self.log.append([time.time(), words])
        if len(self.log) > _LINES:
            del self.log[_FIRST]

    def write(self, folder: Path) -> None:
        """Put it into its file, beside and renamed."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{self.id}.json", asdict(self))


def read_job(path: Path) -> Job | None:
    """The job of a file, or None when it holds none."""
    try:
        raw = read_json(path, _LARGEST)
        known = {f.name: f.type for f in fields(Job)}
        job = Job(**{**{k: v for k, v in raw.items() if k in known}, "id": path.stem})
    except (ValueError, TypeError, AttributeError, Unavailable):
        return None
    if not _sound(job):
        return None
    job.link = job.link if links.local(job.link) else ""  # the file may say anything
    return job


def _sound(job: Job) -> bool:
    """Do the fields hold what they are declared to hold?"""
    texts = (job.kind, job.title, job.key, job.link, job.stage, job.unit, job.message, job.born, job.details)
    numbers = (job.done, job.total, job.eta, job.created, job.started, job.finished, job.pid)
    return (
        job.state in STATES
        and all(isinstance(t, str) for t in texts)
        and all(n is None or (isinstance(n, int | float) and abs(n) < 1e18) for n in numbers)
        and None not in (job.done, job.created, job.pid)
        and isinstance(job.alone, bool)
        and isinstance(job.log, list)
        and all(isinstance(line, list) and len(line) == 2 and _moment(line[0]) for line in job.log)
        and _task(job.again)
        and all(_moment(t) for t in (job.created, job.started or 0, job.finished or 0))
    )


def _task(value: object) -> bool:
    """Nothing, or a name with its arguments?"""
    return value == [] or (
        isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)
    )


def _moment(value: object) -> bool:
    """A time that a calendar can show?"""
    return isinstance(value, int | float) and 0 <= value < 2e11


def alive(job: Job) -> bool:
    """Does another process still work on it (perhaps a second server on the same folder)?"""
    return int(job.pid) != os.getpid() and lives(int(job.pid), job.born)


def lives(pid: int, since: str) -> bool:
    """Is the process still there? Process ids are used again, so the moment of birth counts too, where the system tells it."""
    if not 0 < pid < 2**31:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not since or born(pid) in ("", since)


def born(pid: int) -> str:
    """When a process began, in the system's own count; empty where it does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
