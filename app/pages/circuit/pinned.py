"""What the page is told of a graph's marks: the marks themselves, the drawing of them, and what is pinned as rows."""

from dataclasses import replace
from functools import lru_cache

from app.components.drawn import Drawn
from app.library import labels
from app.library.graphs import graph_mark, marked, reading, shown_graph
from circuits.graph import rows
from circuits.graph.link_graph_nodes import FIRST_EDGES
from circuits.graph.marking.stored_marks import Marked
from circuits.supernodes import subgraph_layout
from probe.artifacts.json import Json


def marks_data(name: str, now: Marked | None = None) -> Json:
    """The marks of a graph for its page, with what can be undone and what the last request came to."""
    return {"graph": name, **(now or marked(name)).to_dict()}


@lru_cache(maxsize=32)
def _drawing(name: str, mark: tuple[int, int], edges: float, view: str) -> Json:
    """`mark` changes with every edit and label, `view` with every look, so what is kept is never of another state."""
    now = marked(name)
    return subgraph_layout.drawing(shown_graph(name), now.marks, edges, now.view.opened, now.view.at)


def drawing(name: str, edges: float | str | None) -> tuple[Drawn, str]:
    """What is drawn, and how much of it in words. edges: a share; which edges the link graph shows is no matter here."""
    share = FIRST_EDGES if isinstance(edges, str) or not edges else float(edges)
    with reading:
        view, mark = str(marked(name).view), (graph_mark(name), labels.mark())
        found = _drawing(name, mark, round(share, 2), view)
    more = f"; {found['left_out']:,} pinned nodes that matter little are not drawn" if found["left_out"] else ""
    return found, f"{found['words']}{more}"


def pin_table(name: str) -> Drawn:
    """What is pinned as rows, group by group."""
    return rows.pin_table(shown_graph(name), marked(name).marks)


def seen_again(name: str, revision: object) -> Json | None:
    """The marks for a page that was left and is looked at again; None where nobody edited the graph meanwhile."""
    now = marked(name)
    if now.marks.revision == revision:
        return None
    said = "Edited meanwhile, in another tab or in the shell; this is how it is now."
    return marks_data(name, replace(now, said=said, stale=True))
