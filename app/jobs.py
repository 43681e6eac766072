"""Long work of the dashboard: one worker thread that owns the models, and a table of jobs that outlives the page.

Jobs run one after the other (a model is one thing, and so is the memory it lives in). Every change of state is written to
`home()/jobs/ID.json`, so a reload shows the same table, and a server that starts again says of jobs it finds unfinished
that they were interrupted. Work reports through `probe.progress.Watched`, which is also how it is cancelled.
"""

import json
import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from probe.artifact import home, write_json
from probe.errors import Cancelled, OpenworkError
from probe.progress import Progress, Snapshot, Watched

log = logging.getLogger("openwork.jobs")
Work = Callable[[Progress], str | None]
ACTIVE = ("queued", "running")
_KEPT = 200  # job files kept on disk; older ones are removed when a new job begins
_WRITE_EVERY = 2.0  # seconds between writes of mere progress


@dataclass
class Job:
    """One row of the table. `key` says what it makes (equal keys are one job); `link` is the page that shows its result.

    state: queued, running, done, failed, cancelled or interrupted. done, total in `unit`; eta in seconds; times in Unix seconds.
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

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def share(self) -> float | None:
        """Done part of the present stage, 0 to 1; None when its size is unknown."""
        return min(1.0, self.done / self.total) if self.total else None


class Jobs:
    """The table and its worker. All methods may be called from any thread."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._jobs: dict[str, Job] = {}
        self._work: dict[str, Work] = {}
        self._watched: dict[str, Watched] = {}
        self._queue: queue.Queue[str] = queue.Queue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._read()

    def submit(self, kind: str, title: str, work: Work, *, key: str = "", link: str = "") -> Job:
        """Queue `work`; a job with the same key that is still active is returned instead of a second one."""
        with self._lock:
            if key and (same := next((j for j in self._jobs.values() if j.key == key and j.active), None)):
                return same
            job = Job(
                f"{int(time.time()):x}-{secrets.token_hex(3)}",
                kind,
                title,
                key,
                link,
                created=time.time(),
                pid=os.getpid(),
            )
            self._jobs[job.id], self._work[job.id] = job, work
            self._watched[job.id] = Watched(lambda snapshot: self._told(job, snapshot))
            self._prune()
            self._write(job)
            self._queue.put(job.id)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name="openwork-model", daemon=True)
                self._thread.start()
        return job

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop: at once if it waits, at its next step if it runs. Unknown and finished jobs are left alone."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or not job.active or job_id not in self._watched:
                return
            self._watched[job_id].cancel()
            if job.state == "queued":
                self._end(job, "cancelled", "Cancelled before it began.")
            else:
                job.message = "Stopping at the next step."

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda j: j.created, reverse=True)

    def active(self) -> list[Job]:
        return [j for j in self.all() if j.active]

    def latest(self, key: str) -> Job | None:
        """The newest job that makes `key`."""
        return next((j for j in self.all() if j.key == key), None)

    def wait(self, job_id: str, timeout: float = 60.0) -> Job:
        """Block until a job has ended (for scripts and tests)."""
        end = time.monotonic() + timeout
        while (job := self._jobs[job_id]).active and time.monotonic() < end:
            time.sleep(0.02)
        with self._lock:  # whoever ended it holds the lock until its file is written
            return job

    def _loop(self) -> None:
        while True:
            job = self._jobs[self._queue.get()]
            with self._lock:
                if job.state != "queued":
                    continue
                job.state, job.started = "running", time.time()
                self._write(job)
            self._run(job)

    def _run(self, job: Job) -> None:
        try:
            link = self._work[job.id](self._watched[job.id])
        except Cancelled as error:
            self._end(job, "cancelled", str(error))
        except OpenworkError as error:
            self._end(job, "failed", str(error))
        except Exception:  # a bug; the page gets a sentence, the log the traceback
            log.exception("job %s (%s) failed", job.id, job.title)
            self._end(job, "failed", "Something went wrong inside Openwork; the terminal it runs in shows the details.")
        else:
            job.link = link or job.link
            self._end(job, "done")

    def _end(self, job: Job, state: str, message: str = "") -> None:
        with self._lock:
            job.state, job.message, job.finished, job.eta = state, message, time.time(), None
            self._work.pop(job.id, None)
            self._watched.pop(job.id, None)
            self._write(job)

    def _told(self, job: Job, snapshot: Snapshot) -> None:
        new_stage = snapshot.stage != job.stage
        job.stage, job.done, job.total, job.unit, job.eta = (
            snapshot.stage,
            snapshot.done,
            snapshot.total,
            snapshot.unit,
            snapshot.eta,
        )
        last = getattr(self, "_written", 0.0)
        if new_stage or time.monotonic() - last > _WRITE_EVERY:
            self._written = time.monotonic()
            self._write(job)

    def _path(self, job: Job) -> Path:
        return self.folder / f"{job.id}.json"

    def _write(self, job: Job) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self._path(job), asdict(job))
        except OSError as error:  # a full disk must not stop the work whose table this is
            log.warning("the job table could not be written: %s", error)

    def _prune(self) -> None:
        for job in [j for j in self.all() if not j.active][_KEPT:]:
            self._path(job).unlink(missing_ok=True)
            del self._jobs[job.id]

    def _read(self) -> None:
        for path in self.folder.glob("*.json"):
            try:
                job = Job(**json.loads(path.read_text(encoding="utf8")))
                job.id = path.stem
            except (ValueError, TypeError, OSError):
                continue  # a damaged row is no reason to show none
            self._jobs[job.id] = job
            if job.active and not _alive(job.pid):
                self._end(
                    job, "interrupted", "The server stopped before this was finished. Start it again from its page."
                )


def _alive(pid: int) -> bool:
    """Is another process with this id running (perhaps a second server on the same folder)?"""
    if pid <= 0 or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


_tables: dict[Path, Jobs] = {}
_tables_lock = threading.Lock()


def table() -> Jobs:
    """The table of this process for the present `home()`."""
    with _tables_lock:
        folder = home() / "jobs"
        if folder not in _tables:
            _tables[folder] = Jobs(folder)
        return _tables[folder]
