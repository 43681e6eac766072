"""Training runs as they stand on disk: which there are, how far they are, and their logs, also while they are written.

A finished run is a stored dictionary with its `metrics.jsonl`; an unfinished one is a folder `NAME.partial` with a log and, after
a while, a checkpoint whose header says what is being trained. Nothing here imports torch. A log is read by byte offset: what was
read once is not read again, and a last line without its newline waits until it is whole.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from probe.artifacts.folder import KINDS, home
from probe.artifacts.manifest import read_manifest, require_files
from probe.artifacts.names import CHECKPOINT, METRICS, PARTIAL
from probe.artifacts.untrusted import parse_json, plain_file
from probe.errors import BadInput, OpenworkError
from probe.show.record import Record

SERIES = ("loss", "l0", "fvu", "dead_share")
AXES = ("tokens", "step")
QUIET = 60.0
"Seconds without a sign of life after which a run counts as interrupted; more where its lines come more slowly."
_HEADER = 16 << 20
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


@dataclass(frozen=True)
class TrainingRun(Record):
    """A run: its name, `finished`, `live` or `interrupted`, what it trains, and how far it is.

    facts and config: of the manifest, or of the last checkpoint; empty before there is one. share: done part, if it is known.
    """

    name: str
    state: str
    folder: Path
    model: str
    facts: dict[str, Any] = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    cache: str = ""
    log: RunLog | None = field(default=None, repr=False)
    problem: str = ""

    @property
    def kind(self) -> str:
        return str(self.facts.get("dictionary_kind", ""))

    @property
    def sites(self) -> list[str]:
        """Sites read, then sites written, each once."""
        read = [self.facts.get(f"sites_{side}") or [self.facts.get(f"site_{side}")] for side in ("in", "out")]
        return [str(s) for s in dict.fromkeys([*read[0], *read[1]]) if s]

    @property
    def rule(self) -> str:
        """`topk 32`."""
        found = self.facts.get("sparsifier_trained") or self.facts.get("sparsifier") or {}
        return (
            " ".join(str(v) for v in found.values() if isinstance(v, str | int | float))
            if isinstance(found, dict)
            else ""
        )

    def final(self) -> dict[str, float]:
        """The last numbers of the log."""
        return self.log.last() if self.log else {}

    def row(self) -> dict[str, Any]:
        """What a person compares."""
        last = self.final()
        numbers = {k: last.get(k) for k in ("step", "tokens", *SERIES, "lr", "seconds")}
        return {
            "name": self.name,
            "state": self.state,
            "model": self.model,
            "kind": self.kind,
            "rule": self.rule,
            "sites": ", ".join(self.sites),
            "d_dict": self.facts.get("d_dict"),
            **numbers,
        }


_logs: dict[Path, RunLog] = {}


def log_of(folder: Path) -> RunLog:
    """The log of a run's folder, read as far as it goes; what was read before is kept in memory."""
    path = folder / METRICS
    found = _logs.setdefault(path, RunLog(path))
    found.grow()
    return found


def runs() -> list[TrainingRun]:
    """All runs under `home()`: unfinished ones first, then finished ones, newest first.

    >>> [run.name for run in ow.runs()]
    ['small-transcoder-topk-8-s0-0a98', 'small-transcoder-topk-4-s0-41e0', 'small']
    """
    folders = [p for p in (home() / KINDS["dictionary"]).glob("[!.]*/") if not p.is_symlink()]
    unfinished = [p for p in folders if p.name.endswith(PARTIAL)]
    finished = [p for p in folders if not p.name.endswith(PARTIAL) and (p / METRICS).is_file()]
    found = [run_at(p) for p in sorted([*unfinished, *finished], key=changed, reverse=True)]
    return sorted(found, key=lambda run: run.state == "finished")


def run_named(name: str) -> TrainingRun:
    """The run of this name, finished or not; BadInput when there is none.

    >>> ow.run_named("small").state
    'finished'
    """
    there = {p.name: p for p in (home() / KINDS["dictionary"]).glob("[!.]*/") if not p.is_symlink()}
    if (folder := there.get(name) or there.get(name + PARTIAL)) is not None:
        return run_at(folder)
    raise BadInput(
        f"No training run named '{name}' is stored here. It may have been removed, or made under another OPENWORK_HOME."
    )


def run_at(folder: Path) -> TrainingRun:
    """The run in a folder; damaged descriptions are said in `problem`, never raised."""
    return _unfinished(folder) if folder.name.endswith(PARTIAL) else _finished(folder)


def _finished(folder: Path) -> TrainingRun:
    log = log_of(folder)
    try:
        manifest = read_manifest(folder, "dictionary")
        require_files(folder, manifest, {METRICS} & set(manifest.files), "its curves are not those of the training")
    except OpenworkError as error:
        return TrainingRun(folder.name, "finished", folder, "", {}, {}, log=log, problem=str(error))
    model, cache = manifest.model.name if manifest.model else "", (manifest.parents or ("",))[0]
    return TrainingRun(
        name=folder.name,
        state="finished",
        folder=folder,
        model=model,
        facts=manifest.facts,
        config=manifest.config,
        cache=cache,
        log=log,
    )


def _unfinished(folder: Path) -> TrainingRun:
    name, log = folder.name.removesuffix(PARTIAL), log_of(folder)
    state, problem = _checkpoint_state(folder / CHECKPOINT)
    facts = {**state.get("shape", {}), **state.get("source", {})} if state else {}
    return TrainingRun(
        name=name,
        state=_alive(folder, log),
        folder=folder,
        model="",
        facts=facts,
        config=state.get("config", {}),
        cache="",
        log=log,
        problem=problem,
    )


def _alive(folder: Path, log: RunLog, now: float | None = None) -> str:
    """`live` if something was written lately: within a minute, or the time of six lines where lines take longer."""
    gaps = np.diff(log.series("seconds")[-8:]) if log.lines > 1 else np.array([])
    patience = max(QUIET, 6 * float(np.nanmax(gaps))) if len(gaps) and np.isfinite(gaps).any() else QUIET
    return "live" if (now or time.time()) - changed(folder) < patience else "interrupted"


def changed(folder: Path) -> float:
    """When anything in a run's folder was last written."""
    times = [0.0]
    for path in (folder, folder / METRICS, folder / CHECKPOINT):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times)


def _checkpoint_state(path: Path) -> tuple[dict[str, Any], str]:
    """The JSON state in a checkpoint's header, without its tensors; or nothing, and why."""
    if not path.is_file():
        return {}, ""
    try:
        with plain_file(path).open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if not 0 < size <= _HEADER:
                raise ValueError(f"its header would take {size} bytes")
            header = parse_json(file.read(size))
        state = parse_json(header["__metadata__"]["state"].encode())
        sound = isinstance(state, dict) and all(
            isinstance(state.get(k, {}), dict) for k in ("shape", "source", "config")
        )
        return (state, "") if sound else ({}, "The checkpoint is damaged: its state is no table.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OpenworkError) as error:
        return {}, f"The checkpoint is damaged ({error}); it cannot be resumed. Delete the run and train again."


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


def short_names(names: list[str]) -> list[str]:
    """Names without the parts, between hyphens, that all of them begin with, but for the last such part: `…topk-64-s1` and
    `…topk-32-s0`. Where that would save little, or there is one name alone, they stay whole."""
    parts = [name.split("-") for name in names]
    shared = 0
    while len(set(names)) > 1 and all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    cut = "-".join(parts[0][: max(0, shared - 1)]) if parts else ""
    return [f"…{name[len(cut) + 1 :]}" for name in names] if len(cut) > 7 else names


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


def differing(chosen: list[TrainingRun]) -> list[dict[str, Any]]:
    """The settings in which runs differ, a row each; what all share is left out, and so is what only one is known to have. Names,
    times and file contents are no settings."""
    flat = [_settings(run) for run in chosen]
    keys = list(dict.fromkeys(k for one in flat for k in one))
    rows = [{"setting": k, **{run.name: one.get(k, "") for run, one in zip(chosen, flat, strict=True)}} for k in keys]
    return [row for row in rows if len({v for k, v in row.items() if k != "setting" and v != ""}) > 1]


_NO_SETTINGS = ("seconds", "steps", "tokens", "sparsifier", "site_in", "site_out", "d_in", "d_out", "skip")


def _settings(run: TrainingRun) -> dict[str, str]:
    own = {"model": run.model, "cache": run.cache, "sparsifier": run.rule}
    shape = {k: v for k, v in run.facts.items() if k not in _NO_SETTINGS and not k.startswith("sparsifier")}
    return {k: _plain(v) for k, v in {**own, **shape, **run.config}.items() if v not in ("", None)}


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
