"""Feature tables at hand: opened once, checked, found by model and by dictionary."""

import importlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from app.library.artifacts import library, registered
from app.library.memory import Recent
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from probe.features import FeatureTable

_tables: "Recent[tuple[int, FeatureTable]]" = Recent(6)
_READER = "probe.features.table"


def warm() -> None:
    """Import what reads tables while somebody still chooses one: it brings torch, which takes seconds the first time."""
    if not warmed():
        threading.Thread(target=importlib.import_module, args=(_READER,), daemon=True).start()


def warmed() -> bool:
    """Is what reads tables imported? A module whose import is under way is in the list already, but without its functions."""
    return hasattr(sys.modules.get(_READER), "open_features")


def open_table(name: str) -> "FeatureTable":
    """A stored table by name, opened once. BadInput when there is none, Unavailable when it is damaged."""
    folder = registered("features", name)
    mark = _mark(folder)
    kept = _tables.get(folder)
    if kept is None or kept[0] != mark:
        from probe.features import open_features  # torch comes with it

        kept = _tables.put(folder, (mark, _checked(open_features(folder))))
    return kept[1]


def _checked(table: "FeatureTable") -> "FeatureTable":
    """A table whose columns can be read at both ends; one that was cut short says so now, not in a callback."""
    try:
        if table.n_units < 1:
            raise BadInput(f"{table.folder.name} holds no units.")
        for unit in (0, table.n_units - 1):
            table.unit(unit)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Unavailable(
            f"{table.folder.name} is damaged ({type(error).__name__}: {str(error)[:80]}). Delete the folder and build it again."
        ) from error
    return table


def _mark(folder: Path) -> int:
    try:
        return (folder / "manifest.json").stat().st_mtime_ns
    except OSError as error:
        raise BadInput(f"{folder.name} has no manifest; build the table again.") from error


def neuron_tables(model: str) -> list[tuple[str, Manifest]]:
    """Stored tables of a model's neurons, newest first."""
    return [
        (folder.name, m)
        for folder, m in library().kinds["features"]
        if m.facts.get("units") == "neuron" and m.model and m.model.name == model
    ]


def latent_tables(dictionary: str) -> list[tuple[str, Manifest]]:
    """Stored tables of a dictionary's latents, newest first."""
    return [
        (folder.name, m)
        for folder, m in library().kinds["features"]
        if m.facts.get("units") == "latent" and m.facts.get("source") == dictionary
    ]


def forget() -> None:
    """Let go of every table: another home is looked at, or a process ends."""
    _tables.clear()
