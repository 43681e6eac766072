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
    """Alone while inside, among all who name this file (made where it is missing). Unavailable after `WAIT` seconds."""
    held: set[Path] = _mine.__dict__.setdefault("held", set())
    path = file.absolute()
    if path in held:
        yield
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Unavailable(f"Cannot write {what}: {path.parent}: {error.strerror}.") from error
    try:
        _lock(handle, what)
        held.add(path)
        yield
    finally:
        held.discard(path)
        os.close(handle)  # which releases it


def _lock(handle: int, what: str) -> None:
    end = time.monotonic() + WAIT
    while fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise Unavailable(f"Somebody else has been writing {what} for {WAIT:.0f} s; try again.") from None
            time.sleep(0.01)
