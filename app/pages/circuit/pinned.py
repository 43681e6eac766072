"""What the page is told of a graph's marks: the marks themselves, the drawing of them, and what is pinned as rows."""

from dataclasses import replace
from functools import lru_cache

from app.components.drawn import Drawn
from app.library import labels
from app.library.graphs import graph_mark, reading, shown_graph
from app.pages.circuit.marks_on_disk import Marked, marked
from app.pages.circuit.panels import EDGES_KEPT
from app.pages.circuit.tables import pin_rows
from circuits.supernodes import drawing as boxes
from probe.artifacts.json import Json

LABELLED = 3000  # labels sent to the page at once, to be edited there


def marks_data(name: str, now: Marked | None = None) -> Json:
    """The marks of a graph for its page, with what can be undone and what the last request came to."""
    now = now or marked(name)
    m, history = now.marks, now.history
    return {
        "graph": name,
        "revision": m.revision,
        "pinned": list(m.pinned),
        "groups": [{"name": k, "members": list(v)} for k, v in m.groups.items()],
        "labels": dict(list(m.labels.items())[:LABELLED]),
        "undo": history.past[-1].words if history.past else None,
        "redo": history.future[-1].words if history.future else None,
        "said": now.said,
        "state": "wrong" if now.wrong else "stale" if now.stale else "",
    }


@lru_cache(maxsize=32)
def _drawing(name: str, mark: tuple[int, int], edges: float, view: str) -> Json:
    """`mark` changes with every edit and label, `view` with every look, so what is kept is never of another state."""
    now = marked(name)
    return boxes.drawing(shown_graph(name), now.marks, edges, now.view.opened, now.view.at)


def drawing(name: str, edges: float | None) -> tuple[Drawn, str]:
    """What is drawn, and how much of it in words."""
    with reading:
        view, mark = str(marked(name).view), (graph_mark(name), labels.mark())
        found = _drawing(name, mark, round(float(edges or EDGES_KEPT), 2), view)
    more = f"; {found['left_out']:,} pinned nodes of little influence are not drawn" if found["left_out"] else ""
    return found, f"{found['words']}{more}"


def pin_table(name: str) -> Drawn:
    """What is pinned as rows, group by group."""
    return pin_rows(shown_graph(name), marked(name).marks)


def seen_again(name: str, revision: object) -> Json | None:
    """The marks for a page that was left and is looked at again; None where nobody edited the graph meanwhile."""
    now = marked(name)
    if now.marks.revision == revision:
        return None
    said = "Edited meanwhile, in another tab or in the shell; this is how it is now."
    return marks_data(name, replace(now, said=said, stale=True))
