"""A graph with groups of nodes as single nodes: edges between groups are sums of edges, and nothing is dropped.

For a group g of explained nodes,

    sum of their values = sum of their constants + inner edges + edges from other groups                  (conservation)

`residual` is the largest gap. Between two groups `weight` is the signed sum, `absolute` the sum of |edges|: where |weight| is
the smaller, edges cancel. `flow` is the influence that runs along: the sum of each edge's share of its target times the
target's influence. Groups may feed each other both ways, so a collapsed graph can hold cycles that the graph does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.influence import UNEXPLAINED, normalised
from probe.artifacts.json import finite
from probe.errors import BadInput
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted

OTHER, DARK, FIXED = "other units", "unexplained", "biases"


@dataclass(frozen=True, kw_only=True)
class Collapsed(Record, figure=True, page=True):
    """Groups and the edges between them.

    names, members: the groups and their nodes in the graph. grouped: which of them are supernodes. value: sum of the members'
    values, NaN for leaves. constant, inner: sums of the members' constants and of the edges among them. influence: sum.
    source, target, weight, absolute, flow: edges between groups. pushes: sums of the edges signed by whether they push their
    targets the way these went (`CircuitGraph.pushes`).
    """

    graph: CircuitGraph
    names: list[str]
    members: list[list[int]]
    grouped: list[bool]
    value: Float[np.ndarray, " group"]
    constant: Float[np.ndarray, " group"]
    inner: Float[np.ndarray, " group"]
    influence: Float[np.ndarray, " group"]
    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]
    absolute: Float[np.ndarray, " edge"]
    flow: Float[np.ndarray, " edge"]
    pushes: Float[np.ndarray, " edge"]

    @property
    def residual(self) -> float:
        """Largest |value - constant - inner - edges from other groups|."""
        into = np.bincount(self.target, self.weight, minlength=len(self.names))
        gap = np.abs(self.value - self.constant - self.inner - into)
        return float(np.nanmax(gap, initial=0.0))

    def rows(self) -> list[dict[str, Any]]:
        """One row a group, most influential first."""
        return [
            {
                "node": self.names[i],
                "members": len(self.members[i]),
                "supernode": self.grouped[i],
                "influence": float(self.influence[i]),
                "value": finite(self.value[i]),
                "inner": float(self.inner[i]),
            }
            for i in np.argsort(-self.influence, kind="stable")
        ]

    def edge_rows(self, k: int | None = None) -> list[dict[str, Any]]:
        """Edges, those that carry most influence first."""
        return [
            {
                "from": self.names[self.source[i]],
                "to": self.names[self.target[i]],
                "weight": float(self.weight[i]),
                "absolute": float(self.absolute[i]),
                "flow": float(self.flow[i]),
            }
            for i in np.argsort(-self.flow, kind="stable")[:k]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        members = {name: nodes for name, nodes, g in zip(self.names, self.members, self.grouped, strict=True) if g}
        return {
            "prompt": self.graph.prompt,
            "nodes": self.rows(),
            "edges": self.edge_rows(),
            "supernodes": members,
            "conservation_residual_absolute": self.residual,
        }

    def summary(self) -> str:
        """One sentence: how many nodes are left, and how many of them are groups."""
        return (
            f"{counted(len(self.names), 'node')}, {sum(self.grouped)} of them groups, of {quoted(self.graph.prompt)}."
        )


def collapse_groups(graph: CircuitGraph, groups: Mapping[str, Sequence[int]], alone: Sequence[int] = ()) -> Collapsed:
    """Sum the graph over `groups`; tokens, roots and the nodes `alone` are groups of one, the rest is gathered in three."""
    names, members, grouped, group = _membership(graph, groups, alone)
    n, e = len(names), graph.edges
    key = group[e.source] * n + group[e.target]
    weight, strength = e.weight.astype(np.float64), np.abs(e.weight).astype(np.float64)
    flow = normalised(graph) * (graph.influence + graph.probability)[e.target]
    keys, place = np.unique(key, return_inverse=True)
    each = {"weight": weight, "absolute": strength, "flow": flow, "pushes": graph.pushes.astype(np.float64)}
    sums = {name: np.bincount(place, w, minlength=len(keys)) for name, w in each.items()}
    source, target = keys // n, keys % n
    within, between = source == target, source != target
    inner = np.zeros(n)
    inner[source[within]] = sums["weight"][within]
    value = np.bincount(group, graph.nodes.value, minlength=n)  # a leaf's NaN makes its group's sum NaN
    return Collapsed(
        graph=graph,
        names=names,
        members=members,
        grouped=grouped,
        value=value,
        constant=np.bincount(group, graph.constant, minlength=n),
        inner=inner,
        influence=np.bincount(group, graph.influence, minlength=n),
        source=source[between],
        target=target[between],
        **{name: total[between] for name, total in sums.items()},
    )


def _membership(
    graph: CircuitGraph, groups: Mapping[str, Sequence[int]], alone: Sequence[int]
) -> tuple[list[str], list[list[int]], list[bool], Int[np.ndarray, " node"]]:
    """Names and members of all groups, which are supernodes, and the group of every node."""
    group = np.full(len(graph.nodes), -1, np.int64)
    names: list[str] = []

    def put(name: str, nodes: Sequence[int]) -> None:
        twice = [i for i in nodes if group[i] >= 0]
        if twice:
            raise BadInput(
                f"{graph.name(twice[0])} is in {names[group[twice[0]]]!r} and in {name!r}; a node can be in one group."
            )
        group[list(nodes)] = len(names)
        names.append(name)

    for name, nodes in groups.items():
        put(name, list(dict.fromkeys(nodes)))
    single = graph.nodes.where("token", "logit", "direction")
    single[list(alone)] = True
    for i in np.flatnonzero(single & (group < 0)):
        put(graph.name(int(i)), [int(i)])
    units, dark = graph.nodes.where(*UNITS), graph.nodes.where(*UNEXPLAINED)
    for name, kinds in ((OTHER, units), (DARK, dark), (FIXED, ~units & ~dark)):
        rest = np.flatnonzero(kinds & (group < 0))
        if len(rest):
            put(name, rest.tolist())
    members = [np.flatnonzero(group == i).tolist() for i in range(len(names))]
    return names, members, [i < len(groups) for i in range(len(names))], group
