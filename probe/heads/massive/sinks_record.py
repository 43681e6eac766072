"""What is found of massive activations and sinks (`probe.heads.massive.sinks`), as a record: its tables, panels and sentences.

A removal stands beside its controls: p is the share of random draws that do at least as much, itself counted.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from probe.heads.margins import mean_of_known
from probe.show.panels import Figure, Panel, Rows, Sentence, Tokens
from probe.show.record import Record
from probe.show.values import quoted
from probe.statistics import share_as_large, spread
from probe.words import counted, figures, percent, signed


@dataclass(frozen=True, kw_only=True)
class Activation:
    """One dimension at one token, over all layers: where its size is at least `ratio` times the median (first to last; of one
    that never is, where it is largest), its value and how many times the median there, at its largest."""

    pos: int
    token: str
    dim: int
    first: int
    last: int
    value: float
    times: float
    massive: bool


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What one change of the stream does: KL and rise of the loss, nats; of a control the mean of its draws, which stand beside
    it. Of a removal there is one draw."""

    name: str
    kl: float
    loss: float
    kl_draws: Float[np.ndarray, " draw"]
    loss_draws: Float[np.ndarray, " draw"]


@dataclass(frozen=True, kw_only=True)
class Sinks(Record, figure=True):
    """Streams are the embedding (0) and what each layer leaves (1, 2, ...); layers are numbered as in the model.

    times: largest activation of each token, over the median of its layer's stream (`median`). found: the largest ones and all
    that are massive. phi: see above, by stream; NaN without sink dimensions. sinks: positions; sink_layers: how many layers a
    token's state enters as a sink. received: mean attention by layer and key; mass: paid to sinks by layer and head, even:
    what even attention would pay; NaN where a layer has no attention or no sink. removals: to 0, to the mean; controls: random
    dimensions to 0, and moved as far. Both are empty where nothing is massive.
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    ratio: float
    tau: float
    times: Float[np.ndarray, "stream pos"]
    median: Float[np.ndarray, " stream"]
    found: list[Activation]
    dims: list[int]
    phi: Float[np.ndarray, "stream pos"]
    sinks: list[int]
    sink_layers: Int[np.ndarray, " pos"]
    received: Float[np.ndarray, "layer pos"]
    mass: Float[np.ndarray, "layer head"]
    even: Float[np.ndarray, " layer"]
    removals: list[Removal]
    controls: list[Removal]

    @property
    def massive(self) -> list[Activation]:
        """The massive ones, largest first."""
        return [one for one in self.found if one.massive]

    def rows(self) -> list[dict[str, Any]]:
        """The largest activations, one row each; which of them are massive."""
        return [
            {
                "token": one.token,
                "position": one.pos,
                "dimension": one.dim,
                "layers": _span(one.first, one.last),
                "value": one.value,
                "times the median": one.times,
                "massive": "yes" if one.massive else "no",
            }
            for one in self.found
        ]

    def removal_rows(self) -> list[dict[str, Any]]:
        """Each removal and each control: KL and rise of the loss, of controls their mean and the range of 95% of the draws. p:
        the share of draws that do at least as much as setting the massive ones to 0, itself counted."""
        rows = []
        for i, one in enumerate([*self.removals, *self.controls]):
            control = i >= len(self.removals)
            kl = spread(one.kl_draws)
            rows.append(
                {
                    "change": one.name,
                    "KL": one.kl,
                    "KL low": kl.low if control else None,
                    "KL high": kl.high if control else None,
                    "loss": one.loss,
                    "p": share_as_large(self.removals[0].kl, one.kl_draws) if control else None,
                }
            )
        return rows

    def token_rows(self) -> list[dict[str, Any]]:
        """One row a token: in how many layers its state is a sink's, how much attention it receives."""
        paid = mean_of_known(self.received, 0)
        return [
            {
                "token": t,
                "position": i,
                "sink in layers": int(self.sink_layers[i]),
                "attention received": float(paid[i]),
            }
            for i, t in enumerate(self.tokens)
        ]

    def panels(self) -> list[Panel]:
        """Where the stream is massive, where heads look, what removal does; tables; the attention that each token draws."""
        shown: list[Panel] = [Figure("Largest activation of each token, times the median", self.figure)]
        if np.isfinite(self.mass).any():
            shown.append(Figure("Attention that heads pay to the sinks", partial(self.figure, "attention")))
        if self.removals:
            shown.append(Figure("Removing the massive activations", partial(self.figure, "removal")))
        shown.append(Rows("Largest activations", self.rows()))
        if self.removals:
            shown.append(Rows("What removal does, beside random changes (nats)", self.removal_rows()))
        if np.isfinite(self.received).any():
            drawn = mean_of_known(self.received, 0)
            shown.append(Tokens("attention received, mean over layers and heads", self.tokens, drawn.tolist()))
        return [*shown, Sentence(self.summary()), Sentence(self.verdict()), Sentence(GOOD)]

    def summary(self) -> str:
        """One sentence: the largest activation, the sinks and their attention, what removal does against chance."""
        top = self.found[0]
        where = f"dimension {top.dim} at {quoted(top.token, 12)}, {_times(top.times)} times the median"
        if not top.massive:
            return f"No activation is {self.ratio:g} times the median of its layer; the largest is {where} ({_at(top.first)})."
        paid, fair = (
            float(np.nanmean(self.mass)) if np.isfinite(self.mass).any() else np.nan,
            mean_of_known(self.even, 0),
        )
        drawn = f" drawing {percent(paid)} of attention (even: {percent(float(fair))})" if np.isfinite(paid) else ""
        chance = self.controls[1]
        return (
            f"{counted(len(self.massive), 'massive activation')}, the largest {where}; "
            f"{counted(len(self.sinks), 'sink')}{drawn}. "
            f"Set to 0: KL {figures(self.removals[0].kl)}, random as large {figures(chance.kl)} nats."
        )

    def verdict(self) -> str:
        """Whether removal does more than chance."""
        if not self.removals:
            return f"Nothing was removed: ask with a smaller ratio than {self.ratio:g} to see what the largest activations do."
        zero, mean = self.removals
        said = [
            f"{one.name} {figures(one.kl)} (95% of {len(one.kl_draws)} draws: {figures(s.low)} to {figures(s.high)}, "
            f"p = {figures(share_as_large(zero.kl, one.kl_draws), 2)})"
            for one in self.controls
            for s in [spread(one.kl_draws)]
        ]
        return (
            f"Set to 0 the massive activations move the prediction by KL {figures(zero.kl)} nats and the loss by "
            f"{signed(zero.loss)}; set to the mean of their dimension, by {figures(mean.kl)} and {signed(mean.loss)}. "
            f"Controls at the same layer and token: {'; '.join(said)}."
        )


GOOD = (
    "A removal matters if it lies far beyond both controls; p is the share of random draws that do at least as much as setting "
    "to 0, itself counted, so that with 20 draws it cannot be below 0.048. Attention to sinks is a finding where it exceeds what "
    "even attention would pay."
)


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else figures(value)


def _at(layer: int) -> str:
    return "the embedding" if layer < 0 else f"layer {layer}"


def _span(first: int, last: int) -> str:
    names = ["embed" if i < 0 else str(i) for i in (first, last)]
    return names[0] if first == last else f"{names[0]} to {names[1]}"
