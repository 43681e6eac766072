"""A stored result without its record, whoever wrote it: its JSON as it is. Numbers and words become a table of facts, lists of
records tables of their own, by their place; all of it bounded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.artifacts.json import Json
from probe.artifacts.manifest import read_manifest, require_files
from probe.artifacts.records import RECORD
from probe.artifacts.untrusted import plain_file, read_json
from probe.errors import Unavailable
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, minus, spaced

LARGEST, TABLES, FACTS = 20_000_000, 8, 60
"""Bytes of a file that is read, tables and facts that are shown."""


@dataclass(frozen=True, kw_only=True)
class StoredReport(Record):
    """report: the JSON files of a result, one or by name."""

    report: Any

    def summary(self) -> str:
        """How much there is."""
        found, told = len(numbers(self.report)), len(tables(self.report))
        if not found and not told:
            return "This result holds no numbers."
        return f"It holds {counted(found, 'value')} and {counted(told, 'table')}."

    def to_dict(self) -> Any:
        """The JSON itself."""
        return self.report

    def rows(self) -> list[dict[str, Any]]:
        """Its values by their place."""
        return [{"what": name, "value": _words(value)} for name, value in numbers(self.report)]

    def panels(self) -> list[Panel]:
        """Its values, then its tables."""
        facts = [Rows("Values", self.rows()[:FACTS])] if self.rows() else []
        return [
            Sentence(self.summary()),
            *facts,
            *(Rows(spaced(name), rows) for name, rows in tables(self.report)[:TABLES]),
        ]


def stored_report(folder: Path) -> StoredReport:
    """The JSON files of a result. Unavailable where one cannot be read."""
    found, manifest = {}, read_manifest(folder, "result")
    listed = [name for name in manifest.files if name.endswith(".json") and "/" not in name and name != RECORD]
    if any((folder / name).is_symlink() for name in listed):
        raise Unavailable(f"In {folder} a link lies where a file was stored. Make it again.")
    for path in sorted({*folder.glob("*.json"), *(folder / name for name in listed)}):
        if path.name in ("manifest.json", RECORD) or path.is_symlink():  # a link may lead to any file of the machine
            continue
        plain_file(path, LARGEST)
        if manifest.files:
            require_files(folder, manifest, [path.name])
        found[path.stem] = read_json(path, LARGEST)
    return StoredReport(report=next(iter(found.values())) if len(found) == 1 else found)


def numbers(report: object, prefix: str = "", depth: int = 3) -> list[tuple[str, object]]:
    """What is one value, by its place: `errors fvu`."""
    if not isinstance(report, dict) or depth == 0:
        return []
    plain = [(f"{prefix}{key}", value) for key, value in report.items() if isinstance(value, str | int | float | bool)]
    return plain + [pair for key, value in report.items() for pair in numbers(value, f"{prefix}{key} ", depth - 1)]


def tables(report: object, prefix: str = "", depth: int = 4) -> list[tuple[str, list[Json]]]:
    """Lists of records, by their place."""
    if isinstance(report, list) and report and all(isinstance(row, dict) for row in report):
        return [(prefix.strip() or "rows", report)]
    if not isinstance(report, dict) or depth == 0:
        return []
    return [found for key, value in report.items() for found in tables(value, f"{prefix}{key} ", depth - 1)]


def _words(value: object) -> str:
    return minus(f"{value:.5g}") if isinstance(value, float) else str(value)[:300]
