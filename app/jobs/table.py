"""Long work of the dashboard: one worker thread that owns the models, and a table of jobs that outlives the page.

Jobs run one after the other (a model is one thing, and so is the memory it lives in), readings of prompts, which take seconds,
before other work that waits. Work that runs no model has a worker of its own and waits for none of these.
Every change of state is written to `home()/jobs/ID.json`, so a reload shows the same table, and a server that starts again
says of jobs it finds unfinished that they were interrupted. Work reports through
`probe.progress.Watched`, which is also how it is cancelled.
"""

import itertools
import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.jobs.interrupted import INTERRUPTED
from app.jobs.job import ACTIVE, Job, Task, alive, read_job
from app.trouble import foreseen_in, meet
from probe.artifacts.folder import home
from probe.errors import Cancelled
from probe.processes import born
from probe.progress import Progress, Snapshot, Watched

log = logging.getLogger("openwork.jobs")
Run = Callable[[Progress], str | None]
"""What a job does: it tells its progress, and returns the page that shows what came of it, or None for the job's own."""
__all__ = ["ACTIVE", "Job", "Jobs", "job_table"]
_KEPT = 200  # job files kept on disk; older ones are removed when a new job begins
_STOPPING = "Stopping at the next step."
_WRITE_EVERY = 2.0  # seconds between writes of mere progress


class Jobs:
    """The table and its worker. All methods may be called from any thread."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic):
        self.folder, self._clock = folder, clock
        self._jobs: dict[str, Job] = {}
        self._work: dict[str, Run] = {}
        self._watched: dict[str, Watched] = {}
        self._queues: dict[bool, queue.PriorityQueue[tuple[bool, int, str]]] = {
            alone: queue.PriorityQueue() for alone in (False, True)
        }
        self._threads: dict[bool, threading.Thread] = {}
        self._count = itertools.count()
        self._lock = threading.RLock()
        self._looked = self._written = float("-inf")
        self._look_elsewhere()

    def submit(
        self,
        kind: str,
        title: str,
        work: Run,
        *,
        key: str = "",
        link: str = "",
        again: Task | None = None,
        alone: bool = False,
    ) -> Job:
        """Queue `work`; a job with the same key that is still active is returned instead of a second one.

        again: name and arguments of the task that makes it (see `app.jobs.job.Job`). alone: it runs no model.
        """
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
                born=born(os.getpid()),
                again=again or [],
                alone=alone,
            )
            job.say("queued")
            self._jobs[job.id], self._work[job.id] = job, work
            self._watched[job.id] = Watched(lambda snapshot: self._told(job, snapshot))
            self._prune()
            self._write(job)
            self._queues[alone].put((kind != "read", next(self._count), job.id))
            if alone not in self._threads or not self._threads[alone].is_alive():
                name = "openwork-alone" if alone else "openwork-model"
                self._threads[alone] = threading.Thread(target=self._loop, args=(alone,), name=name, daemon=True)
                self._threads[alone].start()
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
            elif job.message != _STOPPING:
                job.message = _STOPPING
                job.say("cancel was asked for")

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Newest first."""
        with self._lock:
            self._look_elsewhere()
            return sorted(self._jobs.values(), key=lambda j: j.created, reverse=True)

    def active(self) -> list[Job]:
        return [j for j in self.all() if j.active]

    def ahead(self, job: Job) -> list[Job]:
        """Active jobs that a waiting one waits for, in the order in which they run."""
        mine = [j for j in self.active() if j.alone == job.alone and j.id != job.id]
        return sorted((j for j in mine if turn(j) < turn(job)), key=turn)

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

    def _loop(self, alone: bool) -> None:
        while True:
            waiting = self._queues[alone].get()[2]
            with self._lock:
                job = self._jobs.get(waiting)
                if job is None or job.state != "queued":  # called off, and perhaps forgotten since
                    continue
                job.state, job.started = "running", time.time()
                job.say("began")
                self._write(job)
            self._run(job)

    def _run(self, job: Job) -> None:
        try:
            link = self._work[job.id](self._watched[job.id])
        except Cancelled as error:
            self._end(job, "cancelled", str(error))
        except BaseException as error:  # one that leaves its program, too: the worker is everybody's
            self._failed(job, error)
        else:
            job.link = link or job.link
            self._end(job, "done")

    def _failed(self, job: Job, error: BaseException) -> None:
        """A refusal is a sentence; of a bug the page gets a sentence and a reference, the terminal the traceback."""
        where = f"job {job.kind} {job.id}"
        if (said := foreseen_in(error, where)) is not None:
            after = f", after {type(error.__cause__).__name__}" if error.__cause__ else ""
            job.details = f"{type(error).__name__}{after}"
            self._end(job, "failed", said)
            return
        trouble = meet(error, where)
        job.details = trouble.details
        self._end(job, "failed", trouble.sentence)

    def _end(self, job: Job, state: str, message: str = "") -> None:
        with self._lock:
            job.state, job.message, job.finished, job.eta = state, message, time.time(), None
            job.say(f"{state}: {message}" if message else state)
            self._work.pop(job.id, None)
            self._watched.pop(job.id, None)
            self._write(job)

    def _told(self, job: Job, snapshot: Snapshot) -> None:
        new_stage = snapshot.stage != job.stage
        for name in ("stage", "done", "total", "unit", "eta"):
            setattr(job, name, getattr(snapshot, name))
        if new_stage:
            size = f", {snapshot.total:,.0f} {snapshot.unit}" if snapshot.total and snapshot.total > 2 else ""
            job.say(f"{snapshot.stage}{size}")
        if new_stage or time.monotonic() - self._written > _WRITE_EVERY:
            self._written = time.monotonic()
            self._write(job)

    def _write(self, job: Job) -> None:
        try:
            job.write(self.folder)
        except OSError as error:  # a full disk must not stop the work whose table this is
            log.warning("the job table could not be written: %s", error)

    def _prune(self) -> None:
        for job in [j for j in self.all() if not j.active][_KEPT:]:
            with suppress(OSError):  # a home that cannot be written must not stop new work
                (self.folder / f"{job.id}.json").unlink(missing_ok=True)
            del self._jobs[job.id]

    def _look_elsewhere(self) -> None:
        """Follow the jobs of other processes on the same folder, and of one before this, at most once a second. One that nobody
        works on any more was interrupted. A damaged row is no reason to show none."""
        if (now := self._clock()) - self._looked < 1:
            return
        self._looked = now
        theirs = {j.id for j in self._jobs.values() if j.active and j.id not in self._watched}
        for path in self.folder.glob("[!.]*.json"):
            if (path.stem not in self._jobs or path.stem in theirs) and (found := read_job(path)) is not None:
                self._jobs[found.id] = found
                theirs.add(found.id)
        for job in [self._jobs[name] for name in theirs]:
            if job.active and not alive(job):
                self._end(job, "interrupted", INTERRUPTED)


def turn(job: Job) -> tuple[bool, bool, float]:
    """What jobs of one worker are ordered by: what runs, then readings, then the older."""
    return job.state != "running", job.kind != "read", job.created


_tables: dict[Path, Jobs] = {}
"""One for each `home()` there was in this process."""
_tables_lock = threading.Lock()


def forget() -> None:
    """Let go of the tables, as a process that ends does: the next question reads the files."""
    with _tables_lock:
        _tables.clear()


def job_table() -> Jobs:
    """The table of this process for the present `home()`."""
    with _tables_lock:
        folder = home() / "jobs"
        if folder not in _tables:
            _tables[folder] = Jobs(folder)
        return _tables[folder]
