"""What the machine itself refuses, said in a sentence: a full disk, a folder that cannot be written, no memory left.

In one place for every writer (`probe.artifacts.locks.claims`), command and page. What is not foreseen here is a bug and keeps its
traceback.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from probe.errors import OpenworkError, Unavailable

NO_MEMORY = "There is not enough memory for this. Lower the sizes (see --dry-run) or close other programs."
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "bad_alloc")
_WHAT_TO_DO = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space and do it again; what was finished is kept"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "choose a folder that can be written (OPENWORK_HOME)"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "was a file or folder moved or removed meanwhile?"),
    errno.EIO: "the disk does not read or write here; check it, then do it again",
    errno.EMFILE: "close other programs, or raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def foreseen(error: BaseException) -> OpenworkError | None:
    """What the machine refused, as a sentence: memory, or what the operating system says. None for anything else."""
    if isinstance(error, OpenworkError):
        return error
    words = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(w in words.lower() for w in _MEMORY)):
        return Unavailable(NO_MEMORY)
    if isinstance(error, OSError):
        return _refused(error.errno, error.strerror or words, error.filename)
    if found := re.search(r"(.*)\(os error (\d+)\)", words, re.S):  # what libraries written in Rust say
        return _refused(int(found[2]), found[1].rpartition(":")[2].strip(), None)
    return None


def _refused(code: int | None, said: str, where: object) -> Unavailable:
    """Our words for an error of the operating system."""
    if code == errno.ENOMEM:
        return Unavailable(NO_MEMORY)
    at = f" at {where}" if where is not None else ""
    advice = _WHAT_TO_DO.get(code or 0, "the operating system refused")
    return Unavailable(f"{said[:200]}{at}; {advice}{'' if advice.endswith('?') else '.'}")


@contextmanager
def explained(what: str = "") -> Iterator[None]:
    """Raise what the machine refuses inside as a sentence; bugs pass as they are. what: was stopped by it."""
    try:
        yield
    except Exception as error:
        said = foreseen(error)
        if said is None or said is error:
            raise
        raise Unavailable(f"{what} stopped: {said}" if what else str(said)) from error
