"""What stored results say of dictionaries: a row for each that was judged, alone (`openwork eval`) or in a sweep."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from probe.artifacts.folder import KINDS, home
from probe.artifacts.manifest import Manifest, read_manifest, require_files
from probe.artifacts.records import RECORD, REPORT
from probe.artifacts.untrusted import read_json
from probe.errors import OpenworkError
from probe.evaluation.report import EvalReport, meaning
from probe.evaluation.store import load_report
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted

MEASURES = ("l0", "fvu", "fvu_affine", "dead_share", "ce", "ce_spliced", "ce_zero", "ce_mean", "ce_recovered_zero")
MEASURES += ("kl_spliced", "kl_zero", "kl_mean")
_LARGEST = 50 << 20
DRAWN = ("fvu", "ce_recovered_zero", "ce_spliced", "kl_spliced")
"""Measures that are drawn against sparsity."""
LISTED = ("l0", "fvu", "fvu_affine", "ce_recovered_zero", "ce_spliced", "ce", "kl_spliced", "dead_share")
_KINDS: dict[str, Literal["share", "name"]] = {"dictionary": "name", "dead_share": "share"}
_TRADE = "Further left is sparser; lower is better (CE recovered: higher). FVU compares dictionaries of one kind only."
_ABOVE_ONE = (
    "CE recovered above 1: with the reconstruction in place the model predicts this text better than untouched. That is no "
    "better than perfect; ablating the site costs little there, so compare CE spliced with CE untouched."
)


@dataclass(frozen=True)
class Judged(Record, figure=True):
    """Judged dictionaries, as `judged` reads them, newest result first."""

    found: list[dict[str, Any]]

    def summary(self) -> str:
        """One sentence: how many, and on what; what must be known to read the numbers."""
        on = {row["on"] for row in self.found}
        where = f", judged on {next(iter(on))}" if len(on) == 1 else ": numbers on different texts are not comparable"
        above = any(_known(row.get("ce_recovered_zero")) and row["ce_recovered_zero"] > 1 for row in self.found)
        said = f"{counted(len(self.found), 'judgement')}{where}." if on else "No dictionary is judged."
        return f"{said} {_ABOVE_ONE}" if above else said

    def rows(self) -> list[dict[str, Any]]:
        """One row a judgement, of the measures that any has. What it was judged on, where that differs."""
        names = [m for m in LISTED if any(_known(row.get(m)) for row in self.found)]
        several = len({row["on"] for row in self.found}) > 1
        return [
            {
                "dictionary": row["name"],
                "kind": row["kind"].replace("_", " "),
                "rule": row["rule"].replace(":", " "),
                **{m: row.get(m) for m in names},
                **({"judged on": row["on"]} if several else {}),
                "result": row["result"],
            }
            for row in self.found
        ]

    @property
    def measures(self) -> list[str]:
        """Those that any of them has of what is drawn."""
        return [m for m in DRAWN if any(_known(row.get(m)) for row in self.found)] or ["fvu"]

    def panels(self) -> list[Panel]:
        """What they lose against how sparse they are, where there are several; every judgement."""
        trade = Figure("Sparsity against faithfulness", self.figure, {"measure": self.measures}, named=True)
        words = {m: meaning(m) for m in LISTED}
        drawn = [trade, Sentence(_TRADE)] if len({row["name"] for row in self.found}) > 1 else []
        return [Sentence(self.summary()), *drawn, Rows("Judged dictionaries", self.rows(), (), _KINDS, words)]


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def judged() -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """A row for each judged dictionary, newest result first, and the results that could not be read, with the reason.

    name, kind, rule of the dictionary; result: the artifact it is from; on: what it was judged on; the measures that were made;
    errors: standard errors by measure.

    >>> rows, broken = ow.judged()
    >>> len(broken)
    0
    """
    rows: list[tuple[str, dict[str, Any]]] = []
    damaged: list[tuple[str, str]] = []
    for folder in (home() / KINDS["result"]).glob("[!.]*/"):
        try:
            manifest = read_manifest(folder, "result")
            rows += [(manifest.created, row) for row in rows_of(folder, manifest)]
        except (OpenworkError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            damaged.append((folder.name, str(error) or type(error).__name__))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0], reverse=True)], damaged


def newest_report(dictionary: str) -> EvalReport | None:
    """The newest stored report of a dictionary; None where there is none. Unavailable where it is damaged."""
    for row in judged()[0]:
        folder = home() / KINDS["result"] / row["result"]
        if row["name"] == dictionary and any((folder / name).exists() for name in (RECORD, REPORT)):
            report = load_report(folder)
            if isinstance(report, EvalReport):
                return report
    return None


def rows_of(folder: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """The rows of one result; none where it judges no dictionary."""
    facts = manifest.facts
    if facts.get("subject") == "sweep":
        path = folder / "sweep.json"
        require_files(folder, manifest, [path.name])
        found = read_json(path, _LARGEST)
        return [_row(row, str(row["name"]), manifest, str(row.get("rule", ""))) for row in found["rows"]]
    if isinstance(facts.get("fvu"), int | float) and "kind" in facts:
        name = str(facts.get("name") or (manifest.parents or (manifest.name,))[0])
        return [_row(facts, name, manifest, _rule(name))]
    return []


def _row(values: dict[str, Any], name: str, manifest: Manifest, rule: str) -> dict[str, Any]:
    numbers = {m: values[m] for m in MEASURES if isinstance(values.get(m), int | float)}
    errors = values.get("errors")
    asked = (manifest.facts.get("call") or {}).get("arguments") or {}
    cache = manifest.parents[-1] if manifest.parents else str(asked.get("cache", ""))
    on = str(values.get("text") or f"held-out text of {cache}").replace("the cache", cache or "the cache")
    own = {"name": name, "kind": str(values.get("kind", "")), "rule": rule, "result": manifest.name, "on": on}
    return {**own, **numbers, "errors": errors if isinstance(errors, dict) else {}, "created": manifest.created}


def _rule(name: str) -> str:
    """`topk 32`, of a dictionary that is stored."""
    try:
        facts = read_manifest(home() / KINDS["dictionary"] / name, "dictionary").facts
    except OpenworkError:
        return ""
    found = facts.get("sparsifier_trained") or facts.get("sparsifier") or {}
    return " ".join(str(v) for v in found.values() if isinstance(v, str | int | float))
