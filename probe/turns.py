"""Writers take turns, among threads and processes, by a lock that the system releases when a process ends.

    with turn(folder / ".labels.lock", "labels of layer4"):
        ...  # read, change, write: nobody else does meanwhile

A thread that has its turn may take it again inside (a page that edits calls a function that edits).
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from probe.errors import Unavailable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

WAIT = 20.0
"""Seconds to wait for other writers."""
_mine = threading.local()


@contextmanager
def turn(file: Path, what: str) -> Iterator[None]:
    """Alone while inside, among all who name this file, which is there only meanwhile. Unavailable after `WAIT` seconds."""
    held: set[Path] = _mine.__dict__.setdefault("held", set())
    path = file.absolute()
    if path in held:
        yield
        return
    handle = _taken(path, what)
    held.add(path)
    try:
        yield
    finally:
        held.discard(path)
        path.unlink(missing_ok=True)  # while it is ours: nothing is left behind
        os.close(handle)  # which releases it


def _taken(path: Path, what: str) -> int:
    """The file, open and locked. One that another writer took away on leaving is a lock no more, so it is made anew."""
    end = time.monotonic() + WAIT
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Unavailable(f"Cannot write {what}: {path.parent}: {error.strerror}.") from error
        if _locked(handle) and _there(handle, path):
            return handle
        os.close(handle)
        if time.monotonic() > end:
            raise Unavailable(f"Somebody else has been writing {what} for {WAIT:.0f} s; try again.")
        time.sleep(0.01)


def _locked(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _there(handle: int, path: Path) -> bool:
    """Whether the path still means this file."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
