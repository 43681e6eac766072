"""What was edited and can be undone: for each step the marks that it changed, before and after."""

from dataclasses import asdict, dataclass
from typing import Any

from app.pages.circuit.marks import DEEPEST, Marks
from probe.artifacts.json import Json
from probe.errors import BadInput


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

    def to_dict(self) -> Json:
        """Ready for JSON."""
        return {"past": [asdict(s) for s in self.past], "future": [asdict(s) for s in self.future]}

    @classmethod
    def from_dict(cls, value: object) -> "History":
        """What `to_dict` wrote; empty where that cannot be read, since a lost history is no reason to refuse a graph."""
        try:
            return cls(*(tuple(_step(s) for s in value[name]) for name in ("past", "future")))
        except (KeyError, TypeError, ValueError, AttributeError):
            return cls()


def _step(value: object) -> Step:
    def part(found: Json) -> Json:
        read: dict[str, Any] = {}
        if "pinned" in found:
            read["pinned"] = [int(i) for i in found["pinned"]]
        if "groups" in found:
            read["groups"] = {str(k): [int(i) for i in v] for k, v in found["groups"].items()}
        if "labels" in found:
            read["labels"] = {int(k): str(v) for k, v in found["labels"].items()}
        return read

    return Step(str(value["words"]), part(value["before"]), part(value["after"]))


def _parts(before: Marks, after: Marks) -> tuple[Json, Json]:
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


def _put(marks: Marks, old: Json, new: Json) -> Marks:
    """The marks with the parts `old` replaced by `new`."""
    labels = {**marks.labels, **new.get("labels", {})}
    return Marks(
        tuple(new.get("pinned", marks.pinned)),
        {k: tuple(v) for k, v in new["groups"].items()} if "groups" in new else marks.groups,
        {i: text for i, text in sorted(labels.items()) if text} if old.get("labels") else marks.labels,
    )
