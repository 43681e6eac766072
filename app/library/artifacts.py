"""Artifacts on disk (`probe.artifacts.stored`), and which of the dictionaries pages read with."""

from collections.abc import Callable
from pathlib import Path

from probe.artifacts.manifest import ModelStamp, read_manifest
from probe.artifacts.stored import Library, is_registered, library, registered
from probe.errors import BadInput, brief
from probe.tasks.catalogue import TASKS
from probe.text.documents import BUNDLED

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


def corpora() -> list[str]:
    """Texts that a page offers to read: bundled ones, and samples that are stored here."""
    return [*BUNDLED, *(f"sample:{manifest.name}" for _, manifest in library().kinds["text"])]


def require_corpora(names: list[str]) -> None:
    """BadInput for a text that no page offers: what a page or an address says names no file of this machine."""
    known = corpora()
    if unknown := [name for name in names if name not in known]:
        raise BadInput(
            f"{brief(unknown[0])} is none of the texts here ({', '.join(known)}). Files are read in Python, "
            "and by commands without --dashboard."
        )


def require_tasks(names: list[str]) -> None:
    """The same of a task, which Python and the command line may give as a file of examples."""
    if unknown := [name for name in names if name not in TASKS]:
        raise BadInput(
            f"{brief(unknown[0])} is none of the tasks here ({', '.join(TASKS)}). Files are read in Python, "
            "and by commands without --dashboard."
        )
