"""What a person marks in a graph: pinned nodes, groups of them, and labels of units. Every edit is a pure function.

    marks = group(pin(Marks.of(graph), [17, 20]), [17, 20], "capitals")

A node is in one group at most, and what leaves the pins leaves its group. A label is of a unit, so it is written at every
position of it. `Marks.revision` is a digest of the marks themselves: who holds the same one sees the same graph, whoever edited
it, in a browser or in the shell. `circuits.choose_nodes` stores them.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from circuits.graph.graph import CircuitGraph
from circuits.graph.nodes import UNITS
from probe.errors import BadInput
from probe.methods.graph_kinds import node_list
from probe.show.made import made_by, remember

MOST = 300
"Nodes that can be pinned; more could not be read."
LONGEST = 120
"Characters of a name or label."

_UNMARKED = ("explained", "roots", "way", "pushes", "influence", "cancellation", "scores", "size", "net", "_names")
"What is computed of a graph and reads neither a mark nor a label."

Groups = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Marks:
    """pinned: nodes, in the order they were pinned. groups: members by name. labels: texts of units, by node."""

    pinned: tuple[int, ...] = ()
    groups: Groups = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: CircuitGraph) -> "Marks":
        """The marks stored with a graph."""
        texts = {
            int(i): graph.unit_tokens[i] for i in np.flatnonzero(graph.nodes.where(*UNITS)) if graph.unit_tokens[i]
        }
        groups = {name: tuple(members) for name, members in graph.supernodes.items()}
        return cls(tuple(dict.fromkeys(graph.pinned)), groups, texts)

    @property
    def revision(self) -> str:
        """Equal for equal marks, in whatever order they were made."""
        groups = sorted((name, sorted(members)) for name, members in self.groups.items())
        text = json.dumps([sorted(self.pinned), groups, sorted(self.labels.items())])
        return hashlib.sha256(text.encode("utf8", "surrogatepass")).hexdigest()[:12]

    @property
    def chosen(self) -> list[int]:
        """Pinned nodes and members of groups, each once."""
        return list(dict.fromkeys([*self.pinned, *(i for members in self.groups.values() for i in members)]))

    def group_of(self, node: int) -> str | None:
        """The group a node is in."""
        return next((name for name, members in self.groups.items() if node in members), None)


def with_numbers_of(before: CircuitGraph, graph: CircuitGraph) -> CircuitGraph:
    """The graph, marked otherwise than before: what was computed of it then, no mark or label changes; nor the call it is of."""
    graph.__dict__.update({k: before.__dict__[k] for k in _UNMARKED if k in before.__dict__})
    return remember(graph, made_by(before))


def pin(marks: Marks, nodes: Sequence[int]) -> Marks:
    """These nodes pinned too. BadInput where that would be more than `MOST`."""
    pinned = tuple(dict.fromkeys([*marks.pinned, *nodes]))
    found = replace(marks, pinned=pinned)
    if len(found.chosen) > MOST:
        raise BadInput(
            f"{len(found.chosen):,} nodes would be pinned; up to {MOST} can be read. Unpin some, or pin fewer."
        )
    return found


def unpin(marks: Marks, nodes: Sequence[int]) -> Marks:
    """These nodes neither pinned nor in a group; groups left empty go."""
    gone = set(nodes)
    groups = {name: tuple(i for i in members if i not in gone) for name, members in marks.groups.items()}
    kept = {name: members for name, members in groups.items() if members}
    return replace(marks, pinned=tuple(i for i in marks.pinned if i not in gone), groups=kept)


def group(marks: Marks, nodes: Sequence[int], name: str) -> Marks:
    """These nodes as one group, pinned; they leave other groups."""
    chosen = tuple(dict.fromkeys(nodes))
    if len(chosen) < 2:
        raise BadInput("A group needs two nodes or more. Shift and click marks several nodes of the subgraph.")
    rest = {other: tuple(i for i in members if i not in chosen) for other, members in marks.groups.items()}
    kept = {other: members for other, members in rest.items() if members}
    return pin(replace(marks, groups={**kept, _free(name, kept): chosen}), chosen)


def ungroup(marks: Marks, name: str) -> Marks:
    """The group's members by themselves, still pinned."""
    members = _members(marks, name)
    groups = {other: nodes for other, nodes in marks.groups.items() if other != name}
    return pin(replace(marks, groups=groups), members)


def rename(marks: Marks, old: str, new: str) -> Marks:
    """A group under another name, in its place."""
    _members(marks, old)
    name = old if new.strip() == old else _free(new, marks.groups)
    return replace(marks, groups={name if other == old else other: nodes for other, nodes in marks.groups.items()})


def edited_groups(
    graph: CircuitGraph, put: Sequence[str] = (), remove: Sequence[str] = (), rename: Sequence[str] = ()
) -> dict[str, list[int]]:
    """A graph's groups after changes as a shell writes them: first renamed (`old=new`), then removed, then set
    (`name=L5N120@3,L6F2`). A node is in one group, the last that it was put into; what is left empty goes."""
    groups = dict(graph.supernodes)
    for change in rename:
        old, new = _two(change, "old=new")
        if old not in groups or (new in groups and new != old):
            raise BadInput(f"{change!r}: there must be a group {old!r} and none called {new!r}.")
        groups = {new if name == old else name: members for name, members in groups.items()}
    for name in remove:
        if name not in groups:
            raise BadInput(f"There is no group {name!r}; there are {', '.join(map(repr, groups)) or 'none'}.")
        del groups[name]
    for change in put:
        name, members = _two(change, "name=L5N120@3,L6F2")
        chosen = list(dict.fromkeys(i for part in node_list(members) or [members] for i in graph.find(part)))
        groups = {other: [i for i in nodes if i not in chosen] for other, nodes in groups.items()} | {name: chosen}
    return {name: nodes for name, nodes in groups.items() if nodes}


def _two(text: str, wanted: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not sign or not left.strip() or not right.strip():
        raise BadInput(f"{text!r} changes no group; {wanted} was wanted.")
    return left.strip(), right.strip()


def label(graph: CircuitGraph, marks: Marks, node: int, text: str) -> Marks:
    """A text for a unit, at every position of it; an empty one takes it away."""
    if not graph.nodes.where(*UNITS)[node]:
        raise BadInput(f"{graph.name(node)} is no unit. Labels are for neurons, latents, heads and MLPs.")
    n, wanted = graph.nodes, clean(text)
    same = (n.kind == n.kind[node]) & (n.layer == n.layer[node]) & (n.unit == n.unit[node])
    others = {i: t for i, t in marks.labels.items() if not same[i]}
    mine = dict.fromkeys(np.flatnonzero(same).tolist(), wanted) if wanted else {}
    return replace(marks, labels=dict(sorted({**others, **mine}.items())))


def clean(text: str) -> str:
    """A name or label as it is kept: one line, not too long."""
    line = " ".join(str(text).encode("utf8", "replace").decode("utf8").split())
    if len(line) > LONGEST:
        raise BadInput(f"This text has {len(line)} characters; up to {LONGEST} are kept. Shorten it.")
    return line


def _free(name: str, taken: Groups) -> str:
    line = clean(name)
    if not line or line in taken:
        raise BadInput(f"A group needs a name of its own; '{line}' is {'taken' if line else 'empty'}.")
    return line


def _members(marks: Marks, name: str) -> tuple[int, ...]:
    if name not in marks.groups:
        raise BadInput(f"There is no group '{name[:60]}' any more.")
    return marks.groups[name]
