"""A blind study as a record: the evidence, then the hypothesis, then the verdict. The text is in another record, `Revealed`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probe.show.html import shown, table_html
from probe.show.record import Record, Table, quoted

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
class Study(Table):
    """One unit, studied without its text. evidence: `weights`, `circuits`, `statistics` (see `blind_evidence`)."""

    folder: Path
    unit: str
    model: str
    evidence: dict[str, Any]
    hypothesis: Hypothesis | None
    revealed: str | None
    verdict: Verdict | None

    @property
    def name(self) -> str:
        """The name under which it is stored."""
        return self.folder.name

    @property
    def next_step(self) -> str:
        """What to do now."""
        if self.hypothesis is None:
            return (
                f"Say what makes {self.unit} fire: study.guess(...), or `openwork blind guess {self.name} --text ...`"
            )
        if self.revealed is None:
            return f"Look: study.reveal(), or `openwork blind reveal {self.name}`"
        if self.verdict is None:
            return f"Judge: study.judge(...), or `openwork blind verdict {self.name} --grade {'|'.join(GRADES)}`"
        return "Finished."

    def rows(self) -> list[dict[str, Any]]:
        """The statistics and where the study stands."""
        numbers = self.evidence["statistics"]
        kept = {n: numbers[n] for n in ("fired", "n_tokens", "density", "mean_active", "max")}
        guess = self.hypothesis.text if self.hypothesis else ""
        judged = self.verdict.grade if self.verdict else ""
        return [{"unit": self.unit, **kept, "hypothesis": guess, "verdict": judged}]

    def tables(self) -> TABLES:
        """All evidence as titled tables, in the order to read it: statistics, weights, circuits."""
        found: TABLES = [("Statistics", self.rows())]
        found += _weights_tables(self.evidence["weights"])
        for i, circuit in enumerate(self.evidence["circuits"]):
            found.append((f"Hidden prompt {i + 1}: where it fires", _firing(circuit)))
            found.append((f"Hidden prompt {i + 1}: strongest paths at the peak", circuit["tree"]))
        return found

    def guess(self, text: str) -> "Study":
        """Record the hypothesis, once. Returns the study with it."""
        from circuits.blind.study import guess

        return guess(self.folder, text)

    def reveal(self) -> "Revealed":
        """The text, next to the hypothesis. BadInput before there is one."""
        from circuits.blind.study import reveal

        return reveal(self.folder)

    def judge(self, grade: str, note: str = "") -> "Study":
        """Record how the hypothesis fared: `right`, `partly` or `wrong`."""
        from circuits.blind.study import judge

        return judge(self.folder, grade, note)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; nothing in it is text of an example."""
        said = {n: None if (v := getattr(self, n)) is None else asdict(v) for n in ("hypothesis", "verdict")}
        about = {"name": self.name, "unit": self.unit, "model": self.model, "next_step": self.next_step}
        return {**about, "evidence": self.evidence, **said, "revealed": self.revealed}

    def figure(self) -> Any:
        """Histogram of the unit's activations."""
        from circuits.blind.figures import study_figure

        return study_figure(self)

    def _repr_html_(self) -> str:
        blocks = [table_html(rows, title) for title, rows in self.tables()]
        return "".join([*blocks, table_html([], self.next_step)])


def _weights_tables(weights: dict[str, Any]) -> TABLES:
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


def _firing(circuit: dict[str, Any]) -> list[dict[str, Any]]:
    """The positions where it fires most, tokens as numbers."""
    pairs = list(enumerate(zip(circuit["tokens"], circuit["activations"], strict=True)))
    best = sorted(pairs, key=lambda pair: -pair[1][1])[:8]
    return [{"position": i, "token": label, "activation": value} for i, (label, value) in sorted(best)]


@dataclass(frozen=True)
class Revealed(Table):
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

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        title = (
            f"{self.unit}: guessed {quoted(self.hypothesis.text)} at {self.hypothesis.time}; its strongest examples are"
        )
        fires = [{"fires at": shown(token), "mean activation": value} for token, value in self.measured]
        return table_html(self.examples, title) + table_html(fires, "Tokens by mean activation")
