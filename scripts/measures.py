"""How the source keeps what CONTRIBUTING.md says of it: a table of what is, what is wanted, and whether it is so.

    python -m scripts.measures [--json] [--strict] [--names]       make measures

Nothing is imported or run; a few seconds. `--names` says which functions, circles and places the numbers count, `--strict` ends
with 1 where something is not as wanted. Seconds of the tests are those of the last whole `make quick` and `make test` here.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.measuring.duplicates import duplicates
from scripts.measuring.imports import circles
from scripts.measuring.seconds import last_run
from scripts.measuring.sizes import anys, fullest_folder, length, parameters, percentile
from scripts.measuring.sources import Function, Source, sources

PARTS = ("probe", "circuits", "app")
COMMANDS = "app.commands"
"""A command declares each of its options, so its length and its parameters are counted apart."""


@dataclass(frozen=True)
class Row:
    """One measure. `wanted` is the most that is well; `ok` is None where that is not known."""

    measure: str
    now: float | None
    wanted: float | None
    names: tuple[str, ...] = ()

    @property
    def ok(self) -> bool | None:
        return None if self.now is None or self.wanted is None else self.now <= self.wanted


def measures(root: Path) -> list[Row]:
    by_part = {part: sources(root, part) for part in PARTS}
    files = [file for part in by_part.values() for file in part]
    return [
        *folder_rows(root, by_part),
        circle_row(files),
        over("functions over 60 lines", length, 60, files),
        over("functions of more than 8 parameters", parameters, 8, files),
        *length_rows(by_part),
        duplicate_row(files),
        Row("`Any` in signatures of app", anys(by_part["app"]), None),
        seconds_row(root, "quick", 3 * 60),
        seconds_row(root, "test", 14 * 60),
    ]


def folder_rows(root: Path, by_part: dict[str, list[Source]]) -> list[Row]:
    found = [(part, *fullest_folder(files)) for part, files in by_part.items()]
    return [
        Row(
            f"files in the fullest folder of {part} (without __init__)",
            n,
            18,
            (str(folder.relative_to(root)),) if n else (),
        )
        for part, n, folder in found
    ]


def circle_row(files: list[Source]) -> Row:
    found = circles(files)
    return Row("import circles at run time", len(found), 0, tuple(" ".join(circle) for circle in found))


def over(measure: str, of: Callable[[Function], int], most: int, files: Iterable[Source]) -> Row:
    """How many functions have more than `most`; the commands' own stand only among the names."""
    counted = ((of(f), f"{file.module}.{f.name}") for file in files for f in file.functions)
    found = [(n, name) for n, name in counted if n > most]
    apart = [f"{n} {name}" for n, name in found if name.startswith(f"{COMMANDS}.")]
    rest = [f"{n} {name}" for n, name in found if not name.startswith(f"{COMMANDS}.")]
    return Row(f"{measure} (and of commands: {len(apart)})", len(rest), 0, tuple(rest))


def length_rows(by_part: dict[str, list[Source]]) -> list[Row]:
    files = [
        Row(f"90th percentile of file lengths, {part}", percentile([file.lines for file in own]), 230)
        for part, own in by_part.items()
    ]
    lengths = [length(f) for own in by_part.values() for file in own for f in file.functions]
    return [*files, Row("90th percentile of function lengths", percentile(lengths), 20)]


def duplicate_row(files: list[Source]) -> Row:
    found = duplicates(files)
    return Row("things written twice", len(found), 0, tuple(" ".join(places) for places in found))


def seconds_row(root: Path, suite: str, most: int) -> Row:
    """A run in which tests failed says nothing of how long all of them take."""
    run = last_run(root, suite)
    told = "never run here" if run is None else "" if run["passed"] else "the last run failed"
    how = told or f"{run['tests']} tests, {run['processes']} processes"  # type: ignore[index]
    return Row(f"seconds of `make {suite}` ({how})", None if told else round(run["seconds"]), most)  # type: ignore[index]


def table(rows: list[Row], names: bool = False) -> str:
    """As Markdown."""
    said = {True: "yes", False: "no", None: "–"}
    lines = ["| | now | wanted | ok |", "| --- | ---: | ---: | --- |"]
    for row in rows:
        wanted = "fewer" if row.wanted is None else f"≤ {row.wanted}" if row.wanted else "0"
        lines.append(f"| {row.measure} | {'–' if row.now is None else row.now} | {wanted} | {said[row.ok]} |")
    details = [f"\n{row.measure}:\n" + "\n".join(f"  {name}" for name in row.names) for row in rows if row.names]
    return "\n".join([*lines, *(details if names else ())])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="a list of objects, names and all")
    parser.add_argument("--names", action="store_true", help="what the numbers count, below the table")
    parser.add_argument("--strict", action="store_true", help="end with 1 where something is not as wanted")
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).resolve().parents[1], help="another tree of the same parts"
    )
    asked = parser.parse_args()
    rows = measures(asked.root)
    as_json = [{**asdict(row), "ok": row.ok} for row in rows]
    print(json.dumps(as_json, indent=1, ensure_ascii=False) if asked.json else table(rows, asked.names))
    return int(asked.strict and any(row.ok is False for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
