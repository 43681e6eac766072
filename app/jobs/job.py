"""One row of the table of jobs, and its file. A file that is damaged, or not of this shape, is no row."""

import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app import links
from probe.artifacts.json import write_json
from probe.artifacts.schemas import anything, fields, mapping, maybe, number, several, text, yes_or_no
from probe.artifacts.untrusted import read_json
from probe.errors import Unavailable
from probe.processes import lives

Task = list[Any]
"""A task's name and its arguments, as JSON keeps them: `["heads", {"model": ..., "prompt": ...}]` (see `app.jobs.repeat_job`)."""
ACTIVE = ("queued", "running")
STATES = (*ACTIVE, "done", "failed", "cancelled", "interrupted")
_LARGEST = 4 << 20  # bytes of a job's file
_LINES, _FIRST = 80, 20  # lines of a log that are kept; so many of them are the first ones


@dataclass
class Job:
    """`key` says what it makes (equal keys are one job); `link` is the page that shows its result.

    state: queued, running, done, failed, cancelled or interrupted. done, total in `unit`; eta in seconds; times in Unix seconds.
    log: what happened when, as [time, words]. details: what to copy into a report when it failed. again: the name and the
    arguments of the task that makes it (`app.jobs.repeat_job`), so that it can be started again after a restart. pid and born
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


_MOMENT = number(0, 2e11)  # seconds that a calendar can show
_COUNT = number(-1e18, 1e18)
_ROW = fields(
    {},
    {
        **dict.fromkeys(("kind", "title", "key", "link", "stage", "unit", "message", "born", "details"), text),
        **dict.fromkeys(("total", "eta"), maybe(_COUNT)),
        **dict.fromkeys(("done", "pid"), _COUNT),
        **dict.fromkeys(("started", "finished"), maybe(_MOMENT)),
        "created": _MOMENT,
        "state": STATES.__contains__,
        "log": several(lambda line: isinstance(line, list) and len(line) == 2 and _MOMENT(line[0])),
        "again": lambda task: task == [] or (several(anything, 2)(task) and text(task[0]) and mapping()(task[1])),
        "alone": yes_or_no,
    },
)
"""What the fields of a row may be."""


def read_job(path: Path) -> Job | None:
    """The job of a file, or None when it holds none."""
    with suppress(ValueError, TypeError, Unavailable):
        raw = read_json(path, _LARGEST)
        if _ROW(raw):
            job = Job(**{**{k: v for k, v in raw.items() if k in Job.__dataclass_fields__}, "id": path.stem})
            job.link = job.link if links.local(job.link) else ""  # the file may say anything
            return job
    return None


def alive(job: Job) -> bool:
    """Does another process still work on it (perhaps a second server on the same folder)?"""
    return int(job.pid) != os.getpid() and lives(int(job.pid), job.born)
