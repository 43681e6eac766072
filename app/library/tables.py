"""Feature tables at hand: opened once, and again where they were built anew."""

import importlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from app.library.artifacts import registered
from app.library.recent_records import Recent
from probe.errors import BadInput

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

        kept = _tables.put(folder, (mark, open_features(folder)))
    return kept[1]


def _mark(folder: Path) -> int:
    try:
        return (folder / "manifest.json").stat().st_mtime_ns
    except OSError as error:
        raise BadInput(f"{folder.name} has no manifest; build the table again.") from error


def forget() -> None:
    """Let go of every table: another home is looked at, or a process ends."""
    _tables.clear()
