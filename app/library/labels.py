"""What people and programs call a unit, wherever it is shown: the one lookup over the labels of all feature tables.

A label is set on a unit's page and kept beside its table (`probe.features.labels`). The page's heading, the search, the nodes of
circuits and the lists of units all ask here, so it is known everywhere from then on. Of several labels the best is taken. Reading
them starts no torch, and the files are looked at anew at most once a second.
"""

import time
from pathlib import Path
from typing import Any

from app.library.artifacts import library
from probe.artifacts.manifest import Manifest
from probe.errors import OpenworkError
from probe.features.labels import FILE, Labels, labels_of
from probe.features.numbering import layer_of

Unit = tuple[str, str, int, int]
"""Kind, whose it is (a model's name for a neuron, a dictionary's for a latent), layer, number in the layer."""
_FRESH = 1.0  # seconds
_state: dict[str, Any] = {"at": -1.0, "marks": None, "texts": {}, "tables": {}}


def texts() -> dict[Unit, str]:
    """The best label of every unit that has one."""
    if time.monotonic() - _state["at"] > _FRESH:
        _look()
    return _state["texts"]


def by_table() -> dict[str, Labels]:
    """Every label there is, by the table that it is kept beside and the unit's number there."""
    texts()
    return _state["tables"]


def mark() -> int:
    """Changes when a label does, so that what was drawn with labels is drawn anew."""
    texts()
    return hash(_state["marks"])


def label_of(kind: str, owner: str, layer: int, number: int) -> str:
    """The best label of a unit; empty where nobody gave it one."""
    return texts().get((kind, owner, layer, number), "")


def forget() -> None:
    """Look at the files at the next question: a label was set just now."""
    _state["at"] = -1.0


def _look() -> None:
    tables = [(folder, manifest) for folder, manifest in library().kinds["features"] if (folder / FILE).is_file()]
    marks = tuple((str(folder), _changed(folder)) for folder, _ in tables)
    if marks != _state["marks"]:
        found: dict[Unit, str] = {}
        read = {folder.name: _read(folder) for folder, _ in tables}
        for folder, manifest in reversed(tables):  # where two tables label one unit, the newer table's is taken
            found |= _of_table(manifest, read[folder.name])
        _state.update(marks=marks, texts=found, tables=read)
    _state["at"] = time.monotonic()


def _changed(folder: Path) -> tuple[int, int]:
    try:
        found = (folder / FILE).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def _read(folder: Path) -> Labels:
    """The labels of one table; none where they are damaged, which its own page says."""
    try:
        return labels_of(folder)
    except OpenworkError:
        return {}


def _of_table(manifest: Manifest, rows: Labels) -> dict[Unit, str]:
    """The best label of each unit of one table."""
    kind = str(manifest.facts.get("units", ""))
    owner = manifest.facts.get("source") if kind == "latent" else manifest.model.name if manifest.model else ""
    try:
        return {(kind, str(owner), *layer_of(manifest.facts, row)): said[0].text for row, said in rows.items() if said}
    except (KeyError, TypeError, ValueError):  # a manifest that somebody wrote by hand
        return {}
