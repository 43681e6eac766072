"""Checksums of files, read once: a file whose length, time and number are as they were when it was read is what it was.

So whoever uses a stored file can ask for its checksum every time, and pays for it once in a process; for a model, once a day.
"""

import hashlib
import json
import os
import time
import zlib
from pathlib import Path

from probe.errors import Unavailable

_PIECE = 1 << 20
_known: dict[tuple[str, str], tuple[tuple[int, int, int], str]] = {}
_MOST = 100_000  # files remembered
_DAY = 86_400.0  # seconds


def sha256(path: Path) -> str:
    """SHA-256 of a file, read in 1 MiB pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def crc32(path: Path) -> str:
    """CRC-32 of a file as `crc32:` and 8 hex digits: what large shards carry, where SHA-256 would take longer than the disk."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            crc = zlib.crc32(piece, crc)
    return f"crc32:{crc:08x}"


def fresh_digest(path: Path, like: str) -> str:
    """The checksum of a file as it is now, every byte read, of the same kind as `like`."""
    try:
        before = _state(path)
        found = crc32(path) if like.startswith("crc32:") else sha256(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}).") from error
    if len(_known) >= _MOST:
        _known.clear()
    if _state(path) == before:
        _known[_key(path, like)] = before, found
    return found


def digest_of(path: Path, like: str) -> str:
    """The same, from memory where the file has not changed since it was read."""
    kept = _known.get(_key(path, like))
    return kept[1] if kept is not None and kept[0] == _state(path) else fresh_digest(path, like)


def _key(path: Path, like: str) -> tuple[str, str]:
    return os.path.abspath(path), "crc32" if like.startswith("crc32:") else "sha256"


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def recent_sha256(path: Path, memory: Path) -> str:
    """SHA-256 of a large file that every command checks: from the file `memory` where it was read within the last day and has the
    length, time and number it had then. A day, because a disk can lose a bit without telling."""
    now, state, key = time.time(), list(_state(path)), os.path.abspath(path)
    try:
        known = json.loads(memory.read_text(encoding="utf8"))
        kept = known.get(key)
    except (OSError, ValueError, AttributeError):
        known, kept = {}, None
    if isinstance(kept, list) and len(kept) == 5 and kept[:3] == state and _is_recent(kept[4], now):
        return str(kept[3])
    found = sha256(path)
    if list(_state(path)) == state:
        fresh = {k: v for k, v in known.items() if isinstance(v, list) and len(v) == 5 and _is_recent(v[4], now)}
        _remember(memory, {**fresh, key: [*state, found, now]})
    return found


def _is_recent(then: object, now: float) -> bool:
    return isinstance(then, int | float) and 0 <= now - then < _DAY


def _remember(memory: Path, known: dict[str, list]) -> None:
    """Written beside and put in place; where it cannot be written, the next command reads the file again."""
    beside = memory.with_name(f".{memory.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps(known), encoding="utf8")
        os.replace(beside, memory)
    except OSError:
        beside.unlink(missing_ok=True)
