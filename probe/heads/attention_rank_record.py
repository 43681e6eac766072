"""Ranks of attention maps beside the cost of skipping (`probe.heads.attention_rank`), as a record: tables, panels, sentences.

Whether ranks say what a layer costs is told by rank correlations, each with its interval and with what random orders give, and
depth alone among them.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from probe.heads.margins import mean_of_known
from probe.heads.skipping import COSTS, SKIPPED
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import RankCorrelation
from probe.words import figures, signed

_PREDICTORS = {"arank": "ARank", "effective": "effective rank", "depth": "earlier first"}


GOOD = (
    "ARank marks layers to skip where its correlation with the cost is clearly above what random orders give, and above "
    "'earlier first': in most models the first layers cost most, whatever their rank. One prompt of few tokens says little: "
    "ranks end at tokens − 1."
)


@dataclass(frozen=True, kw_only=True)
class AttentionRank(Record, figure=True):
    """layers: those that were asked about. rank: by layer and head, NaN where a layer has no attention; effective likewise.
    cost: by what was skipped (`attention`, `block`) and by KL, loss, logit, one number a layer. target: the token whose logit is
    asked about. correlations: of each predictor (arank, effective, depth) with the KL of each skip, `arank attention`."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    target: str
    tolerance: float
    layers: list[int]
    rank: Float[np.ndarray, "layer head"]
    effective: Float[np.ndarray, "layer head"]
    cost: dict[str, dict[str, Float[np.ndarray, " layer"]]]
    correlations: dict[str, RankCorrelation]

    @property
    def arank(self) -> Float[np.ndarray, " layer"]:
        """The mean over heads."""
        return mean_of_known(self.rank, 1)

    def rows(self) -> list[dict[str, Any]]:
        """One row a layer: both ranks, and the cost of skipping its attention and all of it."""
        effective = mean_of_known(self.effective, 1)
        named = {"KL": "KL", "loss": "loss", "logit": "logit change"}
        return [
            {
                "layer": layer,
                "ARank": float(self.arank[i]),
                "effective rank": float(effective[i]),
                **{
                    f"{named[cost]} without {what}": float(self.cost[what][cost][i])
                    for what in SKIPPED
                    for cost in COSTS
                },
            }
            for i, layer in enumerate(self.layers)
        ]

    def correlation_rows(self) -> list[dict[str, Any]]:
        """Rank correlations with the KL of skipping: with interval, with what chance gives."""
        return [
            {
                "ranked by": _PREDICTORS[by],
                "skipped": what,
                "Spearman": found.rho,
                "low": found.low,
                "high": found.high,
                "chance low": found.chance_low,
                "chance high": found.chance_high,
                "p": found.p,
                "layers": found.n,
            }
            for name, found in self.correlations.items()
            for by, what in [name.split()]
        ]

    def panels(self) -> list[Panel]:
        """Rank and cost by layer and against each other; the tables; sentences."""
        return [
            Figure("Attention rank and the cost of skipping, by layer", self.figure),
            Figure("Cost against rank, a point a layer", partial(self.figure, "against")),
            Figure("Rank of each head", partial(self.figure, "heads")),
            Rows("Layers", self.rows()),
            Rows(
                "Does rank say what a layer costs? Rank correlation with the KL of skipping it", self.correlation_rows()
            ),
            Sentence(self.summary()),
            Sentence(self.verdict()),
            Sentence(GOOD),
        ]

    def summary(self) -> str:
        """One sentence: how ranks differ, and whether they go with the cost."""
        known = np.flatnonzero(np.isfinite(self.arank))
        low, high = (self.layers[known[int(f(self.arank[known]))]] for f in (np.argmin, np.argmax))
        found, least, most = self.correlations["arank attention"], np.nanmin(self.arank), np.nanmax(self.arank)
        span = f"from {figures(least)} (layer {low}) to {figures(most)} (layer {high})"
        said = span if least < most else f"is {figures(least)} in every layer"
        return f"ARank of {len(self.tokens)} tokens {said}; Spearman with the KL of skipping attention {_told(found)}."

    def verdict(self) -> str:
        """Whether ARank says what skipping costs, beside the effective rank and depth."""
        about = {name.split()[0]: found for name, found in self.correlations.items() if name.endswith("attention")}
        said = [f"{_PREDICTORS[name]} {_told(found)}" for name, found in about.items()]
        costs = self.cost["attention"]
        known = [i for i, kl in enumerate(costs["KL"]) if np.isfinite(kl)]
        ends = ""
        if known:
            worst, best = (f(known, key=lambda i: costs["KL"][i]) for f in (max, min))
            ends = (
                f" Dearest without attention is layer {self.layers[worst]} (KL {figures(costs['KL'][worst])} nats, loss "
                f"{signed(costs['loss'][worst])}), cheapest layer {self.layers[best]} (KL {figures(costs['KL'][best])})."
            )
        return (
            f"Rank correlations with the KL of skipping attention: {'; '.join(said)}.{ends} "
            f"A singular value counts above {self.tolerance:.2g} of the largest."
        )


def _told(found: RankCorrelation) -> str:
    """`−0.41 (−0.7 to 0.02; chance −0.36 to 0.36, p = 0.03)`."""
    if np.isnan(found.rho):
        return "unknown (all equal, or too few layers)"
    span = f"{figures(found.low, 2)} to {figures(found.high, 2)}"
    chance = f"chance {figures(found.chance_low, 2)} to {figures(found.chance_high, 2)}"
    return f"{signed(found.rho, 2)} ({span}; {chance}, p = {figures(found.p, 2)})"
