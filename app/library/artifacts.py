"""Artifacts on disk, found by kind and registered name, never by path."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from probe.artifacts.claims import all_returned
from probe.artifacts.folder import KINDS, home
from probe.artifacts.manifest import Manifest, ModelStamp, read_manifest
from probe.errors import BadInput, OpenworkError


@dataclass
class Library:
    """Readable artifacts by kind, newest first, and the names and reasons of those that could not be read."""

    kinds: dict[str, list[tuple[Path, Manifest]]] = field(default_factory=lambda: {k: [] for k in KINDS})
    damaged: list[tuple[str, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not any(self.kinds.values()) and not self.damaged


def library() -> Library:
    """Read every manifest under `home()`."""
    found = Library()
    for kind, folder in KINDS.items():
        all_returned(home() / folder)
        for path in sorted((home() / folder).glob("[!.]*/")):
            if path.suffix == ".partial":  # being written, or to be resumed
                continue
            try:
                found.kinds[kind].append((path, read_manifest(path, kind)))
            except OpenworkError as error:
                found.damaged.append((f"{folder}/{path.name}", str(error)))
        found.kinds[kind].sort(key=lambda pair: pair[1].created, reverse=True)
    return found


def registered(kind: str, name: str) -> Path:
    """The folder of the artifact of this kind and name, chosen from those that exist; BadInput when there is none."""
    all_returned(home() / KINDS[kind])
    for path in (home() / KINDS[kind]).glob("[!.]*/"):
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


def newest_dictionaries(fits: Callable[[ModelStamp], bool]) -> list[Path]:
    """The folders of the stored dictionaries whose model `fits`: for each pair of sites the newest."""
    found: dict[tuple[str, ...], Path] = {}
    for folder, manifest in library().kinds["dictionary"]:
        if manifest.model and fits(manifest.model):
            found.setdefault(manifest.sites, folder)
    return list(found.values())


def read_by(model: str) -> list[str]:
    """The dictionaries whose latents are read: for each pair of sites the newest, as `app.jobs.readings` finds them."""
    found = [(folder.name, read_manifest(folder).facts) for folder in newest_dictionaries(lambda m: m.name == model)]
    return [name for name, facts in found if all(len(facts.get(f"sites_{side}", "1")) == 1 for side in ("in", "out"))]
