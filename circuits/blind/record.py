"""What is said in a blind study: the hypothesis, the verdict, and the text beside them. And its evidence as tables."""

from dataclasses import asdict, dataclass
from typing import Any

from probe.show.html import shown
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record

GRADES = ("right", "partly", "wrong")
TABLES = list[tuple[str, list[dict[str, Any]]]]


@dataclass(frozen=True)
class Hypothesis(Record):
    """What was guessed, and when (UTC). evidence: SHA-256 of the evidence it was made from."""

    text: str
    time: str
    evidence: str


@dataclass(frozen=True)
class Verdict:
    """How a hypothesis fared, said after the text was seen."""

    grade: str
    note: str
    time: str


@dataclass(frozen=True)
class Revealed(Record):
    """The hypothesis beside what the unit fires at: its strongest examples (the peak in brackets), and the tokens it is strongest
    at on average."""

    unit: str
    hypothesis: Hypothesis
    examples: list[dict[str, Any]]
    measured: list[tuple[str, float]]
    verdict: Verdict | None

    def rows(self) -> list[dict[str, Any]]:
        """One row per example."""
        return self.examples

    def panels(self) -> list[Panel]:
        """What was said, and what the unit fires at."""
        said = f"{self.unit} was said, at {self.hypothesis.time}, to do this: {self.hypothesis.text}"
        fires = [{"fires at": shown(token), "mean activation": value} for token, value in self.measured]
        tables = {"Its strongest examples, the peak in brackets": self.examples, "Tokens by mean activation": fires}
        return [*(Rows(title, rows) for title, rows in tables.items() if rows), Sentence(said)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def weights_tables(weights: dict[str, Any]) -> TABLES:
    """What weights alone say of the unit."""
    found: TABLES = [("By weights: tokens it promotes and suppresses", _ends([weights["promotes"]]))]
    if weights.get("reads"):
        found.append(("By weights: tokens that excite and quiet it", _ends(weights["reads"])))
        found.append(("By weights: strongest connections from earlier units", weights["connections"]))
        for source, words in weights["sources"].items():
            found.append((f"By weights: {source}", _ends([*words["reads"], words["promotes"]])))
    return found


def _ends(rankings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for r in rankings:
        said = {"reader": " ".join([r["reader"], *r["through"]])}
        ends = {n: " ".join(shown(token) for token, _ in r[n]) for n in ("highest", "lowest")}
        rows.append({**said, **ends, "best score": r["highest"][0][1], "spread": r["spread"]})
    return rows


def firing(circuit: dict[str, Any]) -> list[dict[str, Any]]:
    """The positions where it fires most, tokens as numbers."""
    pairs = list(enumerate(zip(circuit["tokens"], circuit["activations"], strict=True)))
    best = sorted(pairs, key=lambda pair: -pair[1][1])[:8]
    return [{"position": i, "token": label, "activation": value} for i, (label, value) in sorted(best)]
