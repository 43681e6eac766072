"""What a test says, question by question and measure by measure; one number never answers for another.

    moves it           the change is at least `SMALLEST` of the measure's scale (a hundredth: of the root's value or of 1, the
                       larger; of probability; of a nat)
    more than random   at most `CHANCE` of random subgraphs of as many nodes of the same kinds and layers move it as far. Fewer
                       than `FEWEST` of them cannot tell: p is never below 1 / (1 + n)
    enough alone       with every other unit silenced, the root is what it was to within 1 - `ENOUGH`: a share of 0.8 to 1.2. A
                       set that overshoots is no explanation of the value either

A logit can move no further than others do while its probability collapses (all logits fall together), so a "no" by one measure
says nothing of the next.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from probe.artifacts.json import plain
from probe.show.record import Record
from probe.words import figures

if TYPE_CHECKING:
    from circuits.faithfulness.sufficiency import Sufficiency
    from circuits.validation.records import SubgraphTest

SMALLEST, CHANCE, ENOUGH = 0.01, 0.05, 0.8
FEWEST = 19
"""Random subgraphs that p = 0.05 takes."""
MEASURES = {"logit": "change of the top root", "probability": "change of its probability", "kl": "KL (nats)"}
"""What can be moved, and how it is called."""
YES, NO, UNTOLD = "yes", "no", "cannot be told"


@dataclass(frozen=True)
class Verdict(Record):
    """One question by one measure. value: what was measured; random: the mean of n random subgraphs; p: the share of them that
    does as much (NaN without any); answer: yes, no, or `cannot be told`."""

    question: str
    measure: str
    value: float
    random: float
    p: float
    n: int
    answer: str

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return plain(asdict(self))

    def summary(self) -> str:
        """`more than random by KL (nats): yes (p = 0.048, n = 20)`."""
        known = f"p = {figures(self.p, 2)}, n = {self.n}" if self.n and not np.isnan(self.p) else figures(self.value)
        return f"{self.question} by {self.measure}: {self.answer} ({known})"


def moved_verdicts(test: "SubgraphTest") -> list[Verdict]:
    """Does it move the prediction, and more than random subgraphs do, by each measure."""
    n = len(test.first.random)
    drawn = {c.measure: c for c in test.comparisons}
    moves, more = [], []
    for name, words in MEASURES.items():
        own = [getattr(t.effect, name) for t in test.prompts]
        value = float(np.nanmean(own)) if np.isfinite(own).any() else np.nan
        if np.isnan(value):
            continue  # a direction has no probability
        answer = YES if abs(value) >= SMALLEST * _scale(test, name) else NO
        moves.append(Verdict("moves it", words, value, np.nan, np.nan, 0, answer))
        found = drawn.get(words)
        mean, p = (found.random.mean, found.p) if found else (np.nan, np.nan)
        more.append(Verdict("more than random", words, value, mean, p, n if found else 0, _by_chance(p, n)))
    return [*moves, *more]


def enough_verdicts(found: "Sufficiency") -> list[Verdict]:
    """Is it enough alone, by each root; p is the share of random subgraphs that come as near to the whole."""
    verdicts = []
    for root in found.roots:
        random = np.array([r for r in root.random if not np.isnan(r)])
        unknown = np.isnan(root.share)
        off, others = abs(root.share - 1), np.abs(random - 1)
        p = np.nan if unknown or not len(random) else float((1 + (others <= off).sum()) / (1 + len(random)))
        answer = UNTOLD if unknown else YES if off <= 1 - ENOUGH + 1e-9 else NO
        mean = float(random.mean()) if len(random) else np.nan
        verdicts.append(Verdict("enough alone", f"share left of {root.root}", root.share, mean, p, len(random), answer))
    return verdicts


def chance_words(verdicts: Sequence[Verdict]) -> str:
    """`more than chance by every measure`, `by KL, not by the logit`, or why it cannot be told: all measures in one clause."""
    asked = [v for v in verdicts if v.question == "more than random"]
    sides = {answer: [v.measure for v in asked if v.answer == answer] for answer in (YES, NO, UNTOLD)}
    if not asked or not any(v.n for v in asked):
        return "no random subgraphs were run, so nothing says whether any other nodes would do as much"
    if sides[UNTOLD] and not sides[YES]:
        return f"too few random subgraphs to tell ({FEWEST} are needed for p = {CHANCE})"
    if not sides[NO] and not sides[UNTOLD]:
        small = [v.measure for v in verdicts if v.question == "moves it" and v.answer == NO]
        least = f", though little by {' and '.join(small)}" if small else ": these nodes matter"
        return f"more than chance by every measure{least}"
    if not sides[YES]:
        return "no more than chance by any measure: nothing here says that these nodes matter more than others"
    return f"more than chance by {' and '.join(sides[YES])}, not by {' and '.join(sides[NO] or sides[UNTOLD])}"


def _by_chance(p: float, n: int) -> str:
    if np.isnan(p) or (p > CHANCE and n < FEWEST):
        return UNTOLD
    return YES if p <= CHANCE else NO


def _scale(test: "SubgraphTest", name: str) -> float:
    """What a hundredth is of: the top root's value for the logit, 1 for the others."""
    if name != "logit" or not test.first.roots:
        return 1.0
    return max(abs(max(test.first.roots, key=lambda r: r.probability or 0.0).value), 1.0)


def verdict_rows(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Verdicts for a table."""
    return [
        {
            "question": v.question,
            "by": v.measure,
            "answer": v.answer,
            "measured": v.value,
            "random": v.random if v.n else None,
            "p": v.p if v.n else None,
            "n": v.n or None,
        }
        for v in verdicts
    ]
