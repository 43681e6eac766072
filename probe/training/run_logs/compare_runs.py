"""Training runs side by side: curves, last numbers, settings in which they differ, and short names that still tell
them apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.training.run_logs.metrics_log import MEANINGS
from probe.training.run_logs.runs_on_disk import CURVES, SERIES, TrainingRun, read_of, run_named
from probe.words import counted

_LAST = ("step", "tokens", *SERIES, "lr", "seconds")


@dataclass(frozen=True)
class RunComparison(Record, figure=True):
    """Training runs side by side, in the order in which they were named."""

    runs: list[TrainingRun]

    def summary(self) -> str:
        """One sentence: which runs."""
        return f"{counted(len(self.runs), 'run')}: {', '.join(run.name for run in self.runs)}."

    def rows(self) -> list[dict[str, Any]]:
        """The last numbers of each."""
        found = {run.name: run.row() for run in self.runs}
        there = [key for key in _LAST if any(row[key] is not None for row in found.values())]
        return [{"run": name, **{key: row[key] for key in there}} for name, row in found.items()]

    def panels(self) -> list[Panel]:
        """Their curves over each other, what of their logs that is; their last numbers; the settings in which they differ."""
        last = Rows("Last numbers of the runs shown", self.rows(), (), {"run": "name", "dead_share": "share"}, MEANINGS)
        differ = compared(self.runs)
        alike = "They share all their settings." if len(self.runs) > 1 else "Two runs or more show how they differ."
        return [
            Figure("Curves", self.figure, CURVES),
            Sentence(read_of(self.runs)),
            last,
            Rows("Settings that differ", differ) if differ else Sentence(alike),
        ]


def compare_runs(names: Sequence[str]) -> RunComparison:
    """Training runs by name, finished or not, side by side. Raises BadInput for a name that no run has.

    >>> ow.compare_runs(["small"]).summary()
    '1 run: small.'
    """
    return RunComparison([run_named(name) for name in dict.fromkeys(names)])


def short_names(names: list[str]) -> list[str]:
    """Names without the parts, between hyphens, that all of them begin with, but for the last such part: `…topk-64-s1` and
    `…topk-32-s0`. Where that would save little, or there is one name alone, they stay whole."""
    parts = [name.split("-") for name in names]
    shared = 0
    while len(set(names)) > 1 and all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    cut = "-".join(parts[0][: max(0, shared - 1)]) if parts else ""
    return [f"…{name[len(cut) + 1 :]}" for name in names] if len(cut) > 7 else names


def differing(chosen: list[TrainingRun]) -> list[dict[str, Any]]:
    """The settings in which runs differ, a row each; what all share is left out, and so is what only one is known to have. Names,
    times and file contents are no settings."""
    flat = [run.settings() for run in chosen]
    keys = list(dict.fromkeys(k for one in flat for k in one))
    rows = [{"setting": k, **{run.name: one.get(k, "") for run, one in zip(chosen, flat, strict=True)}} for k in keys]
    return [row for row in rows if len({v for k, v in row.items() if k != "setting" and v != ""}) > 1]


def compared(chosen: list[TrainingRun]) -> list[dict[str, Any]]:
    """The same under short names: a column a run, or a row a run where that makes the narrower table."""
    found, names = differing(chosen), short_names([run.name for run in chosen])
    spoken = {str(row["setting"]).replace("_", " "): row for row in found}
    if 2 < len(chosen) > len(found) > 0:
        pairs = zip(chosen, names, strict=True)
        return [{"run": name, **{said: row[run.name] for said, row in spoken.items()}} for run, name in pairs]
    pairs = [*zip(chosen, names, strict=True)]
    return [{"setting": said, **{name: row[run.name] for run, name in pairs}} for said, row in spoken.items()]
