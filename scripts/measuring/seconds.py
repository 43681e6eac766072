"""How long the tests took when all of them ran last. `tests/conftest.py` writes it down in pytest's own cache."""

import json
from pathlib import Path
from typing import TypedDict


class Run(TypedDict):
    """One run of a whole suite."""

    seconds: float
    tests: int
    processes: int
    passed: bool


def last_run(root: Path, suite: str) -> Run | None:
    """The last `make quick` or `make test`, or None where there was none."""
    note = root / ".pytest_cache" / "v" / "openwork" / suite
    return json.loads(note.read_text(encoding="utf8")) if note.is_file() else None
