"""The diary of an unfinished harvest: what is being made, then one line for each shard that is safely on disk.

While it lasts, the cache's folder is called `<name>.partial`. Lines are only ever appended and brought to disk, so a
process killed at any moment leaves at worst a torn last line, which is ignored and its shard made again. Where several processes
harvest together each keeps a journal of its own; the first one's is the main one, and in the end they are made one.
"""

import json
import os
from pathlib import Path
from typing import IO, Any

from probe.artifacts.digest import digest_of
from probe.artifacts.locks.lock import locked
from probe.artifacts.renames import sync_folder
from probe.errors import BadInput

JOURNAL = "journal.jsonl"
_NOTHING = "{folder} holds nothing that could be continued; delete it and start again."


class Journal:
    """An open journal; `done` maps each finished shard to its checksum. Use it in a `with`."""

    def __init__(self, path: Path, file: IO[str]):
        self.path, self.file = path, file
        self.done: dict[int, str] = {}

    @classmethod
    def start(cls, folder: Path, config: dict[str, Any]) -> "Journal":
        """Begin a new harvest in `folder`, or one that was killed before it had written down what it makes."""
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / JOURNAL).open("a", encoding="utf8")
        journal = cls(folder / JOURNAL, file)
        journal._lock()
        file.truncate(0)
        journal._write({"config": config})
        sync_folder(folder)
        return journal

    @staticmethod
    def begun(folder: Path) -> bool:
        """Whether a harvest in `folder` came so far that there is something to resume."""
        return (folder / JOURNAL).is_file() and bool(_read(folder / JOURNAL))

    @classmethod
    def resume(cls, folder: Path, config: dict[str, Any]) -> "Journal":
        """Continue the harvest in `folder`; BadInput, naming every difference, if it was of something else."""
        if not cls.begun(folder):
            raise BadInput(_NOTHING.format(folder=folder))
        file = (folder / JOURNAL).open("r+", encoding="ascii", errors="replace")
        journal = cls(folder / JOURNAL, file)
        journal._lock()
        lines, whole = _whole_lines(file)
        if "config" not in lines[0]:
            raise BadInput(_NOTHING.format(folder=folder))
        _same(lines[0]["config"], config, folder)
        file.seek(whole)
        file.truncate()
        journal.update()
        return journal

    @classmethod
    def join(cls, folder: Path, rank: int) -> "Journal":
        """The journal of a further process, which helps with the harvest in `folder`."""
        path = folder / f"journal-{rank}.jsonl"
        file = path.open("a+", encoding="ascii", errors="replace")
        journal = cls(path, file)
        journal._lock()
        file.seek(0)
        file.truncate(_whole_lines(file)[1])
        journal.update()
        return journal

    def update(self) -> None:
        """Take note of the shards of all journals in the folder."""
        folder = self.path.parent
        self.done.update({line["shard"]: line["checksum"] for line in _shards(folder) if _intact(folder, line)})

    def merge(self) -> None:
        """Make all journals of the folder one, in the order of shards, once the others are closed."""
        others = [path for path in _journals(self.path.parent) if path != self.path]
        if not others:
            return
        self.update()
        by_shard = {line["shard"]: line for line in _shards(self.path.parent)}
        lines = [_read(self.path)[0], *(by_shard[shard] for shard in sorted(by_shard))]
        beside = self.path.with_name(f".{self.path.name}")
        beside.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
        os.replace(beside, self.path)
        for path in others:
            path.unlink()

    def add(self, shard: int, name: str, checksum: str) -> None:
        """Record a shard that is on disk under `name`."""
        size = (self.path.parent / name).stat().st_size
        self._write({"shard": shard, "name": name, "bytes": size, "checksum": checksum})
        self.done[shard] = checksum

    def _write(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def _lock(self) -> None:
        if not locked(self.file.fileno()):
            self.file.close()
            raise BadInput(f"Another process is harvesting into {self.path.parent} right now; let it finish.")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _journals(folder: Path) -> list[Path]:
    return sorted(folder / n for n in os.listdir(folder) if n.startswith("journal") and n.endswith(".jsonl"))


def _shards(folder: Path) -> list[dict[str, Any]]:
    """The lines about shards of every journal in a folder."""
    return [line for path in _journals(folder) for line in _read(path) if "shard" in line]


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="ascii", errors="replace") as file:
        return _whole_lines(file)[0]


def _intact(folder: Path, line: dict[str, Any]) -> bool:
    """Whether a recorded shard is still what was written; if not, it is made again."""
    path = folder / line["name"]
    return (
        line["name"] == f"shard-{line['shard']:05d}.safetensors"
        and path.is_file()
        and path.stat().st_size == line["bytes"]
        and digest_of(path, line["checksum"]) == line["checksum"]
    )


def _told(line: Any, first: bool) -> bool:
    """Whether a line is one that a journal holds: what is made, in the first one of all; then shards."""
    if isinstance(line, dict) and "config" in line:
        return first and isinstance(line["config"], dict)
    wanted = {"shard": int, "name": str, "bytes": int, "checksum": str}
    return isinstance(line, dict) and all(isinstance(line.get(k), sort) for k, sort in wanted.items())


def _whole_lines(file: IO[str]) -> tuple[list[dict[str, Any]], int]:
    """The lines that were written completely, and where the last of them ends (a byte position: JSON here is ASCII)."""
    lines, end = [], 0
    for text in file.read().splitlines(keepends=True):
        try:
            line = json.loads(text) if text.endswith("\n") else None
        except (ValueError, RecursionError):
            line = None
        if not _told(line, first=not lines):
            break
        lines.append(line)
        end += len(text)
    return lines, end


def _same(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    differing = [k for k in {**old, **new} if old.get(k) != new.get(k)]
    if differing:
        what = "; ".join(f"{k} was {old.get(k)} and is now {new.get(k)}" for k in differing)
        raise BadInput(
            f"{folder} was begun with other settings ({what}). Use the same ones, or delete it and start again."
        )
