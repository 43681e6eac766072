"""JSON files, written whole or not at all."""

import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from probe.artifacts.renames import sync_folder

Json = dict[str, Any]
"""An object of JSON: what a file holds, or a browser's store; its values are looked at where they are used."""


def write_json(path: Path, value: Any) -> None:
    """Write JSON beside `path` and rename it into place."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf8") as file:
            json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        os.replace(beside, path)
        sync_folder(path.parent)
    finally:
        Path(beside).unlink(missing_ok=True)


def finite(value: Any) -> float | None:
    """JSON has no NaN and no infinity: they become null."""
    return float(value) if np.isfinite(value) else None


def plain(value: Any, depth: int = 8) -> Any:
    """A copy that JSON can hold: mappings, lists, texts and finite numbers; deeper than `depth` it is cut."""
    if isinstance(value, dict) and depth:
        return {str(k): plain(v, depth - 1) for k, v in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [plain(v, depth - 1) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | bool | str) or value is None else str(value)[:200]


def clean(value: Any) -> Any:
    """What JSON has no word for becomes what it has: NaN and infinities null, keys text, numpy's and torch's numbers plain."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    return value.item() if hasattr(value, "item") else value
