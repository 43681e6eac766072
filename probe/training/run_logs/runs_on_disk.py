"""Training runs as they stand on disk: which there are, how far they are, also while they are written.

A finished run is a stored dictionary with its `metrics.jsonl`; an unfinished one is a folder `NAME.partial` with a log and, after
a while, a checkpoint whose header says what is being trained (`probe.training.run_logs.unfinished`). Logs are read in
`probe.training.run_logs.curves`. Nothing here imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from probe.artifacts.folder import KINDS, home
from probe.artifacts.manifest import read_manifest, require_files
from probe.artifacts.names import CHECKPOINT, METRICS, PARTIAL
from probe.errors import BadInput, OpenworkError
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.training.run_logs.curves import RunLog, points_each
from probe.training.run_logs.metrics_log import MEANINGS
from probe.training.run_logs.unfinished import alive, changed, checkpoint_state
from probe.words import counted, duration, number, spaced

SERIES = ("loss", "l0", "fvu", "dead_share")
AXES = ("tokens", "step")
LINE = ("step", "tokens", "loss", "fvu", "l0", "dead_share", "lr", "tokens_per_second")
"What a line of a log says."
SMOOTHED = {"as logged": 1, "mean of 5": 5, "mean of 20": 20}
"Lines of the log behind each point of a curve."
CURVES = {"axis": AXES, "scale": ("linear", "log"), "smoothed": tuple(SMOOTHED)}
"How curves may be drawn."
LINES = 60
"Lines of a log that are shown of a run, of thousands."


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
    command: str = ""
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

    def settings(self) -> dict[str, str]:
        """Everything that decides what it becomes, by name, as text."""
        own = {"model": self.model, "cache": self.cache, "sparsifier": self.rule}
        shape = {k: v for k, v in self.facts.items() if k not in _NO_SETTINGS and not k.startswith("sparsifier")}
        return {k: _plain(v) for k, v in {**own, **shape, **self.config}.items() if v not in ("", None)}

    def final(self) -> dict[str, float]:
        """The last numbers of the log."""
        return self.log.last() if self.log else {}

    def summary(self) -> str:
        """One sentence: how far it is, and its last numbers."""
        last = {n: v for n, v in self.final().items() if np.isfinite(v)}
        numbers = [f"{spaced(name)} {number(last[name], 4)}" for name in SERIES if name in last]
        far = f" after {last['tokens']:,.0f} tokens" if "tokens" in last else ""
        far += f" in {duration(last['seconds'])}" if "seconds" in last else ""
        fast = [f"{last['tokens_per_second']:,.0f} tokens a second"] if "tokens_per_second" in last else []
        return f"{self.name}, {self.state}{far}{': ' if numbers or fast else ''}{', '.join([*numbers, *fast])}."

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """The lines of its log, newest first; k: only so many."""
        if self.log is None:
            return []
        columns = {name: self.log.series(name)[::-1][:k] for name in LINE}
        there = {n: column for n, column in columns.items() if n == "step" or np.isfinite(column).any()}
        return [{n: _whole(n, v[i]) for n, v in there.items()} for i in range(len(there["step"]))]

    def panels(self) -> list[Panel]:
        """How far it is; its curves; its settings; the last lines of its log."""
        lines, of = self.rows(LINES), self.log.lines if self.log else 0
        title = f"The log, newest first{f': {len(lines)} of {of:,} lines' if of > len(lines) else ''}"
        told = {**self.settings(), "command": self.command}
        settings = [{"setting": k.replace("_", " "), "value": v} for k, v in told.items() if v not in ("", "None")]
        return [
            Sentence(self.summary()),
            Figure("Curves", self.figure, CURVES),
            Sentence(read_of([self])),
            Rows("Settings", settings) if settings else Sentence("Settings are known with its first checkpoint."),
            Rows(title, lines, kinds={"dead_share": "share"}, meanings=MEANINGS),
        ]

    def row(self) -> dict[str, Any]:
        """What a person compares."""
        last = self.final()
        numbers = {k: _whole(k, last[k]) if k in last else None for k in ("step", "tokens", *SERIES, "lr", "seconds")}
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


_NO_SETTINGS = ("seconds", "steps", "tokens", "sparsifier", "site_in", "site_out", "d_in", "d_out", "skip")


def _whole(name: str, value: float) -> float | int:
    """A number of a log, a count as a whole one."""
    return int(value) if name in ("step", "tokens") and np.isfinite(value) else float(value)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read_of(some: Sequence["TrainingRun"]) -> str:
    """What of the logs of runs is drawn, what could not be read, and what is missing."""
    most, longest = points_each(len(some)), max((run.log.lines for run in some if run.log), default=0)
    words = ["Each point is the mean over the steps since the line before; a smoothed one the mean of that many lines."]
    if longest > most:
        words.append(f"Shown: {most:,} of up to {longest:,} log lines a curve, every peak kept.")
    if damaged := sum(run.log.damaged for run in some if run.log):
        words.append(f"{counted(damaged, 'damaged line')} left out.")
    if empty := [run.name for run in some if not (run.log and run.log.lines)]:
        words.append(f"No line was written yet: {', '.join(empty[:3])}.")
    return " ".join([*words, *(f"{run.name}: {run.problem}" for run in some if run.problem)])


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
        command=manifest.command,
        log=log,
    )


def _unfinished(folder: Path) -> TrainingRun:
    name, log = folder.name.removesuffix(PARTIAL), log_of(folder)
    state, problem = checkpoint_state(folder / CHECKPOINT)
    facts = {**state.get("shape", {}), **state.get("source", {})} if state else {}
    return TrainingRun(
        name=name,
        state=alive(folder, log),
        folder=folder,
        model="",
        facts=facts,
        config=state.get("config", {}),
        cache="",
        log=log,
        problem=problem,
    )
