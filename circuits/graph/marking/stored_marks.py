"""The marks of a stored graph, edited by one request at a time, with the steps to undo and how its drawing is looked at.

    now = marked("small")                                                # its marks, history and view
    now = mark("small", {"op": "pin", "nodes": [17]}, now.marks.revision)

Pins, groups and labels live in the graph itself (`circuits.choose_nodes`), so that the shell and a notebook see them. Beside it,
`edits/NAME.json` holds what only who draws it needs: the steps to undo and redo, where nodes were dragged, which groups are open,
and suggestions put aside. It names the graph's edges by their digest, so that a graph traced anew under the name starts afresh.

Who asks says on which revision the request was made. Where the graph has moved on meanwhile, in another tab or in the shell, an
edit is made on top of what is there and the answer says so; undo and redo, which would take back somebody else's edit, are
refused. Nothing is overwritten in silence.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from circuits.graph.graph import CircuitGraph
from circuits.graph.marking.edits import edited
from circuits.graph.marking.history import History
from circuits.graph.marking.marks import MOST, Marks, with_numbers_of
from circuits.graph.store import UNTRACED, choose_nodes, edges_digest, editing, load_graph
from probe.artifacts.folder import home
from probe.artifacts.json import Json, write_json
from probe.artifacts.manifest import found_folder
from probe.artifacts.untrusted import read_json
from probe.errors import BadInput, OpenworkError, Unavailable

LABELLED = 3000  # labels told at once


@dataclass(frozen=True)
class View:
    """How the subgraph is looked at: places of dragged nodes by id, names of open groups, suggestions put aside."""

    at: dict[str, list[float]] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    dismissed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Marked:
    """A graph, its marks, what can be undone, and what the last request came to. stale: somebody else had edited the graph."""

    graph: CircuitGraph
    marks: Marks
    history: History
    view: View
    said: str = ""
    stale: bool = False
    wrong: bool = False

    def to_dict(self) -> Json:
        """The marks, what can be undone and done again in words, and what the last request came to."""
        marks, history = self.marks, self.history
        return {
            "revision": marks.revision,
            "pinned": list(marks.pinned),
            "groups": [{"name": k, "members": list(v)} for k, v in marks.groups.items()],
            "labels": dict(list(marks.labels.items())[:LABELLED]),
            "undo": history.past[-1].words if history.past else None,
            "redo": history.future[-1].words if history.future else None,
            "said": self.said,
            "state": "wrong" if self.wrong else "stale" if self.stale else "",
        }


def marked(folder: Path | str, graph: CircuitGraph | None = None) -> Marked:
    """A stored graph's marks as they are now. graph: the stored graph, where it was read already."""
    folder = found_folder("graph", folder, UNTRACED)
    graph, kept = load_graph(folder) if graph is None else graph, _read(folder)
    marks = Marks.of(graph)
    if kept.get("body") != edges_digest(folder):
        return Marked(graph, marks, History(), View())
    history = History.from_dict(kept.get("history")) if kept.get("revision") == marks.revision else History()
    return Marked(graph, marks, history, _view(kept.get("view")))


def mark(folder: Path | str, request: Json, revision: str | None = None, graph: CircuitGraph | None = None) -> Marked:
    """Make one edit and store it at once. What cannot be done changes nothing and is said in the answer."""
    folder = found_folder("graph", folder, UNTRACED)
    with editing(folder):
        now = marked(folder, graph)
        stale = bool(revision) and revision != now.marks.revision
        try:
            after, history, words = _after(now, request, stale)
            if after == now.marks:
                return replace(now, said="Nothing to change: it is so already.", stale=stale)
            stored = _store(folder, now, after)
            _write(folder, after, history, now.view)
        except OpenworkError as error:
            return replace(now, said=str(error), stale=stale, wrong=True)
    elsewhere = "This graph had been edited elsewhere since; that edit was kept. " if stale else ""
    return Marked(stored, after, history, now.view, f"{elsewhere}{words[:1].upper()}{words[1:]}.", stale)


def _after(now: Marked, request: Json, stale: bool) -> tuple[Marks, History, str]:
    if request.get("op") in ("undo", "redo"):
        if stale:
            raise BadInput("This graph was edited elsewhere, in another tab or in the shell. Now that edit is shown.")
        if request["op"] == "undo":
            marks, history = now.history.undone(now.marks)
            return marks, history, f"undone: {history.future[-1].words}"
        marks, history = now.history.redone(now.marks)
        return marks, history, f"done again: {history.past[-1].words}"
    marks, words = edited(now.graph, now.marks, request)
    return marks, now.history.done(now.marks, marks, words), words


def _store(folder: Path, now: Marked, after: Marks) -> CircuitGraph:
    """Write the marks into the graph's folder in one step; what was computed of the graph stays computed."""
    before = now.marks
    texts = {i: after.labels.get(i, "") for i in {*before.labels, *after.labels}}
    labels = {i: text for i, text in texts.items() if text != before.labels.get(i, "")}
    changes: dict[str, Any] = {"pinned": after.pinned, "supernodes": after.groups, "labels": labels}
    return with_numbers_of(now.graph, choose_nodes(folder, **changes))


def look(folder: Path | str, change: Json, graph: CircuitGraph | None = None) -> None:
    """Keep how the subgraph is looked at: `move` {id: [x, y]}, `open` or `close` a group, `dismiss` a suggestion, `tidy`."""
    folder = found_folder("graph", folder, UNTRACED)
    with editing(folder):
        now = marked(folder, graph)
        view = _changed(now.view, change)
        if view != now.view:
            _write(folder, now.marks, now.history, view)


def _changed(view: View, change: Json) -> View:
    moved = {str(k): _point(v) for k, v in (change.get("move") or {}).items()}
    opened = [n for n in view.opened if n != change.get("close")]
    opened += [str(change["open"])] if change.get("open") and change["open"] not in opened else []
    put_aside = [str(change["dismiss"])] if change.get("dismiss") else []
    at = {} if change.get("tidy") else {**view.at, **moved}
    return View(
        dict(list(at.items())[-2 * MOST :]), opened[-MOST:], list(dict.fromkeys([*view.dismissed, *put_aside]))[-MOST:]
    )


def _point(value: object) -> list[float]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, int | float) and abs(v) < 1e6 for v in value):
        return [float(v) for v in value]
    raise BadInput("A place in the drawing is two numbers, like [120, 45].")


def _view(value: object) -> View:
    try:
        at = {str(k): _point(v) for k, v in value["at"].items()}
        return View(at, [str(n) for n in value["opened"]], [str(n) for n in value["dismissed"]])
    except (KeyError, TypeError, AttributeError, BadInput):
        return View()


def edits_file(folder: Path) -> Path:
    """Where a graph's steps and views are kept."""
    return home() / "edits" / f"{folder.name}.json"


def _read(folder: Path) -> Json:
    try:
        value = read_json(edits_file(folder))
    except Unavailable:
        return {}
    return value if isinstance(value, dict) else {}


def _write(folder: Path, marks: Marks, history: History, view: View) -> None:
    file = edits_file(folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    value = {"body": edges_digest(folder), "revision": marks.revision, "history": history.to_dict(), "view": vars(view)}
    write_json(file, value)
