"""The lists of a unit as tables: tokens that it writes, reads and fires at, units near it, its histogram. One heading each,
wherever they are shown."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from probe.show.panels import Panel, Rows, Sentence

if TYPE_CHECKING:
    from probe.features.by_weights import UnitWeights
    from probe.features.unit import Example, Near, TokenScore, Unit


def unit_tables(unit: "Unit | UnitWeights") -> dict[str, Rows]:
    """Each by the name of its field; those that do not exist for this unit are empty."""
    return {
        "promoted": _tokens("promotes", "logit", unit.promoted),
        "suppressed": _tokens("suppresses", "logit", unit.suppressed),
        "inputs": _tokens("would be excited by: de-embedding, weights alone", "score", unit.inputs),
        "measured": _tokens("fires at: mean activation over a token's occurrences", "mean activation", unit.measured),
        "near": _units("write alike: decoder cosine", unit.near),
        "coactive": _units("fire together: co-activation", unit.coactive),
    }


NO_INPUTS = "What it reads has no fixed embedding for each token, so weights alone do not say which tokens excite it."


def told(unit: "Unit | UnitWeights") -> list[Panel]:
    """The tables that exist for this unit, and why others do not."""
    missing = []
    if not unit.promoted:
        missing.append(
            Sentence(f"What it does to the logits: nothing can be said, {unit.convention.get('writes', '')}.")
        )
    if not unit.inputs:
        missing.append(Sentence(NO_INPUTS))
    return [*(rows for rows in unit_tables(unit).values() if rows.rows), *missing]


def histogram_rows(unit: "Unit") -> Rows:
    """How many tokens it is how active at; empty bins are left out."""
    bins = zip(unit.edges[:-1], unit.edges[1:], unit.counts, strict=True)
    return Rows("Histogram of activations", [{"from": a, "to": b, "tokens": n} for a, b, n in bins if n])


def _tokens(title: str, score: str, scores: "Sequence[TokenScore]") -> Rows:
    seen = any(s.count is not None for s in scores)
    rows = [{"token": s.token, score: s.score, **({"seen": s.count} if seen else {})} for s in scores]
    return Rows(title, rows)


def _units(title: str, near: "Iterable[Near]") -> Rows:
    def told(one: "Near") -> dict[str, Any]:
        together = {} if one.joint is None else {"PMI": one.pmi, "together": one.joint}
        return {"unit": one.name, "cosine": one.cosine, **together}

    return Rows(title, [told(one) for one in near])


# -- examples ------------------------------------------------------------------------------------------------------------------

_NTH = {2: "2nd", 3: "3rd"}


def example_groups(unit: "Unit") -> "list[tuple[str, list[Example]]]":
    """Its examples by where they were taken from, in words, from the strongest down to the lowest."""
    groups: dict[str, list[Example]] = {}
    for one in unit.examples:
        groups.setdefault(one.group, []).append(one)
    return [(_title(name, groups[name]), groups[name]) for name in sorted(groups, key=_order)]


def _order(group: str) -> tuple[int, int]:
    """Strongest, the bins from strong to weak, lowest."""
    return {"strongest": (0, 0), "lowest": (2, 0)}.get(group, (1, -_bin(group)))


def _bin(group: str) -> int:
    words = group.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _title(group: str, examples: "Sequence[Example]") -> str:
    values = [one.value for one in examples]
    span = f"({min(values):.3g} to {max(values):.3g})"
    if group.startswith("bin"):
        n, of = _bin(group), group.split()[-1]
        place = {1: "weakest", int(of): "strongest"}.get(n, f"{_NTH.get(n, f'{n}th')} from below")
        return f"Sampled from the {place} of {of} equally frequent ranges {span}"
    named = {"strongest": "Strongest", "lowest": "Lowest, below 0"}.get(group, group)
    return f"{named} {span}"
