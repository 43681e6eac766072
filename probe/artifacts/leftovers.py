"""What killed writers left behind: found by `openwork doctor`, taken away or given its name back by `openwork doctor --mend`.

Nothing that could be resumed is removed, nothing that somebody is writing is touched (its lock is held), and a folder that was
set aside while it was replaced gets its name back rather than going. There can be:

- `.NAME.abcdefgh`: a folder or file that was being written beside its place.
- `.NAME.old`: what NAME was before it was replaced.
- `.NAME.lock`: the lock of a process that is gone.
- `NAME.partial`: unfinished work; a leftover where NAME is finished, or where it holds nothing to resume.
- Hidden files inside an artifact or a list: a label, a job, a prompt that was being written.
- What was being exported to another place, which is noted in the home while it lasts (see `announced`).
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probe.artifacts.folder import KINDS, home
from probe.artifacts.json import write_json
from probe.artifacts.locks.claims import half_written_in, hidden_in, leftovers_of, lock_of, owner, tidy
from probe.artifacts.locks.lock import exclusive, holder
from probe.artifacts.names import partial
from probe.artifacts.renames import aside, discard
from probe.errors import BadInput, Unavailable

LISTS = ("jobs", "prompts", "edits", "exporting")
"Folders of the home that hold files, not artifacts."
_RESUMABLE = ("checkpoint.safetensors", "settings.json", "asked.json")
_OLD = 3600.0
"Seconds after which a file of a list, which takes a moment to write and has no lock, is nobody's."


@dataclass(frozen=True)
class Leftover:
    """One finding: where, what it is, and what mending does about it."""

    path: Path
    what: str
    mend: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "path": str(self.path)}


@dataclass(frozen=True)
class Unfinished:
    """Work that can be resumed. by: who is at it right now, or empty."""

    path: Path
    by: str


def unfinished() -> list[Unfinished]:
    """Everything that waits for its command with --resume, or is being made right now."""
    found = [
        path for shelf in _shelves() for path in _entries(shelf) if path.name.endswith(".partial") and path.is_dir()
    ]
    whole = [(path, path.with_name(path.name.removesuffix(".partial"))) for path in found]
    return [
        Unfinished(p, holder(lock_of(n))) for p, n in whole if holder(lock_of(n)) or (resumable(p) and not n.exists())
    ]


def resumable(unfinished_: Path) -> bool:
    """Whether anything in an unfinished folder is worth going on with."""
    journal = unfinished_ / "journal.jsonl"
    begun = journal.is_file() and journal.stat().st_size > 0
    return begun or any((unfinished_ / name).is_file() for name in _RESUMABLE)


def leftovers() -> list[Leftover]:
    """What killed writers left, in the home and where something was being exported; nothing is changed."""
    return [item for item, _ in _found()]


def mend() -> list[str]:
    """Take them away, or give them their names back; a sentence each. What somebody uses by now is left alone."""
    done = []
    for item, act in list(_found()):  # mending one may mend others of its name
        with suppress(BadInput):  # somebody began to write there meanwhile
            try:
                act()
            except OSError as error:
                raise Unavailable(f"{item.path} could not be mended ({error.strerror}).") from error
            done.append(f"{item.path}: {item.mend}.")
    return done


Found = tuple[Leftover, Callable[[], object]]


def _found() -> Iterator[Found]:
    for shelf in _shelves():
        yield from _of_shelf(shelf)
    for name in LISTS:
        yield from _of_list(home() / name)
    yield from _exports()
    for path in _entries(home() / "incoming"):
        if _old(path):
            yield Leftover(path, "a file that was being sent to the dashboard", "removed"), lambda p=path: _remove(p)


def _shelves() -> list[Path]:
    return [home() / folder for folder in KINDS.values()]


def _entries(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [folder / name for name in sorted(os.listdir(folder))]
    return []


def _of_shelf(shelf: Path) -> Iterator[Found]:
    """What was left beside and inside the artifacts of a kind."""
    entries = _entries(shelf)
    for name in dict.fromkeys(filter(None, map(owner, entries))):
        yield from _of_name(shelf / name)
    for path in entries:
        if path.is_symlink() or not path.is_dir() or path.name.startswith("."):
            continue
        whole = path.with_name(path.name.removesuffix(".partial"))
        if holder(lock_of(whole)):
            continue
        if path.name.endswith(".partial") and not (path / "manifest.json").is_file() and not resumable(path):
            yield Leftover(path, "unfinished, with nothing to resume", "removed"), lambda w=whole: _alone(w, _empty)
        elif path.name.endswith(".partial") and whole.exists() and resumable(path):
            said = f"unfinished parts of {whole.name}, which is finished"
            yield Leftover(path, said, "removed"), lambda w=whole: _alone(w, tidy)
        else:
            yield from _hidden(path, whole)


def _of_name(folder: Path) -> Iterator[Found]:
    """What lies beside the place of an artifact."""
    if holder(lock_of(folder)):
        return
    if (old := aside(folder)).is_dir() and folder.exists():
        yield Leftover(old, f"what {folder.name} was before it was replaced", "removed"), lambda: _alone(folder, tidy)
    elif old.is_dir():
        said = f"{folder.name}, set aside while it was replaced"
        yield Leftover(old, said, "given its name back"), lambda: _alone(folder, tidy)
    for path in leftovers_of(folder):
        yield (
            Leftover(path, f"a half-written {folder.name}", "removed"),
            lambda p=path: _alone(folder, lambda _: _remove(p)),
        )
    if lock_of(folder).is_file():
        yield Leftover(lock_of(folder), "the lock of a process that is gone", "removed"), lambda: _alone(folder, tidy)


def _hidden(folder: Path, whole: Path) -> Iterator[Found]:
    """Files inside an artifact that were being written; whoever writes there has its lock."""
    with suppress(OSError):
        for path in hidden_in(folder):
            if not holder(path):  # older locks of labels lie inside
                yield (
                    Leftover(path, f"a half-written file of {whole.name}", "removed"),
                    lambda p=path: _alone(whole, lambda _: _remove(p)),
                )


def _of_list(folder: Path) -> Iterator[Found]:
    for path in _entries(folder):
        if path.name.startswith(".") and path.is_file() and _old(path):
            yield Leftover(path, f"a half-written file of {folder.name}", "removed"), lambda p=path: _remove(p)


def _old(path: Path) -> bool:
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > _OLD
    return False


def _alone(folder: Path, act: Callable[[Path], object]) -> None:
    with exclusive(lock_of(folder), str(folder), wait=0):
        act(folder)


def _empty(folder: Path) -> None:
    """Remove unfinished work, if there is still nothing to resume."""
    if partial(folder).is_dir() and not resumable(partial(folder)):
        discard(partial(folder))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# -- what is written outside of the home ----------------------------------------------------------------------------------


@contextmanager
def announced(target: Path) -> Iterator[None]:
    """Note in the home that something is being written at `target`, so that what a kill leaves there can be found.

    Whoever calls has the lock of the target, and with it that of the note.
    """
    target = Path(os.path.abspath(target))
    note = home() / "exporting" / f"{hashlib.sha256(os.fsencode(target)).hexdigest()[:16]}.json"
    with suppress(OSError):  # without a home to note it in, it is written all the same
        note.parent.mkdir(parents=True, exist_ok=True)
        for half in leftovers_of(note):
            half.unlink(missing_ok=True)
        write_json(note, {"target": str(target)})
    try:
        yield
    finally:
        with suppress(OSError):
            lock_of(target).unlink(missing_ok=True)  # before the note, which alone says where it lies
            note.unlink(missing_ok=True)


def _exports() -> Iterator[Found]:
    for note in _entries(home() / "exporting"):
        if note.name.startswith(".") or (target := _target(note)) is None or holder(lock_of(target)):
            continue
        for path in [*leftovers_of(target), *half_written_in(target)]:
            said = f"a half-written export, {target.name}"
            yield Leftover(path, said, "removed"), lambda t=target, p=path: _alone(t, lambda _: _remove(p))
        if (lock := lock_of(target)).is_file():
            yield (
                Leftover(lock, "the lock of a process that is gone", "removed"),
                lambda t=target: _alone(t, lambda _: None),
            )
        yield (
            Leftover(note, f"the note of an export to {target} that was cut off", "removed"),
            lambda n=note: _remove(n),
        )


def _target(note: Path) -> Path | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        return Path(json.loads(note.read_text(encoding="utf8"))["target"])
    return None
