"""Subgraphs of pinned units and collapsed graphs in a notebook."""

from typing import TYPE_CHECKING

import numpy as np

from circuits.graph.html import AGAINST_COLOUR, WITH_COLOUR
from circuits.graph.marking.marks import Marks
from circuits.graph.nodes import ROOTS, UNITS
from circuits.supernodes.collapse import Collapsed
from circuits.supernodes.subgraph import Subgraph
from circuits.supernodes.subgraph_layout import drawing
from probe.artifacts.json import Json
from probe.show.beside import shows
from probe.show.html import block, note, svg, table_html, text, token_text

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph


@shows
def collapsed_html(small: Collapsed) -> str:
    """The groups, and the strongest edges between them."""
    return table_html(small.rows(), small.summary()) + table_html(small.edge_rows(20), "strongest edges")


@shows
def subgraph_html(small: Subgraph) -> str:
    """Its units and groups as boxes with their edges, its scores beside others of its size, its nodes."""
    units = Marks(tuple(np.flatnonzero(small.graph.nodes.where(*UNITS)).tolist()))
    tables = table_html(small.score_rows()), table_html(small.rows())
    return block(boxes_html(small.graph, units), *tables, title=small.summary())


def boxes_html(graph: "CircuitGraph", marks: Marks) -> str:
    """What is marked, drawn as the dashboard draws it: layers upwards, positions across, edges wider with more influence."""
    from circuits.graph.nodes import PUSHES

    drawn = drawing(graph, marks)
    if not drawn["nodes"]:
        return note("Nothing is pinned.")
    left, top, width, height = drawn["box"]
    boxes = {b["id"]: {**b, "x": b["x"] - left, "y": b["y"] - top} for b in [*drawn["nodes"], *drawn["groups"]]}
    rows = [
        f"<text x='6' y='{row['y'] - top + 4:.0f}' opacity='0.75'>{text(row['text'])}</text>" for row in drawn["rows"]
    ]
    lines = [_line(boxes[s], boxes[t], width, against) for s, t, _, width, against, _ in drawn["edges"]]
    parts = [*rows, *lines, *map(_box, boxes.values())]
    return svg(parts, width, height, "subgraph", mono=True) + note(f"{drawn['words']}. {PUSHES}")


def _line(a: Json, b: Json, width: float, against: bool) -> str:
    (x1, y1), (x2, y2) = (a["x"], a["y"] - a["h"] / 2), (b["x"], b["y"] + b["h"] / 2)
    bend = min(max(0.45 * abs(y1 - y2), 18), 90)
    colour = AGAINST_COLOUR if against else WITH_COLOUR
    dashed = " stroke-dasharray='5 4'" if against else ""
    style = f"fill='none' stroke='{colour}' stroke-width='{width:.1f}' stroke-opacity='0.6'{dashed}"
    path = f"M{x1:.0f},{y1:.0f}C{x1:.0f},{y1 - bend:.0f} {x2:.0f},{y2 + bend:.0f} {x2:.0f},{y2:.0f}"
    return f"<path d='{path}' {style}/>"


def _box(box: Json) -> str:
    """A frame with two lines: what it is, and where or how many."""
    x, y = box["x"] - box["w"] / 2, box["y"] - box["h"] / 2
    if "members" in box:
        above, below = text(box["name"], 18), f"{len(box['members'])} nodes"
    elif box["kind"] in ROOTS:
        above, below = token_text(box["label"], 16), f"{box['kind']} {100 * box['number']:.3g} %"
    elif box["kind"] == "token":
        above, below = token_text(box["token"], 10), f"@{box['pos']}"
    else:
        above, below = text(box["title"], 18), f"{token_text(box['token'], 12)} @{box['pos']}"
    said = box["listed"] if "members" in box else box["label"]
    place = f"x='{x:.0f}' y='{y:.0f}' width='{box['w']:.0f}' height='{box['h']:.0f}' rx='5'"
    style = "fill='#7f7f7f' fill-opacity='0.16' stroke='currentColor' stroke-opacity='0.5'"
    frame = f"<rect {place} {style}><title>{text(said, 80)}</title></rect>"
    lines = [(above, -4), (below, 12)]
    words = [
        f"<text x='{box['x']:.0f}' y='{box['y'] + dy:.0f}' text-anchor='middle'>{line}</text>" for line, dy in lines
    ]
    return frame + "".join(words)
