"""Training runs as they stand on disk: which there are, how far they are, also while they are written.

A finished run is a stored dictionary with its `metrics.jsonl`; an unfinished one is a folder `NAME.partial` with a log and, after
a while, a checkpoint whose header says what is being trained. Logs are read in `probe.training.curves`. Nothing here imports
torch.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from probe.artifacts.folder import KINDS, home
from probe.artifacts.manifest import read_manifest, require_files
from probe.artifacts.names import CHECKPOINT, METRICS, PARTIAL
from probe.artifacts.untrusted import parse_json, plain_file
from probe.errors import BadInput, OpenworkError
from probe.show.record import Record
from probe.training.curves import RunLog

SERIES = ("loss", "l0", "fvu", "dead_share")
AXES = ("tokens", "step")
LINE = ("step", "tokens", "loss", "fvu", "l0", "dead_share", "lr", "tokens_per_second")
"What a line of a log says."
QUIET = 60.0
"Seconds without a sign of life after which a run counts as interrupted; more where its lines come more slowly."
_HEADER = 16 << 20


@dataclass(frozen=True)
class TrainingRun(Record, figure=True):
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

    def summary(self) -> str:
        """One sentence: how far it is, and its last numbers."""
        last = {n: v for n, v in self.final().items() if n in SERIES and np.isfinite(v)}
        said = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
        tokens = self.final().get("tokens")
        return (
            f"{self.name}, {self.state}{f' after {tokens:,.0f} tokens' if tokens else ''}{f': {said}' if said else ''}."
        )

    def rows(self) -> list[dict[str, Any]]:
        """The lines of its log, newest first."""
        if self.log is None:
            return []
        columns = {name: self.log.series(name)[::-1] for name in LINE}
        return [
            {n: int(v[i]) if n in ("step", "tokens") and np.isfinite(v[i]) else float(v[i]) for n, v in columns.items()}
            for i in range(self.log.lines)
        ]

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
