"""A training's curves: its log read piece by piece while it is written, and the points of it that are drawn.

A log is read by byte offset: what was read once is not read again, and a last line without its newline waits until it is whole.
Lines that are damaged are counted, not raised. Nothing here imports torch.
"""

import json
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from probe.artifacts.untrusted import plain_file
from probe.errors import OpenworkError

_LONGEST, _COLUMNS = 1 << 30, 200  # bytes of a log, and quantities in it


class RunLog:
    """The whole lines of a metrics file, read piece by piece. damaged: lines that are no JSON object with a step."""

    def __init__(self, path: Path):
        self.path, self._lock = path, threading.Lock()  # pages ask for one log from several threads
        self._reset()

    def _reset(self) -> None:
        self.lines, self.damaged = 0, 0
        self._offset, self._rest, self._file = 0, b"", 0
        self._columns: dict[str, list[float]] = {}

    def grow(self) -> int:
        """Read what was appended; returns how many lines came. A file that shrank or was replaced is read anew."""
        with self._lock:
            try:
                return self._read()
            except (OSError, OpenworkError):
                return 0

    def _read(self) -> int:
        found = self.path.stat()
        if found.st_size < self._offset or (self._offset and found.st_ino != self._file):
            self._reset()
        if found.st_size == self._offset:
            return 0
        self._file = found.st_ino
        with plain_file(self.path, _LONGEST).open("rb") as file:
            file.seek(self._offset)
            piece = file.read()
        self._offset += len(piece)
        *whole, self._rest = (self._rest + piece).split(b"\n")
        before = self.lines
        for line in whole:
            self._take(line)
        return self.lines - before

    def _take(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            float(found["step"])
            known = {k: float(v) for k, v in list(found.items())[:_COLUMNS] if isinstance(v, int | float)}
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            self.damaged += bool(line.strip())
            return
        self.lines += 1
        for key in {*self._columns, *known}:
            if key in self._columns or len(self._columns) < _COLUMNS:
                column = self._columns.setdefault(key, [float("nan")] * (self.lines - 1))
                column.append(known.get(key, float("nan")))

    def series(self, name: str) -> Float[np.ndarray, " line"]:
        """One quantity, a number a line; NaN where a line lacks it."""
        return np.array(self._columns.get(name) or np.full(self.lines, np.nan), dtype=float)

    def last(self) -> dict[str, float]:
        """The last line."""
        return {name: column[-1] for name, column in self._columns.items()} if self.lines else {}


MOST = 2000
"Most points of a curve."
ALL = 32_000
"Most points of all curves together, so that a figure of many runs stays below a megabyte."
PANELS = 4
"Curves of a run: loss, L0, FVU, dead share."


def points_each(n_runs: int) -> int:
    """How many points a curve may have where this many runs are shown."""
    return max(50, min(MOST, ALL // max(1, PANELS * n_runs)))


def extremes(y: Float[np.ndarray, " point"], most: int) -> Int[np.ndarray, " kept"]:
    """Which points to draw so that at most `most` remain and no peak is lost: first, last, and the lowest and highest of equal
    stretches. NaN is never an extreme; a stretch of nothing else keeps its first point, so that the gap shows."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    edges = np.linspace(0, n, max(1, (most - 2) // 2) + 1).astype(int)
    kept = [0, n - 1]
    for start, end in pairwise(edges.tolist()):
        part = y[start:end]
        finite = np.isfinite(part)
        if finite.any():
            kept += [
                start + int(np.where(finite, part, np.inf).argmin()),
                start + int(np.where(finite, part, -np.inf).argmax()),
            ]
        else:
            kept.append(int(start))
    return np.unique(kept)


def smoothed(y: Float[np.ndarray, " point"], window: int) -> Float[np.ndarray, " point"]:
    """The mean over the last `window` points that are numbers (fewer at the beginning); 1 changes nothing."""
    if window <= 1 or not len(y):
        return y
    finite = np.isfinite(y)
    sums, counts = (np.concatenate([[0.0], np.cumsum(v)]) for v in (np.where(finite, y, 0.0), finite.astype(float)))
    at = np.arange(1, len(y) + 1)
    start = np.maximum(0, at - window)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (sums[at] - sums[start]) / (counts[at] - counts[start])
    return np.where(finite, mean, np.nan)
