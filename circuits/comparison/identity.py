"""Which node of one graph is which of another.

A unit is the same in two prompts if kind, layer and number are; where it sits is a choice:

    none       the position is left out: a unit's nodes are added up over positions
    end        counted back from the last token: -1 is where the prediction is read, whatever the prompt's length
    position   counted from the first token

Roots have no position. Tokens are told apart by their ids as well, or only by where they are (`by_id`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph
from probe.errors import BadInput
from probe.model.unit_names import LETTERS, unit_name
from probe.show.record import Record

Align = Literal["none", "end", "position"]
Roots = Literal["token", "rank"]


@dataclass(frozen=True)
class Identities(Record):
    """The distinct nodes of several graphs. where: for each graph, the distinct node of each of its nodes."""

    names: list[str]
    kind: Int[np.ndarray, " key"]
    layer: Int[np.ndarray, " key"]
    unit: Int[np.ndarray, " key"]
    place: Int[np.ndarray, " key"]
    where: list[Int[np.ndarray, " _"]]

    def __len__(self) -> int:
        return len(self.names)

    def present(self, graph: int) -> Bool[np.ndarray, " key"]:
        """Which of the distinct nodes a graph has."""
        found = np.zeros(len(self), bool)
        found[self.where[graph]] = True
        return found

    def total(self, graph: int, values: Float[np.ndarray, " node"]) -> Float[np.ndarray, " key"]:
        """A graph's values added up over the nodes that are the same; NaN where it has none."""
        summed = np.bincount(self.where[graph], values, minlength=len(self))
        return np.where(self.present(graph), summed, np.nan)

    def pairs(self, graph: int, graphs: Sequence[CircuitGraph]) -> Int[np.ndarray, " edge"]:
        """One number for the two ends of each edge of a graph."""
        e, at = graphs[graph].edges, self.where[graph]
        return at[e.source].astype(np.int64) * len(self) + at[e.target]


def identities(
    graphs: Sequence[CircuitGraph],
    align: Align,
    *,
    roots: Roots = "token",
    by_id: bool = True,
    by_text: bool = False,
    apart: Sequence[Bool[np.ndarray, " _"]] = (),
) -> Identities:
    """Number the nodes of all graphs, equal ones alike.

    roots: a logit is its token, or (`rank`) how likely it is among its graph's. by_text: tokens and logits
    are told apart by text, not by ids, for models with different vocabularies. apart: nodes that are no other graph's.
    """
    if align not in ("none", "end", "position") or roots not in ("token", "rank"):
        raise BadInput(f"align is none, end or position and roots token or rank; not {align!r} and {roots!r}.")
    texts: dict[str, int] = {}
    rows = [_rows(g, align, roots, by_id, by_text, texts) for g in graphs]
    owner = [np.where(apart[i], i + 1, 0) if apart else np.zeros(len(r), int) for i, r in enumerate(rows)]
    every = np.concatenate([np.c_[r, o] for r, o in zip(rows, owner, strict=True)])
    # Kinds and layers first, so that the distinct nodes are in an order a person can read.
    keys, first, where = np.unique(every[:, [1, 0, 2, 3, 4]], axis=0, return_index=True, return_inverse=True)
    starts = np.cumsum([0, *(len(r) for r in rows)])
    at = np.searchsorted(starts, first, side="right") - 1
    names = [
        _name(graphs[g], int(i - starts[g]), align, roots, by_id, every[i]) for g, i in zip(at, first, strict=True)
    ]
    parts = np.split(where.ravel(), starts[1:-1])
    return Identities(names, keys[:, 1], keys[:, 0], keys[:, 2], keys[:, 3], parts)


def _rows(
    graph: CircuitGraph, align: Align, roots: Roots, by_id: bool, by_text: bool, texts: dict[str, int]
) -> Int[np.ndarray, "node 4"]:
    """kind, layer, unit, place of every node."""
    nodes = graph.nodes
    unit = nodes.unit.astype(np.int64).copy()
    if not by_id and align != "none":
        unit[nodes.where("token")] = -1
    named = ("direction", "token", "logit") if by_text else ("direction",)  # a direction is known by its name
    for i in np.flatnonzero(nodes.where(*named) & (unit >= 0)):
        unit[i] = texts.setdefault(graph.unit_tokens[i], len(texts))
    if roots == "rank":
        mine = np.flatnonzero(graph.roots)
        unit[mine[np.argsort(-graph.probability[mine], kind="stable")]] = np.arange(len(mine))
    back = {"none": nodes.pos, "end": len(graph.tokens), "position": 0}[align]
    place = np.where(graph.roots, 0, nodes.pos - back)
    layer = np.where(graph.roots, np.iinfo(np.int32).max, nodes.layer)
    return np.stack([nodes.kind.astype(np.int64), layer, unit, place], 1)


def _name(graph: CircuitGraph, node: int, align: Align, roots: Roots, by_id: bool, row: Int[np.ndarray, " 5"]) -> str:
    """`L5N120@-3`: what a distinct node is and where."""
    kind, where = KINDS[graph.nodes.kind[node]], "" if align == "none" else f"@{row[3]}"
    if kind in ROOTS:
        return f"{kind} #{row[2] + 1}" if roots == "rank" else f"{kind} {graph.unit_tokens[node]!r}"
    if kind == "token":
        return f"token{where}" + (f" {graph.unit_tokens[node]!r}" if by_id or align == "none" else "")
    if kind == "position":
        return f"position{where}"
    return unit_name(kind, row[1], row[2]) + where if kind in LETTERS else f"L{row[1]} {kind}{where}"


def is_unit(identities: Identities) -> Bool[np.ndarray, " key"]:
    """Which distinct nodes are units."""
    return np.isin(identities.kind, [KINDS.index(k) for k in UNITS])
