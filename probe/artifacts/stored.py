"""What is stored under `home()`, found by kind and registered name, never by path."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from probe.artifacts.folder import KINDS, home
from probe.artifacts.locks.claims import all_returned
from probe.artifacts.manifest import Manifest, read_manifest
from probe.errors import BadInput, OpenworkError


@dataclass
class Library:
    """Readable artifacts by kind, newest first, and the names and reasons of those that could not be read."""

    kinds: dict[str, list[tuple[Path, Manifest]]] = field(default_factory=lambda: {k: [] for k in KINDS})
    damaged: list[tuple[str, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not any(self.kinds.values()) and not self.damaged


def library(*kinds: str) -> Library:
    """Read every manifest under `home()`, or those of some kinds."""
    found = Library()
    for kind in kinds or KINDS:
        all_returned(home() / KINDS[kind])
        for path in sorted(_folders(kind)):
            if path.suffix == ".partial":  # being written, or to be resumed
                continue
            try:
                found.kinds[kind].append((path, read_manifest(path, kind)))
            except OpenworkError as error:
                found.damaged.append((f"{KINDS[kind]}/{path.name}", str(error)))
        found.kinds[kind].sort(key=lambda pair: pair[1].created, reverse=True)
    return found


def registered(kind: str, name: str) -> Path:
    """The folder of the artifact of this kind and name, chosen from those that exist; BadInput when there is none."""
    all_returned(home() / KINDS[kind])
    for path in _folders(kind):
        if path.name == name and not path.is_symlink():
            return path
    raise BadInput(
        f"No {kind} named '{name}' is stored here. It may have been removed, or made under another OPENWORK_HOME."
    )


def is_registered(kind: str, name: str) -> bool:
    """Is there an artifact of this kind and name?"""
    try:
        return registered(kind, name).is_dir()
    except BadInput:
        return False


def _folders(kind: str) -> Iterator[Path]:
    return (home() / KINDS[kind]).glob("[!.]*/")


def free_name(kind: str, wanted: str) -> str:
    """The name, or one like it, that nothing of this kind has, whatever its state."""
    there = {path.name.casefold() for path in (home() / KINDS[kind]).glob("*")}
    tries = (wanted if i == 1 else f"{wanted}-{i}" for i in range(1, len(there) + 2))
    return next(name for name in tries if name.casefold() not in there)
