"""Heads that notice the repetition, and feed the inhibition heads by keys and values: duplicate token and induction heads.

Each role is asked where it looks (less what it looks there when nobody is named twice), and what is lost when its edges into the
keys and values of the inhibition heads carry the corrupted prompt. Previous token heads serve the induction heads' keys; what
they carry stands at the first mention, so there the other run is one in which that is the one changed.
"""

from dataclasses import replace

from circuits.studies.component_circuits.cuts import Cuts, between
from circuits.studies.component_circuits.halves import measured_on
from circuits.studies.component_circuits.head_sets import EachHead, Head, named, over, reading, sets_run, writing
from circuits.studies.ioi.heads_by_role import Roles
from circuits.studies.ioi.inhibition import beside
from circuits.studies.ioi.prompts import once
from circuits.studies.study import Bench, Found, Scale, Table


def feeders(bench: Bench) -> Found:
    """Where they look, and what is lost without their edges."""
    roles = Roles.of(bench)
    half, layout = roles.tested, roles.layout
    into = reading(layout, roles.inhibition, "kv")
    earlier = Cuts(bench.model, replace(half.pairs, corrupted=once(half.pairs, half.at)))
    keys = reading(layout, roles.induction, "k")
    looks = {
        "duplicate": half.looks.duplicate - half.corrupted.duplicate,
        "induction": half.looks.induction - half.corrupted.induction,
        "previous": half.looks.previous,
    }
    fed = {
        "duplicate": lambda some: roles.cuts.lost(between(layout, writing(layout, some), into)),
        "induction": lambda some: roles.cuts.lost(between(layout, writing(layout, some), into)),
        "previous": lambda some: earlier.lost(between(layout, writing(layout, some), keys)),
    }
    measured, rows = {}, []
    for role, paid in looks.items():
        chosen: list[Head] = getattr(roles, role)
        measured[f"{role}-looks"] = measured_on(
            half.pairs, over(paid, chosen), roles.means(paid, chosen), bench.scale.seed
        )
        measured[f"{role}-feeds"] = beside(
            roles, chosen, fed[role], earlier.way if role == "previous" else roles.cuts.way
        )
        rows += [_row(role, one, paid) for one in chosen]
    return Found(measured=measured, tables=[Table("Heads that notice the repetition", rows)])


def _row(role: str, one: Head, paid: EachHead) -> dict[str, object]:
    return {"head": named([one]), "role": role, "looks": float(over(paid, [one]).mean())}


def runs_of(scale: Scale) -> float:
    """About how many runs it takes."""
    return 3 * sets_run(scale) + 6
