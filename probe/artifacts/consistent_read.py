"""Reading a folder that may be replaced meanwhile, without a lock: whole as it was before, or whole as it is after."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from probe.artifacts.manifest import MANIFEST
from probe.errors import OpenworkError

T = TypeVar("T")


def read_consistently(folder: Path, read: Callable[[], T]) -> T:
    """What `read` makes of a folder that may be replaced meanwhile: read again until it was the same one before and after."""
    before, tries = _mark(folder), 0
    while True:
        try:
            found = read()
        except (OpenworkError, OSError):
            if _mark(folder) == before or tries == _TRIES:
                raise
        else:
            if _mark(folder) == before or tries == _TRIES:
                return found
        before, tries = _mark(folder), tries + 1


_TRIES = 100
"Replacements of one folder during as many readings of it; more would be something else."


def _mark(folder: Path) -> tuple[int, int] | None:
    """Which folder has this name now."""
    try:
        found = os.stat(folder / MANIFEST)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
