"""Artifacts on disk (`probe.artifacts.stored`), and which of the dictionaries pages read with."""

from collections.abc import Callable
from pathlib import Path

from probe.artifacts.manifest import ModelStamp, read_manifest
from probe.artifacts.stored import Library, is_registered, library, registered

__all__ = ["Library", "is_registered", "library", "newest_dictionaries", "read_by", "registered"]


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
