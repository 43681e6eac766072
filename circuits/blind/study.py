"""Blind case studies: say what a unit does from weights, circuits and numbers, and only then look at its text.

    study = new_study(model, table, unit)      evidence is gathered once and stored; the text stays in the feature table
    study = study.guess("fires at years")      written once, with its time; never overwritten
    study.reveal()                             refused before a guess
    study.judge("partly", "only 18xx")         refused before the reveal

The order is what makes it evidence (Dunefsky et al. 2024): an explanation made up after seeing examples always fits them. Nothing
here can keep a person from opening the feature table; it keeps that from happening by accident, and it keeps a record of what was
said first.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuits.blind.evidence_check import require_evidence
from circuits.blind.record import GRADES, TABLES, Hypothesis, Revealed, Verdict, firing, weights_tables
from probe.artifacts.digest import fresh_digest, sha256
from probe.artifacts.folder import place
from probe.artifacts.locks.claims import lock_of
from probe.artifacts.locks.lock import exclusive
from probe.artifacts.manifest import MANIFEST, found_folder, read_manifest
from probe.artifacts.renames import sync_folder
from probe.artifacts.schemas import text
from probe.artifacts.untrusted import plain_file, read_json, reading, sealed, unsealed
from probe.errors import BadInput, Unavailable, brief
from probe.features import FeatureTable, open_features
from probe.show.beside import loads
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.system_errors import explained

if TYPE_CHECKING:
    pass

EVIDENCE, SEALED = "evidence.json", "sealed.json"
HYPOTHESIS, REVEALED, VERDICT = "hypothesis.json", "revealed.json", "verdict.json"


@dataclass(frozen=True)
class Study(Record, figure=True):
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
        found += weights_tables(self.evidence["weights"])
        for i, circuit in enumerate(self.evidence["circuits"]):
            found.append((f"Hidden prompt {i + 1}: where it fires", firing(circuit)))
            found.append((f"Hidden prompt {i + 1}: strongest paths at the peak", circuit["tree"]))
        return found

    def panels(self) -> list[Panel]:
        """All evidence, and what comes next."""
        tables = [Rows(title, rows) for title, rows in self.tables() if rows]
        return [Figure("Its activations", self.figure), *tables, Sentence(self.next_step)]

    def guess(self, text: str) -> "Study":
        """Record the hypothesis, once. Returns the study with it."""
        return guess(self.folder, text)

    def reveal(self) -> "Revealed":
        """The text, next to the hypothesis. BadInput before there is one."""
        return reveal(self.folder)

    def judge(self, grade: str, note: str = "") -> "Study":
        """Record how the hypothesis fared: `right`, `partly` or `wrong`."""
        return judge(self.folder, grade, note)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; nothing in it is text of an example."""
        said = {n: None if (v := getattr(self, n)) is None else asdict(v) for n in ("hypothesis", "verdict")}
        about = {"name": self.name, "unit": self.unit, "model": self.model, "next_step": self.next_step}
        return {**about, "evidence": self.evidence, **said, "revealed": self.revealed}


@loads
def open_study(study: str | Path) -> Study:
    """A stored study, by name or folder.

    >>> ow.open_study("small").folder.name
    'small'
    """
    folder = _folder(study)
    manifest = read_manifest(folder, "study")
    for name in (EVIDENCE, SEALED):
        if fresh_digest(plain_file(folder / name), "sha256") != manifest.files.get(name):
            raise Unavailable(
                f"{name} in {folder} was changed after it was stored, so this study is no longer a blind one."
            )
    with reading(folder, "make a new study"):
        evidence, told = _read(folder / EVIDENCE), _told(folder)
        require_evidence(evidence)
        unit, model = manifest.config["unit"], manifest.model.name if manifest.model else ""
        if not text(unit) or (told[0] is not None and told[0].evidence != manifest.files[EVIDENCE]):
            raise ValueError("the hypothesis was made from other evidence")
        return Study(folder, unit, model, evidence or {}, *told)


def _told(folder: Path) -> tuple[Hypothesis | None, str | None, Verdict | None]:
    """What was guessed, when the text was seen, and how it was judged; ValueError for what nobody could have said."""
    guessed, seen, judged = (_read(folder / n) for n in (HYPOTHESIS, REVEALED, VERDICT))
    if not all(map(text, [v for part in (guessed, seen, judged) if part is not None for v in part.values()])):
        raise ValueError("a text was wanted where something else is")
    if judged is not None and judged["grade"] not in GRADES:
        raise ValueError(f"a verdict of {brief(judged['grade'])}")
    return (
        None if guessed is None else Hypothesis(**guessed),
        None if seen is None else seen["time"],
        None if judged is None else Verdict(**judged),
    )


def _folder(study: str | Path) -> Path:
    return found_folder("study", study, "Make one with new_study, or with `openwork blind new`.")


def guess(study: str | Path, text: str) -> Study:
    """Record the hypothesis; BadInput if it is empty or there is one already."""
    folder, said = _folder(study), text.strip()
    if not said:
        raise BadInput("The hypothesis is empty; say what makes the unit fire.")
    before = open_study(folder).hypothesis
    if before is not None:
        raise BadInput(
            f"A hypothesis was recorded at {before.time} and is not changed: {before.text!r}. Make a new study for another."
        )
    _write_once(folder / HYPOTHESIS, asdict(Hypothesis(said, _now(), sha256(folder / EVIDENCE))))
    return open_study(folder)


def reveal(study: str | Path) -> Revealed:
    """The unit's strongest examples beside the hypothesis. BadInput before there is one, Unavailable if the table has changed."""
    from probe.features.unit import excerpt

    found = open_study(study)
    if found.hypothesis is None:
        raise BadInput(f"Nothing is revealed before a hypothesis. {found.next_step}.")
    with reading(found.folder / SEALED, "make a new study"):
        hidden = _read(found.folder / SEALED)
        assert hidden is not None
        where, number, digest = Path(hidden["table"]), int(hidden["unit"]), hidden["manifest"]
    unit = _same_table(where, digest).unit(number)
    if found.revealed is None:
        _write_once(found.folder / REVEALED, {"time": _now()})
    examples = [{"value": e.value, "document": e.document, "text": excerpt(e)} for e in unit.top]
    measured = [(t.token, t.score) for t in unit.measured]
    return Revealed(found.unit, found.hypothesis, examples, measured, found.verdict)


def _same_table(folder: Path, manifest: str) -> FeatureTable:
    if not folder.is_dir():  # the home was moved
        folder = place("features", folder.name)
    if not (folder / MANIFEST).is_file():
        raise Unavailable(f"The feature table {folder} that this study was made from is gone.")
    if fresh_digest(plain_file(folder / MANIFEST), "sha256") != manifest:
        raise Unavailable(
            f"The feature table {folder} was built again after this study was made; its units may have changed."
        )
    return open_features(folder)


def judge(study: str | Path, grade: str, note: str = "") -> Study:
    """Record how the hypothesis fared, after the text was seen."""
    found = open_study(study)
    if grade not in GRADES:
        raise BadInput(f"The grade is '{grade}'; it must be one of {', '.join(GRADES)}.")
    if found.revealed is None:
        raise BadInput(f"A verdict comes after the text was seen. {found.next_step}.")
    if found.verdict is not None:
        raise BadInput(f"A verdict was given at {found.verdict.time}: {found.verdict.grade}.")
    _write_once(found.folder / VERDICT, asdict(Verdict(grade, note.strip(), _now())))
    return open_study(found.folder)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> dict[str, Any] | None:
    """What a file of a study holds, None where there is none yet. Unavailable where it is not what was written."""
    if not os.path.lexists(path):
        return None
    with reading(path, "the study cannot be gone on with"):
        return unsealed(read_json(path))


def _write_once(path: Path, value: dict[str, Any]) -> None:
    """Write a file that must not exist yet, with its digest, whole or not at all, and make it read-only."""
    with exclusive(lock_of(path.parent), f"the study {path.parent.name}"), explained(f"Writing {path}"):
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf8") as file:
                json.dump(sealed(value), file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).chmod(0o444)
            os.link(beside, path)  # fails where the name is taken, even if somebody else took it a moment ago
            sync_folder(path.parent)
        except FileExistsError as error:
            raise BadInput(f"{path.name} was written already and is not changed.") from error
        finally:
            Path(beside).unlink(missing_ok=True)
