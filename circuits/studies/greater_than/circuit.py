"""The circuit of greater-than: the best edges by EAP-IG, what they keep, and whether they run where the paper says."""

import numpy as np

from circuits.studies.component_circuits.circuit_claims import CircuitClaims
from circuits.studies.component_circuits.cuts import Edges, between, logits_of
from circuits.studies.component_circuits.edges_in_roles import in_roles
from circuits.studies.component_circuits.head_sets import Head, writing
from circuits.studies.greater_than.components_found import Components
from circuits.studies.study import Bench, Found, Table


def circuit(bench: Bench) -> Found:
    """Faithful, complete, minimal; and where its edges run."""
    found = Components.of(bench)
    without = {"heads": writing(found.layout, found.heads), "late MLPs": found.written_by(found.late)}
    measured, tables = CircuitClaims(bench, found.cuts, found.scores, without).measured()
    sets = zip(found.random_heads(found.looking, bench.scale.sets), found.random_mlps(bench.scale.sets), strict=True)
    measured["edges-in-roles"] = in_roles(
        found.scores,
        role_edges(found, found.looking, found.late),
        [role_edges(found, heads, mlps) for heads, mlps in sets],
        bench.scale.seed,
        lambda u, v: u[0] in "am" and (v[0] == "m" or v == "logits"),
    )
    best = Table(
        "The strongest edges by EAP-IG", [{"edge": r["edge"], "score": r["score"]} for r in found.scores.rows(20)]
    )
    return Found(measured=measured, tables=[*tables, best])


def role_edges(found: Components, heads: list[Head], mlps: list[int]) -> Edges:
    """From these heads to these MLPs, among the MLPs, from both to the logits."""
    layout = found.layout
    senders, writers, readers = writing(layout, heads), found.written_by(mlps), found.read_by(mlps)
    into = np.concatenate([readers, logits_of(layout)])
    return between(layout, senders, into) | between(layout, writers, into)
