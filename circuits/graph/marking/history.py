"""The steps of a graph's marks that can be undone and done again: the parts that each changed, before and after.

history = History().done(marks, after, "pinned L5N120@3")
marks, history = history.undone(after)
"""

from dataclasses import asdict, dataclass

from circuits.graph.marking.marks import Marks
from probe.artifacts.json import Json
from probe.errors import BadInput

DEEPEST = 100  # steps that can be undone


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
