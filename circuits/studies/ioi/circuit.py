"""The circuit of IOI: the best edges by EAP-IG, what they keep, and whether they are those of the published roles."""

from collections.abc import Sequence

import numpy as np

from circuits.studies.component_circuits.circuit_claims import CircuitClaims
from circuits.studies.component_circuits.cuts import Edges, between, logits_of
from circuits.studies.component_circuits.edges_in_roles import in_roles
from circuits.studies.component_circuits.head_sets import Head, reading, writing
from circuits.studies.ioi.heads_by_role import Roles
from circuits.studies.study import Bench, Found, Table


def circuit(bench: Bench) -> Found:
    """Faithful, complete, minimal; and where its edges run."""
    roles = Roles.of(bench)
    without = {
        "movers": writing(roles.layout, [*roles.movers, *roles.against]),
        "inhibition": writing(roles.layout, roles.inhibition),
        "feeders": writing(roles.layout, [*roles.duplicate, *roles.induction]),
    }
    found, tables = CircuitClaims(bench, roles.cuts, roles.scores, without).measured()
    found["edges-in-roles"] = in_roles(
        roles.scores,
        role_edges(roles),
        _others(roles),
        bench.scale.seed,
        lambda u, v: _head(u) and (_head(v) or v == "logits"),
    )
    best = Table(
        "The strongest edges by EAP-IG", [{"edge": r["edge"], "score": r["score"]} for r in roles.scores.rows(20)]
    )
    return Found(measured=found, tables=[*tables, best])


def _head(name: str) -> bool:
    return name.startswith("a")


Sets = Sequence[list[Head]]


def role_edges(roles: Roles, sets: Sets | None = None) -> Edges:
    """The edges between heads by where they look. sets: other heads in the place of movers, inhibition, feeders, previous."""
    movers, inhibition, feeders, previous = sets or _by_looks(roles)
    layout = roles.layout
    ways = [
        (movers, logits_of(layout)),
        (inhibition, reading(layout, movers, "q")),
        (feeders, reading(layout, inhibition, "kv")),
        (previous, reading(layout, feeders, "k")),
    ]
    return np.any([between(layout, writing(layout, some), into) for some, into in ways], axis=0)


def _by_looks(roles: Roles) -> list[list[Head]]:
    return [roles.looking_at_io, roles.looking_at_s2, [*roles.duplicate, *roles.induction], roles.previous]


def _others(roles: Roles) -> list[Edges]:
    """The same with other heads of the same layers in every role."""
    drawn = zip(*(roles.random(list(dict.fromkeys(some))) for some in _by_looks(roles)), strict=True)
    return [role_edges(roles, some) for some in drawn]
