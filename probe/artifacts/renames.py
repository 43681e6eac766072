"""Renames that take one step, and folders that survive a power cut.

A new folder is renamed into place, which fails where something is there already. A folder that replaces another changes places
with it in one step (`renameat2` with RENAME_EXCHANGE on Linux, `renamex_np` on macOS), so there is never a moment without either.
Where the system has no such step the old folder is set aside as `.NAME.old` first; `recover` gives it its name back if a kill
came between.
"""

import ctypes
import errno
import os
import shutil
import sys
import tempfile
from pathlib import Path

from probe.errors import BadInput

_AT_FDCWD, _EXCHANGE = -100, 2
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_NO_SUCH_STEP = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


def put(beside: Path, folder: Path, *, replace: bool = False) -> None:
    """Give a finished folder its name, on disk for good. BadInput where the name is taken, unless it is to be replaced."""
    beside.chmod(0o755)
    sync_tree(beside)
    if replace and folder.exists():
        _swap(beside, folder)
    else:
        rename_new(beside, folder)
    sync_folder(folder.parent)


def rename_new(beside: Path, folder: Path) -> None:
    """Rename a folder; BadInput if another writer took the name. (A rename never replaces a folder that holds something.)"""
    try:
        os.rename(beside, folder)
    except OSError as error:
        if error.errno in _TAKEN:
            raise BadInput(taken(folder)) from error
        raise


def taken(folder: Path) -> str:
    """What is said where something has the name already."""
    return f"{folder} exists already. Choose another name, or remove what is there first."


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step; False where the system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(one), os.fsencode(other)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(a, b, ctypes.c_uint(_EXCHANGE))
    elif hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, ctypes.c_uint(_EXCHANGE))
    else:
        return False
    if not failed:
        return True
    if (code := ctypes.get_errno()) in _NO_SUCH_STEP:
        return False
    raise OSError(code, os.strerror(code), str(other))


def aside(folder: Path) -> Path:
    """Where a folder that is being replaced waits, where the system cannot exchange."""
    return folder.with_name(f".{folder.name}.old")


def _swap(beside: Path, folder: Path) -> None:
    if exchange(beside, folder):
        return
    old = aside(folder)
    shutil.rmtree(old, ignore_errors=True)  # `folder` is there, so this is not the only copy
    os.rename(folder, old)
    try:
        os.rename(beside, folder)
    except OSError:
        os.rename(old, folder)
        raise
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> bool:
    """Give a folder its name back that was set aside when a kill came; whoever calls has its lock."""
    old = aside(folder)
    if folder.exists() or not old.is_dir():
        return False
    os.rename(old, folder)
    sync_folder(folder.parent)
    return True


def scratch(folder: Path) -> Path:
    """A new hidden folder beside `folder`, to be filled and then renamed."""
    return Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))


def discard(folder: Path) -> None:
    """Remove a folder: out of the way in one step, then piece by piece, so that a kill never leaves half of it under its name."""
    hidden = scratch(folder.with_name(folder.name.removesuffix(".partial")))
    os.rename(folder, hidden)  # over the empty folder, which a rename may replace
    shutil.rmtree(hidden, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Bring everything in a folder to disk."""
    for top, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            _sync(Path(top) / name)
        sync_folder(Path(top))


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to disk, so that a rename survives a power cut."""
    if os.name != "nt":
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has nothing to sync here
            raise
    finally:
        os.close(handle)


def _raise(error: OSError) -> None:
    raise error
