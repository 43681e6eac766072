"""What a training is asked for and what it leaves: one run of several, and its record."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from probe.dictionaries.store import AnyDictionary, shape_of
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.training.config import TrainConfig
from probe.words import estimate


@dataclass(frozen=True, eq=False)
class Run(Record):
    """One of several trainings that share their data: which dictionary, where it goes, and how it is trained."""

    dictionary: AnyDictionary
    folder: Path
    config: TrainConfig


@dataclass(frozen=True, eq=False)
class TrainResult(Record, figure=True, page=True):
    """A finished training: the dictionary (it reads raw activations), its folder, the last metrics and the time it took."""

    dictionary: AnyDictionary
    folder: Path
    config: TrainConfig
    metrics: list[dict[str, Any]] = field(repr=False)
    seconds: float

    @property
    def last(self) -> dict[str, Any]:
        """The last line of metrics."""
        return self.metrics[-1] if self.metrics else {}

    def panels(self) -> list[Panel]:
        """Its curves, and how it ended."""
        last = [{"measure": name, "value": value} for name, value in self.last.items()]
        ended = Rows(f"{shape_of(self.dictionary)['dictionary_kind']} in {self.folder}, {estimate(self.seconds)}", last)
        return [Figure("TrainResult", self.figure), ended, Sentence(self.summary())]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able summary."""
        facts = shape_of(self.dictionary)
        return {
            "folder": str(self.folder),
            "config": asdict(self.config),
            "seconds": self.seconds,
            **facts,
            "last": self.last,
        }

    def summary(self) -> str:
        """One sentence: what was trained, for how long, where it lies."""
        last = ", ".join(f"{m} {self.last[m]:.4g}" for m in ("fvu", "l0", "dead_share") if m in self.last)
        return f"{self.folder.name}: trained in {self.seconds:,.0f} s{', ' + last if last else ''}."
