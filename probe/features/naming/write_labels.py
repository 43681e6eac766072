"""Labels of rules, put beside a table where those of people stand: each with its rule as author and its score.

A rule replaces and takes away its own labels alone. People cannot be its author (`set_label` refuses it), and their labels come
before it, so what a person called a unit is what it is called.
"""

from pathlib import Path

from probe.features.labels import LONGEST, MOST, RULE, Label, add_labels, labels_of, made_label
from probe.features.naming.record import UnitLabels

METHOD = "AUROC on other text"


def write_labels(folder: Path, found: UnitLabels) -> int:
    """Put the labels that fit beside the table, and take away what a rule said before and does not say now. Returns how many were
    put. A unit with no room for more labels keeps those it has."""
    there, fits = labels_of(folder), found.fits
    new: dict[int, list[tuple[str, Label | None]]] = {}
    for i, unit in enumerate(found.units.tolist()):
        said = {rule: _label(found, r, i) if fits[r, i] else None for r, rule in enumerate(found.rules)}
        others = {one.author for one in there.get(unit, ())} - {_author(rule) for rule in said}
        if len(others) + sum(label is not None for label in said.values()) <= MOST:
            new[unit] = [(_author(rule), label) for rule, label in said.items()]
    if new:
        add_labels(folder, new)
    return sum(label is not None for pairs in new.values() for _, label in pairs)


def _author(rule: str) -> str:
    return f"{RULE}{rule}"


def _label(found: UnitLabels, rule: int, unit: int) -> Label:
    name = found.rules[rule]
    text = found.texts[name][unit][: LONGEST["text"]]
    return made_label(text, _author(name), round(float(found.auroc[rule, unit]), 4), METHOD)
