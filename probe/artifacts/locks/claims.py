"""One writer a name, from before the work until its result has its name.

    with claim(folder):
        ...  # check what is there, work for hours, write

Whoever comes second is refused at once, in a sentence that says which process is at it and since when. The claim is a lock of
the system (see `probe.artifacts.locks.lock`), so it ends with its process, however that ends. It also tidies up: what a killed
writer of this name left half done is taken away, and a folder that it had set aside gets its name back.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from probe.artifacts.locks.lock import exclusive
from probe.artifacts.names import partial, require_name
from probe.artifacts.renames import aside, discard, recover, taken
from probe.errors import BadInput, Unavailable
from probe.system_errors import explained

_SCRATCH = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}", re.S)
"What `tempfile` makes of the prefix `.NAME.`"


def lock_of(folder: Path) -> Path:
    """The lock of an artifact's name, beside its folder."""
    return folder.with_name(f".{folder.name}.lock")


@contextmanager
def claim(folder: Path, *, free: bool = False) -> Iterator[None]:
    """Be the only writer of `folder`; BadInput at once where another one is. free: BadInput, too, where something is there.

    What the machine refuses meanwhile (a full disk, no memory) is raised as Unavailable. A claim may be made again inside.
    """
    require_name(folder.name)
    with explained(f"Work on {folder}"):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"Cannot write to {folder.parent}: {error.strerror}. Free some space or set OPENWORK_HOME."
            ) from error
        with exclusive(lock_of(folder), str(folder), wait=0) as first:
            if first:
                _require_no_other(partial(folder))
                tidy(folder)
            if free and os.path.lexists(folder):
                raise BadInput(taken(folder))
            yield


def _require_no_other(unfinished: Path) -> None:
    """Refuse to work where a finished artifact lies, stored when names could still end so."""
    if (unfinished / "manifest.json").is_file() and not (unfinished / "journal.jsonl").is_file():
        raise BadInput(
            f"{unfinished} is a finished artifact, and unfinished work would go there. Give that folder another name first."
        )


def tidy(folder: Path) -> list[str]:
    """Recover or remove what killed writers of this name left, and say what was done; whoever calls has its lock."""
    done = [f"{folder.name} got its name back"] if recover(folder) else []
    if aside(folder).is_dir():
        shutil.rmtree(aside(folder), ignore_errors=True)
        done.append(f"an older {folder.name} that had been replaced was removed")
    if folder.exists() and partial(folder).is_dir():
        discard(partial(folder))
        done.append(f"the unfinished parts of {folder.name}, which is finished, were removed")
    for path in leftovers_of(folder):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink()
        done.append(f"a half-written {folder.name} was removed")
    return done


def leftovers_of(folder: Path) -> list[Path]:
    """Half-written folders and files of this name, which belong to nobody if nobody holds its lock."""
    try:
        names = os.listdir(folder.parent)
    except FileNotFoundError:
        return []
    return sorted(folder.with_name(n) for n in names if (m := _SCRATCH.fullmatch(n)) and m["name"] == folder.name)


def remove_hidden(folder: Path) -> None:
    """Take away the files that killed writers left half done inside a folder; whoever calls is alone with it."""
    for path in hidden_in(folder):
        path.unlink(missing_ok=True)


def hidden_in(folder: Path) -> list[Path]:
    """Files that were being written beside their final name."""
    return [folder / n for n in sorted(os.listdir(folder)) if n.startswith(".") and (folder / n).is_file()]


def owner(path: Path) -> str:
    """Of which name's writer a hidden file or folder is; empty where it is nobody's."""
    for ending in (".lock", ".old"):
        if path.name.startswith(".") and path.name.endswith(ending) and len(path.name) > len(ending) + 1:
            return path.name[1 : -len(ending)]
    found = _SCRATCH.fullmatch(path.name)
    return found["name"] if found else ""


def half_written_in(folder: Path) -> list[Path]:
    """Files in a folder that were being written beside their final names."""
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        folder / n
        for n in names
        if (m := _SCRATCH.fullmatch(n)) and m["name"].endswith(".json") and (folder / n).is_file()
    ]


def returned(folder: Path) -> None:
    """Before reading: if a writer was killed while it replaced this folder, give it its name back."""
    if aside(folder).is_dir() and not folder.exists():
        with exclusive(lock_of(folder), str(folder)):
            recover(folder)


def all_returned(shelf: Path) -> None:
    """The same for every folder of a kind, before they are listed; where that cannot be done, what is there is listed."""
    with suppress(OSError, Unavailable):
        for name in os.listdir(shelf):
            if name.startswith(".") and name.endswith(".old"):
                returned(shelf / name[1:-4])
