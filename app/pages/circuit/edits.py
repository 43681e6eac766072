"""What a circuit's page asks to be edited, and the steps that can be undone: the marks that each changed, before and after.

after, words = edited(graph, marks, {"op": "pin", "nodes": [17]})
history = History().done(marks, after, words)
marks, history = history.undone(after)
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from circuits.graph.asked import top_units
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.marks import MOST, Marks, clean, group, label, pin, rename, ungroup, unpin
from probe.artifacts.json import Json
from probe.errors import BadInput

DEEPEST = 100  # steps that can be undone


def edited(graph: CircuitGraph, marks: Marks, request: Json) -> tuple[Marks, str]:
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
        chosen = top_units(graph, _number(request.get("n")))
        return pin(marks, chosen), f"pinned the {len(chosen)} most influential units"
    if op == "group":
        made = name or next(n for i in range(1, len(marks.groups) + 2) if (n := f"group {i}") not in marks.groups)
        return group(marks, nodes, made), f"grouped {_count(graph, nodes)} as '{clean(made)}'"
    if op == "prune":
        chosen = kept_units(graph, _share(request.get("keep")), _share(request.get("edges")))
        return pin(marks, chosen), f"pinned {_count(graph, chosen)} that the sliders keep"
    if op == "ungroup":
        name = name or _group_of(marks, nodes)
        return ungroup(marks, name), f"ungrouped '{name}'"
    if op == "rename":
        return rename(marks, name, text), f"renamed '{name}' to '{clean(text)}'"
    if op == "label" and nodes:
        what = graph.name(nodes[0]).split("@")[0]
        words = f"labelled {what} '{clean(text)}'" if text.strip() else f"took the label of {what} away"
        return label(graph, marks, nodes[0], text), words
    raise BadInput(f"'{op[:40]}' is no edit of a graph.")


def _nodes(graph: CircuitGraph, nodes: object) -> list[int]:
    n = len(graph.nodes)
    if not isinstance(nodes, list) or not all(type(i) is int and 0 <= i < n for i in nodes):
        raise BadInput(f"The page named nodes this graph has not; it has {n}. Reload the page.")
    return nodes


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= MOST:
        raise BadInput(f"Give how many to pin, from 1 to {MOST}.")
    return int(value)


def _share(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadInput("How much is kept is a share from 0 to 1. Move a slider and try again.")
    return float(value)


def _group_of(marks: Marks, nodes: Sequence[int]) -> str:
    """The group of the first node, which is the one that is selected."""
    if not nodes or (found := marks.group_of(nodes[0])) is None:
        raise BadInput("The selected node is in no group. Select a member of the group first.")
    return found


def kept_units(graph: CircuitGraph, keep: float, edges: float) -> list[int]:
    """The units that are left when nodes and edges of less influence go; where they are too many to pin, `pin` says so."""
    return np.flatnonzero(graph.prune(keep, edges).nodes & graph.nodes.where(*UNITS)).tolist()


def _count(graph: CircuitGraph, nodes: Sequence[int]) -> str:
    return graph.name(nodes[0]) if len(nodes) == 1 else f"{len(nodes)} nodes"


@dataclass(frozen=True)
class Step:
    """One edit: what it was in words, and the parts of the marks that it changed, as JSON has them, before and after."""

    words: str
    before: Json
    after: Json


@dataclass(frozen=True)
class History:
    """Steps that can be undone, newest last, and steps that can be done again, next last."""

    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()

    def done(self, before: Marks, after: Marks, words: str) -> "History":
        """With one more step, which ends what could be done again."""
        return History((*self.past, Step(words, *_parts(before, after)))[-DEEPEST:], ())

    def undone(self, marks: Marks) -> tuple[Marks, "History"]:
        """The marks and the history before the last step. BadInput where there is none."""
        if not self.past:
            raise BadInput("There is nothing to undo.")
        return _put(marks, self.past[-1].before), History(self.past[:-1], (*self.future, self.past[-1]))

    def redone(self, marks: Marks) -> tuple[Marks, "History"]:
        """The marks and the history with the step that was undone last. BadInput where there is none."""
        if not self.future:
            raise BadInput("There is nothing to do again.")
        return _put(marks, self.future[-1].after), History((*self.past, self.future[-1]), self.future[:-1])

    def to_dict(self) -> Json:
        """Ready for JSON."""
        return {"past": [asdict(s) for s in self.past], "future": [asdict(s) for s in self.future]}

    @classmethod
    def from_dict(cls, value: object) -> "History":
        """What `to_dict` wrote; empty where that cannot be read, since a lost history is no reason to refuse a graph."""
        try:
            found = cls(*(tuple(Step(str(s["words"]), s["before"], s["after"]) for s in value[n]) for n in _SIDES))
            for step in (*found.past, *found.future):
                _put(_put(Marks(), step.before), step.after)
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls()
        return found


_SIDES = ("past", "future")


def _parts(before: Marks, after: Marks) -> tuple[Json, Json]:
    """What differs, as it is in each: pins, groups (their order too), and the labels of some units, empty where there is none."""
    changed = sorted(i for i in {*before.labels, *after.labels} if before.labels.get(i, "") != after.labels.get(i, ""))

    def of(marks: Marks) -> Json:
        return {
            **({"pinned": list(marks.pinned)} if before.pinned != after.pinned else {}),
            **({"groups": {k: list(v) for k, v in marks.groups.items()}} if regrouped else {}),
            **({"labels": {str(i): marks.labels.get(i, "") for i in changed}} if changed else {}),
        }

    regrouped = list(before.groups.items()) != list(after.groups.items())
    return of(before), of(after)


def _put(marks: Marks, parts: Json) -> Marks:
    """The marks with these parts in place of their own."""
    pinned = tuple(int(i) for i in parts.get("pinned", marks.pinned))
    groups = {str(k): tuple(int(i) for i in v) for k, v in parts.get("groups", marks.groups).items()}
    labels = marks.labels | {int(i): str(text) for i, text in parts.get("labels", {}).items()}
    return Marks(pinned, groups, {i: text for i, text in sorted(labels.items()) if text})
