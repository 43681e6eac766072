"""Whether a disk has room for what will be stored, asked before any of it is written, and what is said where it has not."""

import shutil
from pathlib import Path

from probe.errors import Unavailable

MODEL = (
    "{folder} has {free_mb:.0f} MB free and {needed_mb:.0f} MB are needed. Free some space, or choose another "
    "disk with OPENWORK_CACHE (models) or OPENWORK_HOME (artifacts)."
)
CACHE = (
    "The cache needs {needed:.2f} GB at {parent}, where {free:.2f} GB are free. Free some space, "
    "harvest fewer tokens or sites, or store float16."
)
TABLE = (
    "The table needs up to {needed:.2f} GB at {parent} while it is built, where {free:.2f} GB are "
    "free. Free some space, or keep less of each unit (top, pool, window, sample)."
)


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk where `folder` is or would be."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(there).free


def require_space(folder: Path, needed: int, sentence: str) -> None:
    """Raise Unavailable with this sentence unless `folder`'s disk has `needed` bytes free."""
    free = free_bytes(folder)
    if needed > free:
        sizes = {"needed": needed / 1e9, "free": free / 1e9, "needed_mb": needed / 1e6, "free_mb": free / 1e6}
        raise Unavailable(sentence.format(folder=folder, parent=folder.parent, **sizes))
