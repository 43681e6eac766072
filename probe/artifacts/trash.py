"""The trash: what is removed is moved there, and comes back from it."""

import re
import time
from pathlib import Path
from threading import Lock

from probe.artifacts.folder import KINDS, home, place
from probe.artifacts.locks.claims import claim, lock_of
from probe.artifacts.locks.lock import exclusive
from probe.artifacts.renames import rename_new
from probe.artifacts.stored import free_name, registered
from probe.errors import BadInput, Unavailable

_putting_back = Lock()


def discard(kind: str, name: str) -> str:
    """Move an artifact into the trash; returns where, as a path below `home()`."""
    folder = registered(kind, name)
    to = home() / "trash" / KINDS[kind] / f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}"
    while to.exists():
        to = to.with_name(to.name + "-2")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(lock_of(folder), f"the {kind} {name}"):
            folder.rename(to)
    except OSError as error:
        said = f"'{name}' could not be moved to the trash ({error.strerror}). Nothing was changed."
        raise Unavailable(said) from error
    return str(to.relative_to(home()))


def put_back(kind: str, discarded: str) -> str:
    """Move an artifact out of the trash, under its name or one like it; returns the name."""
    for folder in (home() / "trash" / KINDS[kind]).glob("*"):
        if folder.name == Path(discarded).name and folder.is_dir() and not folder.is_symlink():
            bare = re.sub(r"\.\d{8}-\d{6}(-2)*$", "", folder.name)
            with _putting_back:
                name = free_name(kind, bare)
                with claim(place(kind, name), free=True):
                    rename_new(folder, place(kind, name))
            return name
    raise BadInput("It is no longer in the trash, so it cannot be put back.")
