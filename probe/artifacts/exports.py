"""Files written where people name a place, outside of the home: whole or not at all, and on disk when that is said.

Each is written beside its place, brought to disk and renamed. What a killed writer left beside it is taken away by the next one
of the same place, or by `openwork doctor --mend`, which finds the place in a note in the home.
"""

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from probe.artifacts.json import clean
from probe.artifacts.leftovers import announced
from probe.artifacts.locks.claims import half_written_in, leftovers_of, lock_of
from probe.artifacts.locks.lock import exclusive
from probe.artifacts.renames import sync_folder, sync_tree


def write_file(path: Path, text: str) -> None:
    """Write one file; its folder is made."""
    path = Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(lock_of(path), str(path)), announced(path):
        _remove(leftovers_of(path))
        _put(path, text, lasting=True)
        sync_folder(path.parent)


def write_files(folder: Path, files: Iterable[tuple[str, str]]) -> None:
    """Write many files, as (name, text), into one folder, which may hold others; all are brought to disk together at the end."""
    folder = Path(os.path.abspath(folder))
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(lock_of(folder), str(folder)), announced(folder):
        _remove(half_written_in(folder))
        for name, text in files:
            _put(folder / name, text, lasting=False)
        sync_tree(folder)


def _put(path: Path, text: str, lasting: bool) -> None:
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf8") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_file() or path.is_symlink():
            path.unlink(missing_ok=True)


# -- rows of a record, for spreadsheets --------------------------------------------------------------------------------------


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the dashboard exports them: texts are JSON, so they are exact and no spreadsheet takes one for a formula."""
    out = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else json.dumps(clean(value), ensure_ascii=False)


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """All rows of a record; returns the path."""
    write_file(path, as_csv(rows))
    return path
