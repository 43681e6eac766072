"""Writers take turns, among threads and processes, by a lock that the system releases when a process ends.

    with exclusive(lock_of(folder), "labels of layer4"):
        ...  # read, change, write: nobody else does meanwhile

A thread that has its turn may take it again inside (a page that edits calls a function that edits).

The lock itself is filelock's, on Unix and Windows. Its `FileLock` is not used: it leaves its file behind, does not tell who has
the lock, and its re-entrance is of one object, where ours is of the thread.
"""

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from probe.errors import BadInput, Unavailable

WAIT = 20.0
"""Seconds to wait for other writers."""
_mine = threading.local()


@contextmanager
def exclusive(file: Path, what: str, *, wait: float | None = None) -> Iterator[bool]:
    """Alone while inside, among all who name this file, which is there only meanwhile. Yields False if the turn was ours already.

    wait: seconds to wait for others, by default `WAIT`; then Unavailable. With 0, BadInput at once, saying whose turn it is.
    """
    held: set[Path] = _mine.__dict__.setdefault("held", set())
    path = Path(os.path.realpath(file.parent)) / file.name
    if path in held:
        yield False
        return
    handle = _taken(path, what, wait)
    held.add(path)
    try:
        yield True
    finally:
        held.discard(path)
        with suppress(OSError):  # a lock that stays behind is nobody's, and taken by who comes next
            if _there(handle, path):  # it was not taken away inside, where by now another writer may have made his
                path.unlink(missing_ok=True)  # while it is ours: nothing is left behind
        os.close(handle)  # which releases it


def _taken(path: Path, what: str, wait: float | None = None) -> int:
    """The file, open and locked. One that another writer took away on leaving is a lock no more, so it is made anew."""
    wait = WAIT if wait is None else wait
    end = time.monotonic() + wait
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Unavailable(f"Cannot write {what}: {path.parent}: {error.strerror}.") from error
        if locked(handle):
            if _there(handle, path):
                _sign(handle)
                return handle
            os.close(handle)
            continue
        who = _signature(handle)
        os.close(handle)
        if not wait:
            raise BadInput(f"{what} is being written right now by {who}. Let it finish, or choose another name.")
        if time.monotonic() > end:
            raise Unavailable(f"Cannot write {what}: {who}, has been writing it for {wait:.0f} s; try again.")
        time.sleep(0.01)


def locked(handle: int) -> bool:
    """Take the lock of an open file; False where somebody holds it. File systems without locks grant it."""
    from filelock import lock_descriptor

    try:
        return lock_descriptor(handle, blocking=False)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return True


def holder(file: Path) -> str:
    """Who has this lock right now; empty where nobody has. Nothing is changed."""
    try:
        handle = os.open(file, os.O_RDWR)
    except OSError:
        return ""
    try:
        return "" if locked(handle) else _signature(handle)
    finally:
        os.close(handle)


def _sign(handle: int) -> None:
    """Leave word of who has the lock; without it, it is a lock all the same."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}".encode())


def _signature(handle: int) -> str:
    said = ""
    with suppress(OSError, ValueError):
        os.lseek(handle, 0, os.SEEK_SET)
        said = os.read(handle, 100).decode()
    return said if said.startswith("process ") and said.isprintable() else "another process"


def _there(handle: int, path: Path) -> bool:
    """Whether the path still means this file."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
