"""The two prompts of a sweep as records: what `read_pair` finds and a stored sweep keeps. No torch."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from circuits.patching.kinds import METRIC_LABELS, METRICS
from probe.artifacts.manifest import ModelStamp
from probe.errors import BadInput
from probe.show.panels import Aligned, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted, figures

SAYS: dict[str, Literal["token", "share"]] = {
    "clean run says": "token",
    "p": "share",
    "corrupted run says": "token",
    "q": "share",
}


@dataclass(frozen=True)
class Side(Record):
    """One prompt: its tokens, its likeliest next tokens with probabilities, the answers' probabilities, and the metric."""

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    top: list[tuple[str, float]]
    answer_probs: list[float]
    value: float


@dataclass(frozen=True)
class Pair(Record, page=True):
    """answers: names of the right and the wrong token (of the right one alone for `log_prob`, none for `kl`). differs: positions
    whose tokens are not the same. problem: why nothing can be patched, or "". note: something worth knowing, or ""."""

    model: ModelStamp
    clean: Side
    corrupted: Side
    metric: str
    answers: list[str]
    answer_ids: list[int]
    answers_given: bool
    differs: list[int]
    problem: str = ""
    note: str = ""

    @property
    def measured(self) -> str:
        """The metric in words; one of the caller's own by its name."""
        return METRIC_LABELS.get(self.metric, self.metric)

    def require(self) -> "Pair":
        """Itself, or BadInput with the problem."""
        if self.problem:
            raise BadInput(self.problem)
        return self

    def rows(self) -> list[dict[str, Any]]:
        """The two runs, for a table."""
        found = []
        for name, side in (("clean", self.clean), ("corrupted", self.corrupted)):
            likely = {f"p({t!r})": p for t, p in zip(self.answers, side.answer_probs, strict=False)}
            found.append({"run": name, "tokens": len(side.tokens), self.metric: side.value, **likely})
        return found

    def predictions(self) -> list[Panel]:
        """What each run finds likeliest next, side by side."""
        rows = [
            {"clean run says": a, "p": p, "corrupted run says": b, "q": q}
            for (a, p), (b, q) in zip(self.clean.top[:4], self.corrupted.top[:4], strict=False)
        ]
        return [Rows("Likeliest next tokens of both runs", rows, kinds=SAYS)]

    def aligned(self) -> Aligned:
        """Both prompts, position over position."""
        sides = self.clean.tokens, self.corrupted.tokens
        n, m = map(len, sides)
        columns = [(i if i < n else None, i if i < m else None) for i in range(max(n, m))]
        none = [math.nan] * max(n, m)
        where = f"Clean above corrupted: other tokens at {counted(len(self.differs), 'position')}"
        return Aligned(where, sides, columns, (none[:n], none[:m]), "", none)

    def panels(self) -> list[Panel]:
        """Both prompts token by token; where they fit, the metric in both runs and what each predicts."""
        said: list[Panel] = [Sentence(self.summary()), self.aligned()]
        if self.problem:
            return [*said, *self.predictions()]
        note: list[Panel] = [Sentence(self.note)] if self.note else []
        return [
            *said,
            *note,
            Rows(f"{METRICS.get(self.metric, self.metric)}, in both runs", self.rows()),
            *self.predictions(),
        ]

    def summary(self) -> str:
        """One sentence: why nothing can be patched, or the two prompts and how far apart they are."""
        if self.problem:
            return self.problem
        return (
            f"{quoted(self.clean.prompt)} (clean) and {quoted(self.corrupted.prompt)} (corrupted): {self.measured} "
            f"{figures(self.clean.value, 4)} and {figures(self.corrupted.value, 4)}; they "
            f"differ at {counted(len(self.differs), 'position')}."
        )
