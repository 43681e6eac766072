"""What path patching found: by how much the metric moves when a sender's word to the receivers is another prompt's."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from circuits.patching.kinds import Direction
from circuits.patching.paths.passes import Free
from probe.errors import BadInput, brief
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import Intervals, bootstrap_each
from probe.words import counted, figures, percent

RESAMPLES = 1000
_SHOWN = 100
MEANINGS = {
    "effect": "By how much the path moves the metric, mean over pairs, in the metric's own unit.",
    "share": "The effect over the whole way from the patched run to the other: 1 is all of it, below 0 the opposite way.",
}
BETWEEN: dict[Free, str] = {
    "nothing": "heads and MLPs between are held",
    "mlps": "heads between are held, MLPs run on",
    "all": "everything between runs on",
}


@dataclass(frozen=True, kw_only=True)
class PathPatching(Record, figure=True):
    """Paths from each sender by itself to all receivers together. by_pair: the metric with the path patched. clean, corrupted:
    the metric of each pair's two runs. direction: `noise`, corrupted into clean; `denoise`, clean into corrupted. free: what runs
    on between sender and receivers. heads: of every layer, for the picture."""

    task: str
    senders: list[str]
    receivers: list[str]
    direction: Direction
    free: Free
    by_pair: Float[np.ndarray, "pair sender"]
    clean: Float[np.ndarray, " pair"]
    corrupted: Float[np.ndarray, " pair"]
    examples: list[str]
    heads: list[int]
    convention: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def base(self) -> Float[np.ndarray, " pair"]:
        """The metric of the run that is patched."""
        return self.clean if self.direction == "noise" else self.corrupted

    @property
    def donor(self) -> Float[np.ndarray, " pair"]:
        """The metric of the run that is put in."""
        return self.corrupted if self.direction == "noise" else self.clean

    @property
    def effects(self) -> Float[np.ndarray, "pair sender"]:
        """By how much each path moves each pair's metric."""
        return self.by_pair - self.base[:, None]

    @cached_property
    def intervals(self) -> Intervals:
        """Mean effect of every sender, with a 95% interval over pairs."""
        return bootstrap_each(self.effects, RESAMPLES, self.seed)

    @property
    def effect(self) -> Float[np.ndarray, " sender"]:
        """Mean over pairs."""
        return self.intervals.mean

    @property
    def share(self) -> Float[np.ndarray, " sender"]:
        """The mean effect as a share of the whole way from the base to the donor: 1 is all of it."""
        return self.effect / float((self.donor - self.base).mean())

    def of(self, sender: str) -> float:
        """The mean effect of one sender. BadInput for one that is not here."""
        if sender not in self.senders:
            raise BadInput(f"{brief(sender)} is none of the senders; there are {', '.join(self.senders[:8])}.")
        return float(self.effect[self.senders.index(sender)])

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """One row a sender, those that move the metric most first."""
        order = np.argsort(-np.abs(self.effect), kind="stable")[:k]
        return [
            {
                "sender": self.senders[i],
                "effect": float(self.effect[i]),
                "low": float(self.intervals.low[i]),
                "high": float(self.intervals.high[i]),
                "share": float(self.share[i]),
                "pairs of this sign": float((np.sign(self.effects[:, i]) == np.sign(self.effect[i])).mean()),
            }
            for i in order
        ]

    def panels(self) -> list[Panel]:
        """The sentence, the picture, the strongest senders."""
        title = f"Strongest of {counted(len(self.senders), 'sender')}"
        shares: Any = {"share": "share", "pairs of this sign": "share"}
        return [
            Sentence(self.summary()),
            Figure("What each path moves", self.figure),
            Rows(title, self.rows(_SHOWN), kinds=shares, meanings=MEANINGS),
        ]

    def summary(self) -> str:
        """One sentence: the strongest path, in which direction, what runs on between."""
        top = self.rows(1)[0]
        into = "corrupted into clean" if self.direction == "noise" else "clean into corrupted"
        gap = f"{figures(float(self.clean.mean()))} clean, {figures(float(self.corrupted.mean()))} corrupted"
        to = ", ".join(self.receivers[:6]) + (", …" if len(self.receivers) > 6 else "")
        return (
            f"Paths to {to}, {into}, on {counted(len(self.base), 'pair')} of {self.task} ({gap}; {BETWEEN[self.free]}): "
            f"{top['sender']} moves the metric most, by {figures(top['effect'])} ({percent(top['share'])} of the way)."
        )
