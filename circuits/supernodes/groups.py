"""Groups of units that a person can edit: every edit is a new record, and a changed group is scored anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from circuits.graph.graph import CircuitGraph
from circuits.supernodes.collapse import Collapsed, collapse_groups
from circuits.supernodes.similarity import Weights
from probe.errors import BadInput
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted

SHUFFLES = 20
"What none of 20 shuffles gives has a chance of about 1 in 21 to be chance."


@dataclass(frozen=True)
class Group(Record):
    """Some units and why. score: mean likeness of its pairs, None where a member was never compared. parts: the same for each
    kind of likeness. shared: top tokens at least half of the members share. weak: chance does as well. edited: by a person."""

    name: str
    nodes: tuple[int, ...]
    score: float | None = None
    parts: dict[str, float | None] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    weak: bool = False
    edited: bool = False


@dataclass(frozen=True, kw_only=True)
class Supernodes(Record, figure=True, page=True):
    """Groups of a graph's units, and the likeness of all units that were compared. Edits return new records.

    nodes: the units compared, in the order of `likeness`. null: size and score of every group that shuffled evidence gives.
    weights, threshold, seed: how groups were made.
    """

    graph: CircuitGraph
    groups: tuple[Group, ...]
    nodes: Int[np.ndarray, " unit"]
    likeness: Float[np.ndarray, "unit unit"]
    parts: dict[str, Float[np.ndarray, "unit unit"]]
    null: list[tuple[int, float]]
    weights: Weights
    threshold: float
    seed: int = 0

    def __getitem__(self, name: str) -> Group:
        return self.groups[self._at(name)]

    @property
    def names(self) -> list[str]:
        """Names of the groups."""
        return [g.name for g in self.groups]

    def by_chance(self, size: int) -> float:
        """Best score of a group of `size` or more units in any shuffle, 0 where there was none."""
        return max((score for n, score in self.null if n >= size), default=0.0)

    def rename(self, old: str, new: str) -> "Supernodes":
        """One group under another name."""
        at = self._at(old)
        if new != old:
            self._free(new)
        return self._with({at: replace(self.groups[at], name=new, edited=True)})

    def move(self, node: int | str, to: str | None) -> "Supernodes":
        """A unit into the group `to`, or out of every group where `to` is None. A group left empty goes."""
        moved = self.graph.find(node)
        at = None if to is None else self._at(to)
        changes = {}
        for i, group in enumerate(self.groups):
            kept = tuple(n for n in group.nodes if n not in moved)
            kept = (*kept, *moved) if i == at else kept
            if kept != group.nodes:
                changes[i] = self._group(group.name, kept)
        return self._with(changes)

    def split(self, name: str, nodes: Sequence[int | str], new: str) -> "Supernodes":
        """Take `nodes` out of a group and make them a group of their own."""
        group, taken = self[name], [n for x in nodes for n in self.graph.find(x)]
        strangers = [self.graph.name(n) for n in taken if n not in group.nodes]
        if strangers or not taken or len(set(taken)) == len(group.nodes):
            raise BadInput(
                f"{', '.join(strangers)} is not in the group {name!r}."
                if strangers
                else f"Splitting {name!r} must leave units on both sides; it has {len(group.nodes)}."
            )
        self._free(new)
        rest = tuple(n for n in group.nodes if n not in taken)
        split = self._with({self._at(name): self._group(name, rest)})
        return replace(split, groups=(*split.groups, self._group(new, tuple(dict.fromkeys(taken)))))

    def join(self, names: Sequence[str], new: str = "") -> "Supernodes":
        """Several groups as one, under the first one's name or a new one."""
        at = sorted({self._at(n) for n in names})
        if len(at) < 2:
            raise BadInput(f"Joining needs two groups or more; {list(names)} names {len(at)}.")
        name = new or names[0]
        if name not in names:
            self._free(name)
        first = self._at(names[0])
        members = tuple(n for i in [first, *(i for i in at if i != first)] for n in self.groups[i].nodes)
        changes: dict[int, Group | None] = dict.fromkeys(at)
        return self._with({**changes, first: self._group(name, members)})

    def store(self) -> CircuitGraph:
        """The graph with these groups on it; saving it keeps them."""
        return replace(self.graph, supernodes={g.name: list(g.nodes) for g in self.groups})

    def collapse(self, alone: Sequence[int | str] = ()) -> Collapsed:
        """The graph with each group as one node; see `collapse`."""
        single = [n for x in alone for n in self.graph.find(x)]
        return collapse_groups(self.graph, {g.name: g.nodes for g in self.groups}, single)

    def _at(self, name: str) -> int:
        if name not in self.names:
            raise BadInput(f"There is no group {name!r}; there are {', '.join(map(repr, self.names)) or 'none'}.")
        return self.names.index(name)

    def _free(self, name: str) -> None:
        if not name.strip() or name in self.names:
            raise BadInput(f"A group needs a name of its own; {name!r} is {'taken' if name.strip() else 'empty'}.")

    def _with(self, changes: Mapping[int, Group | None]) -> "Supernodes":
        groups = [changes.get(i, g) for i, g in enumerate(self.groups)]
        return replace(self, groups=tuple(g for g in groups if g is not None and g.nodes))

    def _group(self, name: str, nodes: tuple[int, ...]) -> Group:
        """A group a person made, scored by the likeness there is."""
        return replace(scored(self, nodes), name=name, edited=True)

    def rows(self) -> list[dict[str, Any]]:
        """One row a group, most influential first."""
        total = {g.name: float(self.graph.influence[list(g.nodes)].sum()) for g in self.groups}
        return [
            {
                "group": g.name,
                "units": len(g.nodes),
                "score": g.score,
                **{name: g.parts.get(name) for name in ("tokens", "direction", "influence")},
                "chance": "edited" if g.edited else "weak" if g.weak else "beaten",
                "total_influence": total[g.name],
                "members": ", ".join(self.graph.name(n) for n in g.nodes[:8]) + (", …" if len(g.nodes) > 8 else ""),
            }
            for g in sorted(self.groups, key=lambda g: -total[g.name])
        ]

    def alike_by(self) -> str:
        """A sentence: by what units were compared. Empty for groups that were not found so."""
        words = {"tokens": "shared tokens", "direction": "the direction written", "influence": "shared neighbours"}
        known = [words[n] for n in words if n in self.parts and not np.isnan(self.parts[n]).all()]
        return f"Alike by {', '.join(known)}; the score is the mean likeness of a group's pairs." if known else ""

    def panels(self) -> list[Panel]:
        """The groups, by what they were found, and how alike all units are."""
        groups = [Rows("Groups, most influential first", rows) for rows in [self.rows()] if rows]
        return [
            Figure("Likeness of the units compared", self.figure),
            *groups,
            Sentence(f"{self.summary()} {self.alike_by()}".strip()),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "prompt": self.graph.prompt,
            "groups": [{**row, "nodes": list(self[row["group"]].nodes)} for row in self.rows()],
            "n_compared": len(self.nodes),
            "null": {str(n): self.by_chance(n) for n in sorted({n for n, _ in self.null})},
            "weights": vars(self.weights),
            "threshold": self.threshold,
            "convention": {
                "score": "mean likeness of the group's pairs",
                "null": f"best score of a group of this size or larger in {SHUFFLES} shuffles, seed {self.seed}",
                "linkage": "average",
            },
        }

    def summary(self) -> str:
        """One sentence: how many groups of how many units."""
        groups, units = counted(len(self.groups), "group"), counted(len(self.nodes), "unit")
        return f"{groups} of {units} compared in {quoted(self.graph.prompt)}."


def scored(found: Supernodes, nodes: tuple[int, ...]) -> Group:
    """An unnamed group with the mean likeness of its pairs."""
    at = {int(n): i for i, n in enumerate(found.nodes)}
    if len(nodes) < 2 or not all(n in at for n in nodes):
        return Group("", nodes)
    rows = np.array([at[n] for n in nodes])
    pairs = np.triu_indices(len(rows), 1)
    parts = {k: _mean(m[np.ix_(rows, rows)][pairs]) for k, m in found.parts.items()}
    score = float(found.likeness[np.ix_(rows, rows)][pairs].mean())
    return Group("", nodes, score, parts, weak=score <= found.by_chance(len(nodes)))


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
