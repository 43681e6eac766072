"""One patch of a sweep looked into: how far it moves the metric, and what is predicted with it. No model, no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import decimals

if TYPE_CHECKING:
    from circuits.patching.record import Cell, PatchingSweep

LEAST = 5e-5
"""What is smaller is the rounding of float32, not an effect."""
SHARES: dict[str, Literal["token", "share"]] = {
    "token": "token",
    "patched": "share",
    "clean": "share",
    "corrupted": "share",
}


@dataclass(frozen=True, kw_only=True)
class PatchedCell(Record):
    """One patch. name: of the place; meaning: what was put in. effect: how far the normalised metric moved, to `value` from
    `start` (clean is 1, corrupted 0). raw, unpatched: the metric itself, with the patch and without. control, control_sd: mean
    and standard deviation of the effect over `donors` unrelated ones, NaN where there are none. run: whether it was run, or known
    to be the unpatched run. predicted: the likeliest next tokens with the patch, beside both runs."""

    name: str
    meaning: str
    measured: str
    effect: float
    start: float
    value: float
    raw: float
    unpatched: float
    control: float
    control_sd: float
    donors: int
    run: bool
    predicted: list[dict[str, Any]]

    def rows(self) -> list[dict[str, Any]]:
        """One row a token: its probability with the patch, and in both runs."""
        return self.predicted

    def facts(self) -> list[dict[str, Any]]:
        """What the patch does to the metric, and what unrelated donors do to it there."""
        moved = f"{decimals(self.start, 0)} → {decimals(self.value)} (clean is 1)"
        found = [
            {"what": "moves the metric by", "value": self.effect, "beside": moved},
            {"what": self.measured, "value": self.raw, "beside": f"{decimals(self.unpatched)} without the patch"},
        ]
        if self.donors:
            spread = f"± {decimals(self.control_sd)}, mean and standard deviation of {self.donors}"
            found.append({"what": "unrelated donors move it by", "value": self.control, "beside": spread})
        return found

    def panels(self) -> list[Panel]:
        """The sentence, what it does to the metric, what is predicted then."""
        return [
            Sentence(self.summary()),
            Rows("What this patch does to the metric", self.facts()),
            Rows(
                "Next tokens with this patch; empty where one was not among the likeliest of that run",
                self.predicted,
                kinds=SHARES,
            ),
        ]

    def summary(self) -> str:
        """One sentence."""
        if not self.run:
            return f"{self.name}: the same in both runs up to here, so not run."
        return f"{self.name} ({self.meaning}) moves the metric by {decimals(self.effect)}."


def looked_into(sweep: "PatchingSweep", cell: "Cell") -> PatchedCell:
    """Everything known of one patch."""
    at = sweep.require_cell(cell)
    mean, spread = sweep.control_effect, sweep.control_spread
    return PatchedCell(
        name=sweep.name(at),
        meaning=sweep.kind.meaning,
        measured=sweep.pair.measured,
        effect=effect_of(sweep.effect[at]),
        start=sweep.start,
        value=float(sweep.values[at]),
        raw=float(sweep.raw[at]),
        unpatched=sweep.base.value,
        control=float("nan") if mean is None else float(mean[at]),
        control_sd=float("nan") if spread is None else float(spread[at]),
        donors=0 if sweep.control is None else len(sweep.control.raw),
        run=bool(sweep.computed[at]),
        predicted=_predicted(sweep, at),
    )


def effect_of(value: "float | np.floating") -> float:
    """An effect as it is shown: 0 where it is rounding."""
    return 0.0 if abs(value) < LEAST else float(f"{value:.6g}")


def _predicted(sweep: "PatchingSweep", at: "Cell") -> list[dict[str, Any]]:
    """What is likeliest with this one patch, and the answers, beside both runs."""
    sides = {"clean": dict(sweep.pair.clean.top), "corrupted": dict(sweep.pair.corrupted.top)}
    for i, token in enumerate(sweep.pair.answers):
        for name, side in (("clean", sweep.pair.clean), ("corrupted", sweep.pair.corrupted)):
            sides[name][token] = side.answer_probs[i]
    likely = {c.token: c.patched for c in sweep.candidates(at)}
    likely |= dict(zip(sweep.pair.answers, (float(p) for p in sweep.answer_probs[at]), strict=True))
    return [
        {"token": token, "patched": p, "clean": sides["clean"].get(token), "corrupted": sides["corrupted"].get(token)}
        for token, p in sorted(likely.items(), key=lambda pair: -pair[1])
    ]
