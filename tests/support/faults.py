"""Kills and refusals at every file operation of every writer.

A writer runs in a forked child (torch is imported once) on a copy of a small home. The child counts its file operations inside
that copy; at number k it is killed, or the operation is refused (no space, read-only, an I/O error). Then what is there is
examined: every finished artifact whole, none lost; the writer, run again, ends with the bytes of one that was left alone; the
doctor mends the rest. What two trials leave in the same bytes is examined once.
"""

import builtins
import contextlib
import errno
import gc
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

KILL, GONE = "kill", "gone"
REFUSALS = {"ENOSPC": errno.ENOSPC, "EROFS": errno.EROFS, "EIO": errno.EIO}
CHANGES = (
    "create",
    "write",
    "fsync",
    "replace",
    "rename",
    "mkdir",
    "unlink",
    "rmdir",
    "link",
    "chmod",
    "exchange",
    "fallocate",
)
_VOLATILE = {
    "created",
    "changed",
    "used",
    "date",
    "command",
    "seconds",
    "digest",
    "files",
    "tokens_per_second",
    "saved",
    "time",
    "checksum",
    "folder",
}


_SCRATCH = re.compile(r"((?:^|/)\.[^/]+\.)[a-z0-9_]{8}(?=/|$)")


class Fault:
    """Counts operations below `root`; does `what` at number `at` (0: never). A full or read-only disk stays so."""

    def __init__(self, root: Path, at: int = 0, what: str = KILL):
        self.root, self.at, self.what, self.n = f"{root}{os.sep}", at, what, 0
        self.seen: list[str] = []

    def meet(self, sort: str, where: object = None) -> None:
        if not self._inside(where):
            return
        self.n += 1
        self.seen.append(f"{sort} {where}")
        self.found()
        lasting = self.what in ("ENOSPC", "EROFS") and self.at and self.n > self.at and sort in CHANGES
        if self.n != self.at and not lasting:
            return
        if self.what == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == GONE:
            self.at = 0
            shutil.rmtree(self.root, ignore_errors=True)
            return
        if self.what == "EIO" or sort in CHANGES:
            raise OSError(REFUSALS[self.what], os.strerror(REFUSALS[self.what]), str(where))

    def found(self) -> None:
        """What lies there just before an operation; nobody asks here."""

    def _inside(self, where: object) -> bool:
        if isinstance(where, int):
            with contextlib.suppress(OSError):
                return os.readlink(f"/proc/self/fd/{where}").startswith(self.root)
            return False
        if where is None:
            return False
        return os.path.abspath(os.fsdecode(os.fspath(where))).startswith(self.root)  # type: ignore[arg-type]


class Watch(Fault):
    """Disturbs nothing, and notes what lies below `root` before each operation: a kill would leave just that."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.states: list[str] = []

    def found(self) -> None:
        try:
            self.states.append(_bytes_below(self.root))
        except OSError:  # another thread takes something away meanwhile
            self.states.append(f"unlike any other {self.n}")


_scandir, _open, _read, _close = os.scandir, os.open, os.read, os.close  # before `install` counts them


def _bytes_below(root: str) -> str:
    """A digest of every byte, name and mode in a folder."""
    digest, folders = hashlib.sha1(usedforsecurity=False), [root]
    while folders:
        folder = folders.pop()
        with _scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                digest.update(f"{entry.path}\0{entry.stat(follow_symlinks=False).st_mode}\0".encode())
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    digest.update(_plain_bytes(entry.path) + b"\0")
    return digest.hexdigest()


def _plain_bytes(path: str) -> bytes:
    handle, pieces = _open(path, os.O_RDONLY), []
    try:
        while piece := _read(handle, 1 << 20):
            pieces.append(piece)
    finally:
        _close(handle)
    return b"".join(pieces)


class _File:
    """A file being written, whose writes count."""

    def __init__(self, file: Any, fault: Fault):
        self._file, self._fault = file, fault

    def write(self, content: Any) -> int:
        self._fault.meet("write", self._file.fileno())
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


def _own_locks(bars: Any) -> None:
    """Give a class of progress bars, and those made of it, locks of this process: their own are shared by all children, and one
    that is killed would keep them, for which all later ones would wait for ever."""
    bars.set_lock(threading.RLock())
    for more in bars.__subclasses__():
        _own_locks(more)


def install(fault: Fault) -> None:
    """Let every operation of this process pass through `fault`; there is no way back, so only in a child."""
    _own_locks(tqdm)

    def counted(module: Any, name: str, sort: str, which: int = 0) -> None:
        real = getattr(module, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            where = arguments[which] if len(arguments) > which else next(iter(options.values()), None)
            if options.get("dir_fd") is not None:
                where = options["dir_fd"]
            fault.meet(sort, where)
            return real(*arguments, **options)

        setattr(module, name, wrapped)

    for name, sort in (
        ("write", "write"),
        ("fsync", "fsync"),
        ("replace", "replace"),
        ("rename", "rename"),
        ("mkdir", "mkdir"),
        ("unlink", "unlink"),
        ("rmdir", "rmdir"),
        ("link", "link"),
        ("chmod", "chmod"),
        ("listdir", "list"),
        ("scandir", "list"),
        ("posix_fallocate", "fallocate"),
    ):
        counted(os, name, sort)
    real_open = os.open

    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        where = options["dir_fd"] if options.get("dir_fd") is not None else path
        fault.meet("create" if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) else "open", where)
        return real_open(path, flags, *arguments, **options)

    os.open = opened  # type: ignore[assignment]
    real = io.open

    def file(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        writes = any(c in mode for c in "wax+")
        if not isinstance(path, int):
            fault.meet("create" if writes else "open", path)
        found = real(path, mode, *arguments, **options)
        return _File(found, fault) if writes and fault._inside(found.fileno()) else found

    io.open = builtins.open = file  # type: ignore[assignment]
    import pyarrow.parquet
    import safetensors.numpy
    import safetensors.torch

    from probe.artifacts import renames

    counted(safetensors.numpy, "serialize_file", "write", 1)
    counted(safetensors.torch, "serialize_file", "write", 1)
    counted(pyarrow.parquet, "write_table", "write", 1)
    counted(renames, "exchange", "exchange", 1)


@dataclass
class Outcome:
    """How a child ended: its exit code (-9: killed), what it said, and how many operations it made."""

    code: int
    said: str
    operations: int
    seen: list[str] = field(repr=False, default_factory=list)
    states: list[str] = field(repr=False, default_factory=list)
    seconds: float = 0.0


def in_child(home: Path, work: Callable[[], int | None], fault: Fault, delay: float = 0) -> Outcome:
    """Run `work` on a home in a forked child; it returns an exit code. delay: kill it after so many seconds."""
    told, began = home.parent / f"{home.name}.said", perf_counter()
    if not (pid := os.fork()):
        code = 70
        try:
            os.environ["OPENWORK_HOME"] = str(home)
            handle = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            install(fault)
            code = work() or 0
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
                states = fault.states if isinstance(fault, Watch) else []
                note = json.dumps([fault.n, fault.seen, states]).encode("utf8", "replace")
                handle = os.open(f"{told}.n", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                while note:
                    note = note[os.write(handle, note) :]
            os._exit(code)
    if delay:
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    counted = Path(f"{told}.n")
    noted = json.loads(counted.read_text()) if counted.exists() else [0, [], []]
    counted.unlink(missing_ok=True)
    return Outcome(os.waitstatus_to_exitcode(status), told.read_text(errors="replace"), *noted, perf_counter() - began)


def warm(home: Path, works: Iterable[Callable[[], object]], scratch: Path) -> None:
    """Run everything once in this process, on a copy, so that children find imported what they need: most of their time."""
    copy, before = scratch / "warm", os.environ["OPENWORK_HOME"]
    shutil.copytree(home, copy)
    os.environ["OPENWORK_HOME"] = str(copy)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for work in works:
                work()
    finally:
        os.environ["OPENWORK_HOME"] = before
        shutil.rmtree(copy, ignore_errors=True)
    gc.collect()
    gc.freeze()  # a child that collects would copy every page it looks at


def evenly() -> None:
    """From now on each look at the stopwatch comes a millisecond after the last, in every child alike, and trials end in the same
    bytes. To be called before `probe` is imported."""
    looks = itertools.count()
    time.perf_counter = lambda: next(looks) / 1000


def mended() -> int:
    """What the doctor makes of a home."""
    from app.cli import run

    return run(["doctor", "--mend"])


def as_command(work: Callable[[], object]) -> int:
    """Run a function as the command line would: foreseen failures are a sentence and a code, bugs keep their traceback."""
    from probe.errors import BadInput
    from probe.system_errors import foreseen

    try:
        work()
    except Exception as problem:
        if (error := foreseen(problem)) is None:
            raise
        sys.stderr.write(f"openwork: {error}\n")
        return 2 if isinstance(error, BadInput) else 1
    return 0


@dataclass(frozen=True)
class Writer:
    """What is tried: `begin` in a fresh home, `again` after an interruption; `made`: folders below the home that it makes."""

    name: str
    begin: Callable[[], int | None]
    again: Callable[[], int | None]
    made: tuple[str, ...]
    edits: bool = False


def content(path: Path) -> str:
    """A digest of a file or folder, without what differs from run to run (times, speeds)."""
    digest = hashlib.sha256()
    for one in sorted([path, *path.rglob("*")] if path.is_dir() else [path]):
        if not one.is_file() or any(part.startswith(".") for part in one.relative_to(path.parent).parts):
            continue  # what is hidden is no part of it; the doctor looks after that
        digest.update(str(one.relative_to(path)).encode() + b"\0" + _stable(one))
    return digest.hexdigest()


def _stable(path: Path) -> bytes:
    if path.suffix == ".jsonl":
        return json.dumps([_without(json.loads(line)) for line in path.read_text().splitlines()]).encode()
    if path.suffix == ".json":
        return json.dumps(_without(json.loads(path.read_text()))).encode()
    return path.read_bytes()


def _state_of(home: Path) -> str:
    """A digest of a home, without what differs from run to run where that means nothing: times in finished artifacts, which are
    examined by their checksums, and in half-written ones, which nobody reads; the names of these, and who held a lock."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path in sorted(home.rglob("*")):
        name = _SCRATCH.sub(r"\1........", str(path.relative_to(home)))
        digest.update(f"{name}\0{path.lstat().st_mode}\0".encode())
        if path.is_file() and path.suffix != ".lock":
            resumed = ".partial" in name or ".old" in name or name.count(os.sep) < 2
            digest.update((path.read_bytes() if resumed else _lasting(path)) + b"\0")
    return digest.hexdigest()


def _lasting(path: Path) -> bytes:
    try:
        return _stable(path)
    except ValueError:  # broken off in the middle
        return path.read_bytes()


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without(v) for k, v in value.items() if k not in _VOLATILE}
    return [_without(v) for v in value] if isinstance(value, list) else value


def wrong_with(home: Path, before: set[str]) -> list[str]:
    """What is not as it should be after an interruption: artifacts damaged or lost."""
    from probe.artifacts.folder import KINDS
    from probe.artifacts.manifest import check_files, read_manifest

    found = []
    for kind, shelf in KINDS.items():
        for folder in (home / shelf).glob("[!.]*/"):
            if folder.name.endswith(".partial"):
                continue
            try:
                broken = check_files(folder, read_manifest(folder, kind))
            except Exception as error:
                broken = [str(error)]
            found += [f"{folder.name}: {b}" for b in broken]
    there = {str(p.relative_to(home)) for p in home.glob("*/[!.]*/")}
    return found + [f"{name} is lost" for name in sorted(before - there)]


def litter(home: Path) -> list[str]:
    """Hidden and unfinished things anywhere in a home."""
    return sorted(
        str(p.relative_to(home)) for p in home.rglob("*") if p.name.startswith(".") or p.name.endswith(".partial")
    )


def _an_hour_later(home: Path) -> None:
    """As the doctor sees files of lists, which have no lock: it waits until nobody can be writing them."""
    then = time.time() - 2 * 3600
    for path in home.glob("*/.*"):
        os.utime(path, (then, then))


class Trial:
    """One writer on copies of one home. `operations` are counted from 1, as are `kills` and `refusals`."""

    def __init__(self, writer: Writer, template: Path, scratch: Path):
        self.writer, self.template, self.scratch = writer, template, scratch
        self.before = {str(p.relative_to(template)) for p in template.glob("*/[!.]*/")}
        home = self._home()
        outcome = in_child(home, writer.begin, Watch(home))
        assert outcome.code == 0, f"{writer.name} fails undisturbed: {outcome.said}"
        self.operations, self.seen, self.whole = outcome.operations, outcome.seen, self._made(home)
        self._states, self._known = outcome.states, dict[tuple[str, ...], list[str]]()
        assert not litter(home), litter(home)

    def worth(self, what: str) -> list[int]:
        """The operations at which a fault can do what it does at no other: a kill, where something new lies there; a disk that
        stays full or read-only, where something is changed; one error, and a home that goes, everywhere."""
        every = range(1, self.operations + 1)
        if what == KILL:
            first = {state: at for at, state in reversed(list(enumerate(self._states, 1)))}
            return sorted(first.values())
        if what in ("ENOSPC", "EROFS"):
            return [at for at in every if self.seen[at - 1].split(" ")[0] in CHANGES]
        return list(every)

    def _home(self) -> Path:
        home = self.scratch / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.template, home)
        return home

    def _made(self, home: Path) -> dict[str, str]:
        return {name: content(home / name) if (home / name).exists() else "" for name in self.writer.made}

    def kill(self, at: int = 0, delay: float = 0) -> list[str]:
        """Kill it at operation `at`, or after a delay; what is wrong then, if anything."""
        home = self._home()
        outcome = in_child(home, self.writer.begin, Fault(home, at), delay)
        if outcome.code not in (-9, 0):
            return [f"it ended with {outcome.code}: {outcome.said[-300:]}"]
        return self._after(home)

    @property
    def different(self) -> int:
        """How many different homes its faults left so far."""
        return len(self._known)

    def lasts(self) -> float:
        """Seconds that it takes, left alone and unwatched."""
        home = self._home()
        return in_child(home, self.writer.begin, Fault(home)).seconds

    def _after(self, home: Path) -> list[str]:
        state = _state_of(home)
        with _returned(home):
            wrong = wrong_with(home, self.before)
        key = (state, *wrong)
        if key not in self._known:
            self._known[key] = wrong + self._continued(home)
        return self._known[key]

    def _continued(self, home: Path) -> list[str]:
        """What is wrong with what the writer makes of it when run again, and with what the doctor leaves."""
        now, wrong = self._made(home), []
        done = now == self.whole
        again = in_child(home, self.writer.again, Fault(home))
        if again.code and not (done and again.code == 2):  # what is finished may refuse to be made twice
            wrong.append(f"again: {again.code}: {again.said[-400:]}")
        if self._made(home) != self.whole:
            wrong.append(
                "it ends with other bytes: " + ", ".join(k for k, v in self._made(home).items() if v != self.whole[k])
            )
        _an_hour_later(home)
        mend = in_child(home, mended, Fault(home))
        wrong += [f"mending: {mend.said[-300:]}"] if mend.code else []
        return wrong + [f"left over: {path}" for path in litter(home)]

    def refuse(self, what: str, at: int) -> list[str]:
        """Refuse operation `at`; what is wrong then, if anything."""
        home = self._home()
        outcome = in_child(home, self.writer.begin, Fault(home, at, what))
        wrong = _sentence(outcome)
        if outcome.code == 0 and self._made(home) != self.whole:
            wrong.append("it says done, with another result")
        return wrong + self._after(home)

    def remove(self, at: int) -> list[str]:
        """Take the whole home away at operation `at`; what is wrong then, if anything."""
        home = self._home()
        return _sentence(in_child(home, self.writer.begin, Fault(home, at, GONE)))

    def starve(self, extra: int) -> list[str]:
        """Give it only so many bytes of addresses beyond what its process has; what is wrong then, if anything."""
        home = self._home()
        return _sentence(self.starved(self.writer.begin, extra, home)) + self._after(home)

    def starved(self, work: Callable[[], int | None], extra: int, home: Path | None = None) -> Outcome:
        """How any work ends that way."""
        home = home or self._home()

        def limited() -> int | None:
            import resource

            has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (has + extra, has + extra))
            return work()

        return in_child(home, limited, Fault(home))


def _sentence(outcome: Outcome) -> list[str]:
    """It must end well, or say in a sentence why not."""
    if "Traceback" in outcome.said or outcome.code == 70 or outcome.code < 0:
        return [f"no sentence, {outcome.code}: {outcome.said[-1600:]}"]
    if outcome.code and "openwork: " not in outcome.said:
        return [f"ends with {outcome.code} and says nothing: {outcome.said[-300:]}"]
    return []


@contextlib.contextmanager
def _returned(home: Path) -> Iterator[None]:
    """As any list does first: what was set aside gets its name back."""
    from probe.artifacts.locks.claims import all_returned

    for shelf in home.glob("*/"):
        all_returned(shelf)
    yield
