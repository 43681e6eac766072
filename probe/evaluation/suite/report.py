"""The record of the suite: every number beside the same number of its baselines."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from probe.artifacts.json import plain
from probe.evaluation.report import without_bulky
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record

SUBJECTS = ("dictionary", "untrained", "activations", "affine map", "same budget", "random weights")
CONVENTION = {
    "dictionary": "the one that is judged",
    "untrained": "same widths, random directions, the k largest on, k being the dictionary's L0",
    "activations": "the dimensions of what the dictionary reads, as units; the probe of all of them under 'all units'",
    "affine map": "ridge regression of targets on inputs, on the training documents",
    "same budget": "same kind and shape, trained on a few tokens of this model",
    "random weights": "the same on a model with the entries of each weight tensor shuffled; compare it with 'same budget'",
    "fvu": "on held-out documents: of the cache, or for the last two of the few tokens",
    "probing": "share of right answers on addresses not trained on, classes balanced (chance 0.5), mean over tasks",
    "probing error": "of the mean over tasks, from the spread between seeds",
    "letter": "first letter of a word, read at its last token; test words",
    "left out": "SCR and TPP: an audit (arXiv 2605.18229) found them unreliable at their usual settings",
}


@dataclass(frozen=True, kw_only=True)
class SuiteReport(Record, figure=True, page=True, renamed={"summary": "measures"}):
    """How a dictionary compares. measures: rows of `measure` and a number for each subject (None where it makes no sense).

    probing: task, subject, k (0: all units), accuracy, error. letters: subject, letter, main latents, F1, absorption.
    """

    name: str
    kind: str
    site_in: str
    site_out: str
    measures: list[dict[str, Any]]
    probing: list[dict[str, Any]]
    letters: list[dict[str, Any]]
    tasks: dict[str, str]
    settings: dict[str, Any]
    seconds: float
    convention: dict[str, str] = field(default_factory=lambda: dict(CONVENTION))

    def in_lists(self) -> dict[str, Any]:
        """All but what each task and each letter gave."""
        return without_bulky(self.to_dict())

    def panels(self) -> list[Panel]:
        """Probing and first letters beside the baselines, every measure, and what the columns mean."""
        meant = [{"column": s, "what it is": self.convention.get(s, "")} for s in list(self.rows()[0])[1:]]
        tasks = [{"task": name, "what is told apart": words} for name, words in self.tasks.items()]
        return [
            Figure("Beside what needs no dictionary", self.figure),
            Rows("Measures", self.rows()),
            Rows("The columns", meant),
            *([Rows("The tasks of probing", tasks)] if tasks else []),
            Sentence(self.summary()),
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; a number that could not be computed is None."""
        return plain({("summary" if k == "measures" else k): v for k, v in asdict(self).items()})

    def summary(self) -> str:
        """One sentence: the first measure, of the dictionary and of what it is beside."""
        first = next(iter(self.rows()), {})
        beside = [f"{s} {v:.3g}" for s, v in first.items() if s != "measure" and v is not None]
        return f"{self.name}: {first.get('measure', 'nothing')} of {', '.join(beside) or 'nothing'}"

    def rows(self) -> list[dict[str, Any]]:
        """One row per measure, one column per subject that was measured."""
        there = [s for s in SUBJECTS if any(row.get(s) is not None for row in self.measures)]
        return [{"measure": row["measure"], **{s: row.get(s) for s in there}} for row in self.measures]

    def value(self, measure: str, subject: str = "dictionary") -> float:
        """One number of the measures; NaN where there is none."""
        found = next((row.get(subject) for row in self.measures if row["measure"] == measure), None)
        return float("nan") if found is None else found

    def table(self) -> str:
        """The rows as aligned text."""
        rows = self.rows()
        heads = list(rows[0])
        lines = [f"{self.kind} {self.site_in} -> {self.site_out}"]
        lines.append(f"{heads[0]:<34}" + "".join(f"{h:>16}" for h in heads[1:]))
        for row in rows:
            cells = ["" if row[h] is None else f"{row[h]:.4g}" for h in heads[1:]]
            lines.append(f"{row['measure']:<34}" + "".join(f"{c:>16}" for c in cells))
        return "\n".join(lines)


def summarise(
    reconstruction: dict[str, dict[str, float]], probing: list[dict[str, Any]], letters: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of measures from what was measured of each subject."""
    rows = [{"measure": m, **{s: v.get(m) for s, v in reconstruction.items()}} for m in ("fvu", "l0")]
    for k in sorted({p["k"] for p in probing}, key=lambda k: k or 1 << 30):
        found = {s: [p for p in probing if p["k"] == k and p["subject"] == s] for s in SUBJECTS}
        name = f"probing, {k or 'all'} unit{'s' if k != 1 else ''}"
        rows.append({"measure": name, **{s: _mean(p, "accuracy") for s, p in found.items() if p}})
        rows.append({"measure": f"{name}, error", **{s: _mean_error(p) for s, p in found.items() if p}})
    named = {
        "letter F1 of linear probe": "probe_f1",
        "letter F1 of main latents": "f1",
        "main latents a letter": "n_latents",
        "absorption fraction": "fraction",
        "full absorption": "full",
    }
    for measure, key in named.items():
        found = {s: [one for one in letters if one["subject"] == s] for s in SUBJECTS}
        rows.append({"measure": measure, **{s: _mean(one, key) for s, one in found.items() if one}})
    return rows


def _mean(found: list[dict[str, Any]], key: str) -> float | None:
    """The mean of what is known."""
    values = [one[key] for one in found if one.get(key) is not None and np.isfinite(one[key])]
    return float(np.mean(values)) if values else None


def _mean_error(found: list[dict[str, Any]]) -> float | None:
    """The error of a mean of independent means."""
    errors = [one["error"] for one in found]
    return float(np.sqrt(np.sum(np.square(errors))) / len(errors)) if np.isfinite(errors).all() else None
