"""Where the dashboard of this home listens, for commands that ask it instead of loading the model again.

`openwork serve` writes its port and a fresh secret into a file of the home that its owner alone may read; a command sends the
secret in a header, which no web page can know. The file goes when the dashboard ends; one that a killed dashboard left names a
process that is gone, and counts for nothing. A dashboard that others can reach, or that demands a token, writes none.
"""

import hmac
import json
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.server.other_hosts import is_loopback
from probe.artifacts.folder import home
from probe.artifacts.schemas import fields, text, whole
from probe.artifacts.untrusted import read_json
from probe.errors import Unavailable
from probe.processes import born, lives

HEADER, CALLS = "X-Openwork-Secret", "/calls"
"""Where the secret stands, and the address that commands ask."""
_LARGEST = 10_000  # bytes
_secret: str | None = None


@dataclass(frozen=True)
class Whereabouts:
    """A dashboard: its address on this machine, its process, and the secret that it answers commands by."""

    host: str
    port: int
    pid: int
    born: str
    machine: str
    secret: str


_FILE = fields(
    {
        **dict.fromkeys(("host", "born", "machine", "secret"), text),
        "port": whole(1, 65535),
        "pid": whole(),
    }
)


def place() -> Path:
    """The file."""
    return home() / "dashboard.json"


@contextmanager
def announced(host: str, port: int, token: str | None = None) -> Iterator[None]:
    """Say where the dashboard listens for as long as this lasts."""
    global _secret
    bare = host.strip("[]")
    if token or not is_loopback(bare):
        yield
        return
    me = Whereabouts(bare, port, os.getpid(), born(os.getpid()), socket.gethostname(), secrets.token_urlsafe(32))
    _secret, path = me.secret, place()
    with suppress(OSError):  # a home that cannot be written: commands load their own model
        _write(path, me)
    try:
        yield
    finally:
        _secret = None
        if (now := _read(path)) is not None and now.secret == me.secret:  # not a later dashboard's
            with suppress(OSError):
                path.unlink(missing_ok=True)


def knows(secret: str) -> bool:
    """Is this the secret of the dashboard that this process serves?"""
    return _secret is not None and hmac.compare_digest(secret.encode(), _secret.encode())


def running() -> Whereabouts | None:
    """The dashboard of this home, if one runs on this machine and its file is the owner's alone."""
    found = _read(place())
    if found is None or found.machine != socket.gethostname() or not is_loopback(found.host):
        return None
    return found if lives(found.pid, found.born) else None


def _write(path: Path, me: Whereabouts) -> None:
    """Beside and renamed; `mkstemp` gives the owner alone the right to read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf8") as file:
            json.dump(asdict(me), file)
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)


def _read(path: Path) -> Whereabouts | None:
    try:
        told, found = path.lstat(), read_json(path, _LARGEST)
    except (OSError, Unavailable):
        return None
    mine = not hasattr(os, "getuid") or (told.st_uid == os.getuid() and not stat.S_IMODE(told.st_mode) & 0o077)
    sound = stat.S_ISREG(told.st_mode) and mine and _FILE(found) and set(found) == set(Whereabouts.__dataclass_fields__)
    return Whereabouts(**found) if sound else None
