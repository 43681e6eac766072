"""What a person marks in a circuit: pinned nodes, groups of them, and labels of units. Every edit is a pure function.

    marks = Marks.of(graph)
    after, words = edited(graph, marks, {"op": "pin", "nodes": [17]})
    history = History().done(marks, after, words)
    marks, history = history.undone(after)

A node is in one group at most, and what leaves the pins leaves its group. A label is of a unit, so it is written at every
position of it. `Marks.revision` is a digest of the marks themselves: two pages that hold the same one see the same graph,
whoever edited it, in a browser or in the shell.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from circuits.graph.graph import KINDS, UNITS, CircuitGraph
from probe.errors import BadInput

MOST = 300
"Nodes that can be pinned; more could not be read."
LONGEST, DEEPEST = 120, 100  # characters of a name or label; steps that can be undone

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


# -- edits ---------------------------------------------------------------------------------------------------------------


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


def label(graph: CircuitGraph, marks: Marks, node: int, text: str) -> Marks:
    """A text for a unit, at every position of it; an empty one takes it away."""
    if not graph.nodes.where(*UNITS)[node]:
        raise BadInput(f"{graph.name(node)} is no unit. Labels are for neurons, latents, heads and MLPs.")
    n, wanted = graph.nodes, clean(text)
    same = (n.kind == n.kind[node]) & (n.layer == n.layer[node]) & (n.unit == n.unit[node])
    others = {i: t for i, t in marks.labels.items() if not same[i]}
    mine = dict.fromkeys(np.flatnonzero(same).tolist(), wanted) if wanted else {}
    return replace(marks, labels=dict(sorted({**others, **mine}.items())))


def strongest(graph: CircuitGraph, n: int) -> list[int]:
    """The n units of most influence."""
    units = np.flatnonzero(graph.nodes.where(*UNITS))
    return units[np.argsort(-graph.influence[units], kind="stable")[:n]].tolist()


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


# -- what a page asks for ------------------------------------------------------------------------------------------------


def edited(graph: CircuitGraph, marks: Marks, request: dict[str, Any]) -> tuple[Marks, str]:
    """The marks after a page's request, and what was done in words. BadInput for what cannot be done."""
    op = str(request.get("op"))
    nodes = _nodes(graph, request.get("nodes", []))
    name, text = str(request.get("name", "")), str(request.get("text", ""))
    if op == "toggle" and nodes:
        op = "unpin" if nodes[0] in marks.chosen else "pin"
    if op == "pin":
        return pin(marks, nodes), f"pinned {_count(graph, nodes)}"
    if op == "unpin":
        return unpin(marks, nodes), f"unpinned {_count(graph, nodes)}"
    if op == "clear":
        return replace(marks, pinned=(), groups={}), "unpinned everything"
    if op == "top":
        chosen = strongest(graph, _number(request.get("n")))
        return pin(marks, chosen), f"pinned the {len(chosen)} most influential units"
    if op == "group":
        made = name or _unused(marks)
        return group(marks, nodes, made), f"grouped {_count(graph, nodes)} as '{clean(made)}'"
    if op == "ungroup":
        return ungroup(marks, name), f"ungrouped '{name}'"
    if op == "rename":
        return rename(marks, name, text), f"renamed '{name}' to '{clean(text)}'"
    if op == "label" and nodes:
        what = graph.name(nodes[0]).split("@")[0]
        words = f"labelled {what} '{clean(text)}'" if text.strip() else f"took the label of {what} away"
        return label(graph, marks, nodes[0], text), words
    raise BadInput(f"'{op[:40]}' is no edit of a graph.")


def _nodes(graph: CircuitGraph, nodes: Any) -> list[int]:
    n = len(graph.nodes)
    if not isinstance(nodes, list) or not all(
        isinstance(i, int) and not isinstance(i, bool) and 0 <= i < n for i in nodes
    ):
        raise BadInput(f"The page named nodes this graph has not; it has {n}. Reload the page.")
    return nodes


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MOST:
        raise BadInput(f"Give how many to pin, from 1 to {MOST}.")
    return int(value)


def _count(graph: CircuitGraph, nodes: Sequence[int]) -> str:
    return graph.name(nodes[0]) if len(nodes) == 1 else f"{len(nodes)} nodes"


def _unused(marks: Marks) -> str:
    return next(name for i in range(1, len(marks.groups) + 2) if (name := f"group {i}") not in marks.groups)


def kind_of(graph: CircuitGraph, node: int) -> str:
    """The kind of a node by name."""
    return KINDS[graph.nodes.kind[node]]


# -- undo and redo -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One edit: what it was in words, and the parts of the marks that it changed, as they were before and after."""

    words: str
    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True)
class History:
    """Steps that can be undone, newest last, and steps that can be done again, next last."""

    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()

    def done(self, before: Marks, after: Marks, words: str) -> "History":
        """With one more step, which ends what could be done again."""
        one, other = _parts(before, after)
        return History((*self.past, Step(words, one, other))[-DEEPEST:], ())

    def undone(self, marks: Marks) -> tuple[Marks, "History"]:
        """The marks and the history before the last step. BadInput where there is none."""
        if not self.past:
            raise BadInput("There is nothing to undo.")
        step = self.past[-1]
        return _put(marks, step.after, step.before), History(self.past[:-1], (*self.future, step))

    def redone(self, marks: Marks) -> tuple[Marks, "History"]:
        """The marks and the history with the step that was undone last. BadInput where there is none."""
        if not self.future:
            raise BadInput("There is nothing to do again.")
        step = self.future[-1]
        return _put(marks, step.before, step.after), History((*self.past, step), self.future[:-1])

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"past": [asdict(s) for s in self.past], "future": [asdict(s) for s in self.future]}

    @classmethod
    def from_dict(cls, value: Any) -> "History":
        """What `to_dict` wrote; empty where that cannot be read, since a lost history is no reason to refuse a graph."""
        try:
            return cls(*(tuple(_step(s) for s in value[name]) for name in ("past", "future")))
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls()


def _step(value: Any) -> Step:
    def part(found: dict[str, Any]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        if "pinned" in found:
            read["pinned"] = [int(i) for i in found["pinned"]]
        if "groups" in found:
            read["groups"] = {str(k): [int(i) for i in v] for k, v in found["groups"].items()}
        if "labels" in found:
            read["labels"] = {int(k): str(v) for k, v in found["labels"].items()}
        return read

    return Step(str(value["words"]), part(value["before"]), part(value["after"]))


def _parts(before: Marks, after: Marks) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs, as it is in each."""
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    if before.pinned != after.pinned:
        one["pinned"], other["pinned"] = list(before.pinned), list(after.pinned)
    if list(before.groups.items()) != list(after.groups.items()):
        one["groups"], other["groups"] = ({k: list(v) for k, v in m.groups.items()} for m in (before, after))
    keys = {*before.labels, *after.labels}
    changed = sorted(i for i in keys if before.labels.get(i, "") != after.labels.get(i, ""))
    if changed:
        one["labels"], other["labels"] = ({i: m.labels.get(i, "") for i in changed} for m in (before, after))
    return one, other


def _put(marks: Marks, old: dict[str, Any], new: dict[str, Any]) -> Marks:
    """The marks with the parts `old` replaced by `new`."""
    labels = {**marks.labels, **new.get("labels", {})}
    return Marks(
        tuple(new.get("pinned", marks.pinned)),
        {k: tuple(v) for k, v in new["groups"].items()} if "groups" in new else marks.groups,
        {i: text for i, text in sorted(labels.items()) if text} if old.get("labels") else marks.labels,
    )
