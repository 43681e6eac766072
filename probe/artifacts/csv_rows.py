"""Rows of a record as a CSV file."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from probe.artifacts.exports import write_file
from probe.artifacts.json import clean


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
