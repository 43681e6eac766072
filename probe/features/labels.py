"""What people and programs say a unit does: texts with their author, date and score, kept beside a feature table.

    set_label("runs/features/layer4", 650, "years after a war", author="ana")
    labels_of("runs/features/layer4")[650]            # best first

`labels.json` lies in the table's folder and is no part of its manifest: labels change, what was measured does not. One author
has one label of a unit. A score is a number somebody's method gave (detection, simulation, ...); without the method's name it
means nothing, so both come together. The file is written beside and renamed; writers take turns by a lock that the system
releases when a process ends, so two that write at once lose nothing.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.artifacts.json import write_json
from probe.artifacts.locks.claims import lock_of
from probe.artifacts.locks.lock import exclusive
from probe.artifacts.manifest import found_folder, read_manifest
from probe.artifacts.names import as_path
from probe.artifacts.untrusted import read_json, sealed, unsealed
from probe.errors import BadInput, Unavailable
from probe.features.numbering import table_number
from probe.show.record import Record

if TYPE_CHECKING:
    from probe.interventions.places import Place
    from probe.model.unit_names import UnitName

FILE = "labels.json"
RULE = "rule:"
"""How the authors begin that are rules of `probe.features.naming`; no person is called so."""
SCHEMA = 1
LONGEST = {"text": 500, "author": 80, "method": 80}
"""Characters at most."""
MOST = 24
"""Labels of one unit, at most."""
BYTES = 256_000_000


@dataclass(frozen=True)
class Label(Record):
    """One author's words for a unit. date: when, ISO 8601 in UTC. score: what `method` gave it, or None."""

    text: str
    author: str
    date: str
    score: float | None = None
    method: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


Labels = dict[int, list[Label]]
"""Labels by unit, the best of each first."""


def made_label(text: str, author: str, score: float | None = None, method: str = "", date: str | None = None) -> Label:
    """A checked label, dated now. BadInput for what is empty, too long, no number, or a score without its method."""
    said = {"text": text, "author": author, "method": method}
    for name, value in said.items():
        if not isinstance(value, str) or len(value) > LONGEST[name]:
            raise BadInput(f"A label's {name} is a text of at most {LONGEST[name]} characters.")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise BadInput(f"A label's {name} holds half of a character that takes two, which no file can keep.")
    if not text.strip() or not author.strip():
        raise BadInput("A label needs a text and an author; one of them is empty.")
    if isinstance(score, bool) or not isinstance(score, int | float | None):
        raise BadInput(f"A label's score is a number or nothing, not {score!r}.")
    if score is not None and not (math.isfinite(score) and method.strip()):
        raise BadInput("A score is a finite number and comes with the method that gave it.")
    moment = date or datetime.now(UTC).isoformat(timespec="seconds")
    if not isinstance(moment, str) or len(moment) > 40:
        raise BadInput("A label's date is a short text like 2026-11-21T15:02:41+00:00.")
    return Label(text.strip(), author.strip(), moment, None if score is None else float(score), method.strip())


def best_first(labels: list[Label]) -> list[Label]:
    """Scored labels before others, higher scores first, then the newest; those of rules after all that people and other programs
    say."""
    newest = sorted(labels, key=lambda label: label.date, reverse=True)
    scored = sorted(newest, key=lambda label: -math.inf if label.score is None else label.score, reverse=True)
    return sorted(scored, key=lambda label: label.author.startswith(RULE))


def labels_of(folder: str | Path) -> Labels:
    """All labels of a table. Unavailable where the file is damaged."""
    path = as_path(folder) / FILE
    if not os.path.lexists(path):
        return {}
    try:
        raw = unsealed(read_json(path, BYTES))
        if raw["schema"] > SCHEMA:
            raise Unavailable(f"{path} has schema {raw['schema']}; this Openwork reads {SCHEMA}. Upgrade Openwork.")
        return {int(unit): best_first([_read(entry) for entry in entries]) for unit, entries in raw["labels"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BadInput) as error:
        raise Unavailable(f"{path} is damaged ({str(error)[:120]}); restore it or delete it.") from error


def _read(entry: dict[str, Any]) -> Label:
    return made_label(entry["text"], entry["author"], entry.get("score"), entry.get("method", ""), entry["date"])


def set_label(
    folder: str | Path,
    unit: "int | str | UnitName | Place",
    text: str,
    *,
    author: str,
    score: float | None = None,
    method: str = "",
) -> Label | None:
    """Give a unit (its number in the table, or its name) a label, in place of the same author's; an empty text takes it away.
    Returns what is kept.

    >>> ow.set_label("small", "L1N5", "names after and", author="ana").text
    'names after and'
    """
    folder = found_folder("features", folder)
    unit = table_number(read_manifest(folder, "features").facts, unit, folder.name)
    if not text.strip():
        made_label("-", author)  # the author must be one all the same
        add_labels(folder, {unit: [(author.strip(), None)]})
        return None
    label = made_label(text, author, score, method)
    if label.author.startswith(RULE):
        raise BadInput(
            f"'{label.author}' is a rule's label, which `openwork label {folder.name}` makes anew; give an author of your own."
        )
    add_labels(folder, {unit: [(label.author, label)]})
    return label


def add_labels(folder: str | Path, new: Mapping[int, list[tuple[str, Label | None]]]) -> Labels:
    """Put labels in place of the same authors', all in one write; None takes an author's label away."""
    path = as_path(folder)
    _require_units(path, new)
    with exclusive(lock_of(path), f"labels of {path.name}"):
        found = labels_of(path)
        for unit, pairs in new.items():
            kept = {label.author: label for label in found.get(unit, [])} | dict(pairs)
            found[unit] = best_first([label for label in kept.values() if label is not None])
            if len(found[unit]) > MOST:
                raise BadInput(f"Unit {unit} would have more than {MOST} labels; take one away first.")
        found = {unit: found[unit] for unit in sorted(found) if found[unit]}
        plain = {str(unit): [label.to_dict() for label in labels] for unit, labels in found.items()}
        try:
            write_json(path / FILE, sealed({"schema": SCHEMA, "labels": plain}))
        except OSError as error:
            raise Unavailable(f"Labels could not be written to {path} ({error.strerror}).") from error
    return found


def _require_units(folder: Path, new: Mapping[int, Any]) -> None:
    n = int(read_manifest(folder, "features").facts["n_units"])
    for unit in new:
        if isinstance(unit, bool) or not isinstance(unit, int) or not 0 <= unit < n:
            raise BadInput(f"Unit {unit!r} was to be labelled; {folder.name} holds units 0 to {n - 1}.")


def import_labels(folder: str | Path, given: Mapping[str, Any] | str | Path, *, author: str = "") -> int:
    """Take over labels from a mapping or a JSON file of it: unit number to a text, to {text, author, score, method}, or to a list
    of those. author: for texts that name none. Returns how many. All of them or none."""
    mapping = _mapping(given)
    new: dict[int, list[tuple[str, Label | None]]] = {}
    for unit, said in mapping.items():
        if not str(unit).isdecimal() or len(str(unit)) > 9:
            raise BadInput(f"'{str(unit)[:40]}' is no number of a unit.")
        for one in said if isinstance(said, list) else [said]:
            label, there = _taken(one, author), new.setdefault(int(unit), [])
            if any(name == label.author for name, _ in there):
                raise BadInput(
                    f"Unit {int(unit)} has two labels by '{label.author}', and one of an author is kept. Take one away, or tell "
                    "the authors apart."
                )
            there.append((label.author, label))
    add_labels(folder, new)
    return sum(len(pairs) for pairs in new.values())


def _taken(one: Any, author: str) -> Label:
    if isinstance(one, str):
        return made_label(one, author)
    if not isinstance(one, Mapping) or "text" not in one:
        raise BadInput("A label is a text, or a mapping with a text and perhaps author, score, method and date.")
    return made_label(
        one["text"], one.get("author") or author, one.get("score"), one.get("method") or "", one.get("date")
    )


def _mapping(given: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    try:
        found = read_json(Path(given), BYTES)
    except Unavailable as error:
        raise BadInput(str(error)) from error
    if not isinstance(found, dict):
        raise BadInput(f"{given} holds a {type(found).__name__}; a mapping from unit numbers to labels was wanted.")
    return found
