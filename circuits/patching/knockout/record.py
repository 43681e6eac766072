"""What attention knockouts found: how much of the answer's probability is left, by layer and blocked positions."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, decimals, percent, prose

MEANINGS = {
    "change": "Relative change of the answer's probability: −100 % is all of it lost.",
    "random": "The same, mean over as many random positions blocked in the same layers.",
}


@dataclass(frozen=True)
class Blocked(Record):
    """Positions that were out of reach together, and what they are called."""

    name: str
    positions: list[int]


@dataclass(frozen=True, kw_only=True)
class KnockoutCurves(Record, figure=True):
    """Attention from `readers` to each of `sources` blocked in windows of layers. probability: of the answer, by source and
    layer in the middle of the window; random: the same with as many random positions blocked, NaN where too few are left;
    clean: without."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    answer: str
    readers: list[int]
    sources: list[Blocked]
    layers: list[int]
    window: int
    clean: float
    probability: Float[np.ndarray, "source layer"]
    random: Float[np.ndarray, "source draw layer"]
    convention: dict[str, Any] = field(default_factory=dict)

    @property
    def change(self) -> Float[np.ndarray, "source layer"]:
        """Relative change of the answer's probability: -1 is all of it lost."""
        return self.probability / self.clean - 1

    @property
    def random_change(self) -> Float[np.ndarray, "source draw layer"]:
        """The same with random positions blocked."""
        return self.random / self.clean - 1

    def rows(self) -> list[dict[str, Any]]:
        """One row a source and layer."""
        found = []
        for s, source in enumerate(self.sources):
            for i, layer in enumerate(self.layers):
                drawn = self.random_change[s, :, i]
                drawn = drawn[np.isfinite(drawn)]
                found.append(
                    {
                        "blocked": source.name,
                        "layer": layer,
                        "probability": float(self.probability[s, i]),
                        "change": float(self.change[s, i]),
                        "random": float(drawn.mean()) if len(drawn) else None,
                        "random least": float(drawn.min()) if len(drawn) else None,
                        "random most": float(drawn.max()) if len(drawn) else None,
                    }
                )
        return found

    def strongest(self) -> list[dict[str, Any]]:
        """One row a source: the window in which blocking it takes most, beside random positions there."""
        every = self.rows()
        n = len(self.layers)
        parts = [every[at : at + n] for at in range(0, len(every), n)]
        return sorted((min(part, key=lambda row: row["change"]) for part in parts), key=lambda row: row["change"])

    def panels(self) -> list[Panel]:
        """The sentence, the curves, where each source matters most, all windows."""
        shares: Any = dict.fromkeys(("change", "random", "random least", "random most"), "share")
        return [
            Sentence(self.summary()),
            Figure("Change of the answer's probability", self.figure),
            Rows("Where blocking takes most", self.strongest(), kinds=shares, meanings=MEANINGS),
            Rows("Every window", self.rows(), kinds=shares, meanings=MEANINGS),
        ]

    def summary(self) -> str:
        """One sentence: the strongest block, beside random positions."""
        top = self.strongest()[0]
        at = prose("".join(self.tokens[i] for i in self.readers))
        beside = "" if top["random"] is None else f"; as many random positions there: {percent(top['random'])}"
        around = f"{counted(self.window, 'layer')} around layer" if self.window > 1 else "layer"
        return (
            f"Attention from {at!r} to {prose(top['blocked'])!r} blocked in {around} {top['layer']} changes "
            f"p({prose(self.answer)}) = {decimals(self.clean)} by {percent(top['change'])}{beside}."
        )
