"""What a study found: of every claim its number, interval, control and verdict, with the rule it was decided by."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from circuits.studies.claim import WORDS, Claim, Measured, Verdict
from circuits.studies.study import Lines, Table
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Outcome:
    """One claim, what was measured of it (None: nothing), and what that says."""

    claim: Claim
    measured: Measured | None
    verdict: Verdict

    def row(self) -> dict[str, Any]:
        """Its line of the table of verdicts."""
        found = self.measured
        interval, random = (found.interval, found.random) if found else (None, None)
        return {
            "claim": self.claim.sentence,
            "verdict": self.verdict.word,
            "number": interval.mean if interval else None,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "control": random.mean if random else None,
            "control low": random.low if random else None,
            "control high": random.high if random else None,
            "p": found.p if found else None,
            "p at least": found.p_least if found else None,
            "n": found.n if found else 0,
            "sets": len(found.draws) if found else 0,
            "seed": found.seed if found else 0,
            "why": self.verdict.why,
        }


@dataclass(frozen=True, kw_only=True)
class StudyResult(Record, figure=True):
    """A study of one model. quick: on few prompts, beside few control sets. tables, pictures: what its parts show beside the
    verdicts."""

    study: str
    title: str
    paper: str
    model: str
    quick: bool
    seed: int
    outcomes: list[Outcome]
    tables: list[Table]
    pictures: list[Lines]

    def summary(self) -> str:
        """One sentence: how many claims, and what is said of them."""
        said = Counter(o.verdict.word for o in self.outcomes)
        counts = ", ".join(f"{said[word]} {word if said[word] == 1 else _PLURAL[word]}" for word in WORDS if said[word])
        few = f"; so few control sets that no p falls below {self.p_least:.2g}" if self.quick else ""
        return f"{len(self.outcomes)} claims of {self.title}: {counts}{few}."

    @property
    def p_least(self) -> float:
        """The smallest p that its control sets allow; NaN where nothing was measured."""
        return min((o.measured.p_least for o in self.outcomes if o.measured), default=float("nan"))

    def outcome(self, claim: str) -> Outcome:
        """Of a claim by its name. KeyError for one that it has not."""
        return {o.claim.name: o for o in self.outcomes}[claim]

    def rows(self) -> list[dict[str, Any]]:
        """The table of verdicts."""
        return [o.row() for o in self.outcomes]

    def rule_rows(self) -> list[dict[str, Any]]:
        """What each claim says where, what its number is, and how its verdict follows."""
        return [
            {
                "claim": o.claim.name,
                "source": o.claim.source,
                "measure": o.claim.measure,
                "control": o.claim.control,
                "rule": o.claim.rule.words(),
            }
            for o in self.outcomes
        ]

    def panels(self) -> list[Panel]:
        """The verdicts, their picture, what each number is, and the tables of the parts."""
        return [
            Sentence(self.summary()),
            Rows("Verdicts", self.rows()),
            Figure("Each claim's number with its interval, beside its control", self.figure),
            Rows("What was measured, and the rules", self.rule_rows()),
            *(Figure(one.title, partial(lines_of, one)) for one in self.pictures),
            *(Rows(table.title, table.rows) for table in self.tables),
            Sentence(_HOW),
        ]

    def markdown(self) -> str:
        """The whole as a document."""
        from circuits.studies.document import markdown_of

        return markdown_of(self)


def lines_of(one: Lines) -> "go.Figure":
    """A part's picture drawn."""
    from circuits.studies.figures import lines_figure

    return lines_figure(one)


_PLURAL = {
    "holds": "hold",
    "holds in part": "hold in part",
    "does not hold": "do not hold",
    "cannot be told": "cannot be told",
}
_HOW = (
    "Numbers are so turned that more speaks for the claim. Intervals hold 95%, bootstrapped over what is counted as n; the "
    "control's range holds 95% of its sets. p: the share of all sets, the tested one among them, that reach at least as far. The "
    "rules stand in the study's file and are stored with the numbers."
)
