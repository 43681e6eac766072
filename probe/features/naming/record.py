"""Labels that rules gave units, as a record: what fits, how well it predicts firing on other text, and where no label fits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, figures

NO_LABEL = "no label fits"
GOOD = 0.8
"""AUROC from which a label is called good: it holds at most firings, and hardly elsewhere."""
RULE_WORDS = {
    "pmi": "pool, by PMI",
    "tokens": "tokens it fires at or after",
    "inputs": "tokens it reads, by weights",
    "promoted": "tokens it promotes",
}
HOW = (
    "AUROC is the chance that a label holds at a token where the unit fires and not at one where it is silent, ties half, on "
    "text that no label was made from; low and high hold 99%. A label fits where low is above what labels of other units reach, "
    "and AUROC is large enough. Of those that fit, a unit is called by the one that was best on the text they were made from."
)


@dataclass(frozen=True, kw_only=True)
class UnitLabels(Record, figure=True):
    """units: their numbers in the table. firings: of each, on the text that scores. texts: of each rule, what it calls each unit
    ("" nothing). learned: AUROC on the text that proposes; auroc, low, high: on the other. null: of each rule, the mean AUROC of
    labels dealt among the units; shuffled: the same of each unit's first choice, by shuffle. least: AUROC below which none fits.
    candidates: in the pool. tokens: that propose, that score. rare: units that fire too rarely. left_out: rules that say nothing
    of this table, and why. of: the dictionary of latents. written: labels put
    beside the table."""

    table: str
    units: Int[np.ndarray, " unit"]
    names: list[str]
    firings: Int[np.ndarray, " unit"]
    rules: list[str]
    texts: dict[str, list[str]]
    learned: Float[np.ndarray, "rule unit"]
    auroc: Float[np.ndarray, "rule unit"]
    low: Float[np.ndarray, "rule unit"]
    high: Float[np.ndarray, "rule unit"]
    null: Float[np.ndarray, " rule"]
    shuffled: Float[np.ndarray, "shuffle some"]
    least: float
    candidates: int
    tokens: list[int]
    rare: int
    left_out: dict[str, str]
    of: str = ""
    written: int = 0

    @property
    def fits(self) -> Bool[np.ndarray, "rule unit"]:
        """Whether a rule's label of a unit is surely better than another unit's, and good enough."""
        chance = np.fmax(np.nan_to_num(self.null, nan=0.5), 0.5)[:, None]
        return (np.nan_to_num(self.low, nan=0) > chance) & (np.nan_to_num(self.auroc, nan=0) >= self.least)

    @property
    def chosen(self) -> Int[np.ndarray, " unit"]:
        """The rule whose label each unit is called by, -1 where none fits."""
        if not len(self.rules):
            return np.full(len(self.units), -1)
        score = np.where(self.fits, self.learned, -np.inf)
        best = score.argmax(0)
        return np.where(self.fits.any(0), best, -1)

    @property
    def score(self) -> Float[np.ndarray, " unit"]:
        """The AUROC of the label that a unit is called by, NaN where none fits."""
        return np.where(self.chosen >= 0, self.auroc[self.chosen, np.arange(len(self.units))], np.nan)

    def rows(self) -> list[dict[str, Any]]:
        """A row a unit, the best label first; where none fits, that."""
        chosen, score = self.chosen, self.score
        order = np.argsort(-np.nan_to_num(score, nan=0), kind="stable")
        return [self._row(int(i), int(chosen[i])) for i in order]

    def _row(self, i: int, rule: int) -> dict[str, Any]:
        there = rule >= 0
        numbers = {name: float(getattr(self, name)[rule, i]) if there else None for name in ("auroc", "low", "high")}
        return {
            "unit": self.names[i],
            **({"of": self.of} if self.of else {}),
            "label": self.texts[self.rules[rule]][i] if there else NO_LABEL,
            "by": RULE_WORDS[self.rules[rule]] if there else "",
            "AUROC": numbers["auroc"],
            "low": numbers["low"],
            "high": numbers["high"],
            "firings": int(self.firings[i]),
        }

    def every_row(self) -> list[dict[str, Any]]:
        """A row a unit and rule: what each said, whether it fits."""
        fits = self.fits
        return [
            {**self._row(i, r), "on its own text": float(self.learned[r, i]), "fits": bool(fits[r, i])}
            for i in range(len(self.units))
            for r, rule in enumerate(self.rules)
            if self.texts[rule][i]
        ]

    def rule_rows(self) -> list[dict[str, Any]]:
        """A row a rule: how many of its labels fit, how good they are, and what shuffled ones reach."""
        fits, found = self.fits, []
        for r, rule in enumerate(self.rules):
            known = self.auroc[r][np.isfinite(self.auroc[r])]
            row = {"rule": RULE_WORDS[rule], "labels": len(known), "fit": int(fits[r].sum())}
            row |= {"median AUROC": float(np.median(known)) if len(known) else None, "good": int((known >= GOOD).sum())}
            found.append({**row, "shuffled among units": None if np.isnan(self.null[r]) else float(self.null[r])})
        return found

    @property
    def null_mean(self) -> float:
        """The mean AUROC of first choices dealt among the units; NaN where there are fewer than two."""
        return float(self.shuffled.mean()) if self.shuffled.size else float("nan")

    def panels(self) -> list[Panel]:
        """Units with their labels; how scores lie beside shuffled ones; the rules; sentences."""
        left_out = [Sentence(f"{RULE_WORDS[rule]}: left out, {why}.") for rule, why in self.left_out.items()]
        meanings = {"firings": "at how many tokens of the text that scores the unit fires"}
        return [
            Sentence(self.summary()),
            Figure("Scores of labels on text they were not made from, and of labels of other units", self.figure),
            Rows("Units and their labels", self.rows(), kinds={"unit": "name"}, meanings=meanings),
            Rows("What each rule said", self.rule_rows(), meanings={"good": f"labels with an AUROC of {GOOD} or more"}),
            Sentence(self.on_what()),
            Sentence(HOW),
            *left_out,
        ]

    def summary(self) -> str:
        """How many units have a label, how good labels are, what shuffled ones reach."""
        fit, score = int((self.chosen >= 0).sum()), self.score
        good = int((np.nan_to_num(score, nan=0) >= GOOD).sum())
        said = f"{fit:,} of {counted(len(self.units), 'unit')} of {self.table[:60]} have a label that fits"
        middle = (
            f", {good:,} with an AUROC of at least {GOOD}; the middle one {figures(float(np.nanmedian(score)))}"
            if fit
            else ""
        )
        return f"{said}{middle}. Labels shuffled among units: {figures(self.null_mean)}. No label fits {len(self.units) - fit:,}."

    def on_what(self) -> str:
        """On how much text, and what became of the labels."""
        rare = f" {counted(self.rare, 'unit')} fired too rarely to be looked at." if self.rare else ""
        pool = f"{counted(self.candidates, 'candidate')} in the pool; " if self.candidates else ""
        kept = (
            f" {counted(self.written, 'label')} stand beside the table, each with its rule as author."
            if self.written
            else ""
        )
        return f"{pool}proposed on {self.tokens[0]:,} tokens, scored on {self.tokens[1]:,} others.{rare}{kept}"
