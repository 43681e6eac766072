"""What causal tracing found: how much of the answer noise on the subject takes, and how much each clean piece gives back."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from circuits.patching.kinds import KINDS
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import Interval, Intervals, bootstrap, bootstrap_each
from probe.words import counted, decimals, prose

RESAMPLES = 1000
_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class CausalTrace(Record, figure=True):
    """One prompt traced. subject: positions that got noise. clean: the answer's probability in the plain run; noisy: with noise,
    by draw; restored: with noise and one clean piece put back, by draw, layer and position. computed: cells that were run; the
    others cannot differ from the noisy run. sd: of the noise. window: layers around one that were put back together."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    subject: list[int]
    answer: str
    over: str
    window: int
    sd: float
    clean: float
    noisy: Float[np.ndarray, " draw"]
    restored: Float[np.ndarray, "draw layer pos"]
    computed: Bool[np.ndarray, "layer pos"]
    convention: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @cached_property
    def total(self) -> Interval:
        """Total effect: what the noise takes from the answer's probability; the interval is over draws."""
        return bootstrap(self.clean - self.noisy, self.seed)

    @cached_property
    def effects(self) -> Intervals:
        """Indirect effects of all cells, layer by layer, with intervals over draws."""
        gained = self.restored - self.noisy[:, None, None]
        return bootstrap_each(gained.reshape(len(gained), -1), RESAMPLES, self.seed)

    @property
    def indirect(self) -> Float[np.ndarray, "layer pos"]:
        """Indirect effect: what one clean piece gives back of the answer's probability, mean over draws."""
        return self.effects.mean.reshape(self.computed.shape)

    @property
    def interval(self) -> Float[np.ndarray, "2 layer pos"]:
        """Of 95%, over draws; NaN for a single one."""
        return np.stack([self.effects.low, self.effects.high]).reshape(2, *self.computed.shape)

    def rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """One row a cell that was run, those that give back most first."""
        low, high = self.interval
        order = np.argsort(np.where(self.computed, -self.indirect, np.inf), axis=None, kind="stable")
        order = order[: int(self.computed.sum())][:k]
        return [
            {
                "layer": int(layer),
                "position": int(pos),
                "token": self.tokens[pos],
                "subject": int(pos) in self.subject,
                "indirect effect": float(self.indirect[layer, pos]),
                "low": float(low[layer, pos]),
                "high": float(high[layer, pos]),
                "share of total": float(self.indirect[layer, pos] / self.total.mean),
            }
            for layer, pos in np.array(np.unravel_index(order, self.computed.shape)).T
        ]

    def by_token(self) -> list[dict[str, Any]]:
        """One row a position: the layer that gives back most there."""
        best = self.indirect.argmax(0)
        return [
            {
                "position": pos,
                "token": token,
                "subject": pos in self.subject,
                "best layer": int(best[pos]),
                "indirect effect": float(self.indirect[best[pos], pos]),
                "mean over layers": float(self.indirect[:, pos].mean()),
            }
            for pos, token in enumerate(self.tokens)
        ]

    def panels(self) -> list[Panel]:
        """The sentence, the heat map, each token's best layer, the strongest cells."""
        return [
            Sentence(self.summary()),
            Figure("What each clean piece gives back", self.figure, choices={"what": ["indirect", "low", "high"]}),
            Rows("Where it helps most, by token", self.by_token()),
            Rows(
                f"Strongest of {int(self.computed.sum()):,} pieces; before the subject nothing differs",
                self.rows(_SHOWN),
                kinds={"share of total": "share"},
            ),
        ]

    def summary(self) -> str:
        """One sentence: what the noise takes, and which layer gives most of it back on the subject, and at the end."""
        at = self.by_token()
        top, last = max((at[i] for i in self.subject), key=lambda row: row["indirect effect"]), at[-1]
        words = prose("".join(self.tokens[i] for i in self.subject))
        whole = f"p({prose(self.answer)}) falls from {decimals(self.clean)} to {decimals(float(self.noisy.mean()))}"
        between = f" ({decimals(self.total.low)} to {decimals(self.total.high)})" if len(self.noisy) > 1 else ""
        around = f" (window of {self.window})" if self.window > 1 else ""
        return (
            f"With noise on {words!r}, {whole}: a total effect of {decimals(self.total.mean)}{between} over "
            f"{counted(len(self.noisy), 'draw')}. Of {KINDS[self.over].label}{around}, what gives back most on the subject is "
            f"layer {top['best layer']} at {prose(top['token'])!r}: {decimals(top['indirect effect'])}; at the end layer "
            f"{last['best layer']}: {decimals(last['indirect effect'])}."
        )
