"""The subgraph of what a person pinned: which boxes and edges are drawn, and where. Pure arrays; the browser only draws.

Pinned nodes, groups, the likeliest roots and the tokens that feed them. Layers go upwards, one row for each layer in use, and
positions go across in the order of the prompt; boxes of one position are ordered by where their neighbours stand (barycentres).
In each row the boxes go as near to their columns as they can without touching: the least-squares places in a given order are an
isotonic regression, so two boxes never overlap. A closed group is one box whose edges are sums, an open one a frame around its
members. Edges are direct ones of the graph; the fewest that hold a share of the influence between these boxes are drawn.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.influence import fewest
from circuits.graph.link_graph_nodes import FIRST_EDGES
from circuits.graph.marking.marks import MOST, Marks
from circuits.graph.naming import kind_of, label, short, titled
from circuits.supernodes.boxes import NARROW, WIDE, Box, moved, opened_out, placed
from circuits.supernodes.edge_widths import edge_opacity, edge_width
from probe.artifacts.json import Json
from probe.words import counted

MOST_EDGES, MOST_ROOTS, MOST_TOKENS = 1000, 5, 16
FED = 0.9  # of what the tokens give the chosen nodes, the share that the drawn ones give


def drawing(
    graph: CircuitGraph,
    marks: Marks,
    share: float = FIRST_EDGES,
    opened: Sequence[str] = (),
    at: Mapping[str, Sequence[float]] | None = None,
) -> Json:
    """Everything the browser draws. share: of the influence between the boxes that the drawn edges hold. at: dragged boxes."""
    chosen = _chosen(graph, marks)
    if not chosen:
        return {"nodes": [], "groups": [], "edges": [], "rows": [], "width": 0, "height": 0, "words": "", "left_out": 0}
    tokens, roots = _around(graph, chosen)
    boxes = _boxes(graph, marks, [*chosen, *(i for i in [*tokens, *roots] if i not in chosen)], set(opened))
    ends = [b for box in boxes for b in (box.inner or [box])]
    edges = _edges(graph, ends)
    kept, held = _strongest(edges, share)
    rows = placed(boxes, *(e[kept] for e in edges[:2]), ends)
    for box in [*boxes, *ends]:
        if at and box.id in at:
            moved(box, at[box.id])
    return _drawn(graph, marks, boxes, ends, edges, kept, held, rows) | {"left_out": len(marks.chosen) - len(chosen)}


def _chosen(graph: CircuitGraph, marks: Marks) -> list[int]:
    """Pinned nodes and members of groups, the most influential where there are too many to draw."""
    nodes = np.array(marks.chosen, np.int64)
    if len(nodes) > MOST:
        nodes = nodes[np.argsort(-(graph.influence + graph.probability)[nodes], kind="stable")[:MOST]]
    return sorted(nodes.tolist())


def _around(graph: CircuitGraph, chosen: list[int]) -> tuple[list[int], list[int]]:
    """The fewest tokens that give the chosen nodes `FED` of what all give, and the likeliest roots, which show what they are part
    of. A token that gives next to nothing would only make the drawing wider than can be read."""
    roots = np.flatnonzero(graph.roots)
    roots = roots[np.argsort(-graph.probability[roots], kind="stable")[:MOST_ROOTS]]
    room = max(0, min(MOST_TOKENS, MOST - len(chosen) - len(roots)))
    inside = _mask(graph, chosen)
    into = graph.nodes.where("token", "input")[graph.edges.source] & inside[graph.edges.target]
    feed = np.bincount(graph.edges.source[into], np.abs(graph.edges.weight[into]), minlength=len(graph.nodes))
    order = np.argsort(-feed, kind="stable")
    enough = fewest(feed, FED)
    order = order[: min(room, enough)]
    return sorted(order[feed[order] > 0].tolist()), roots.tolist()


def _mask(graph: CircuitGraph, nodes: Sequence[int]) -> Bool[np.ndarray, " node"]:
    mask = np.zeros(len(graph.nodes), bool)
    mask[list(nodes)] = True
    return mask


def _boxes(graph: CircuitGraph, marks: Marks, nodes: list[int], opened: set[str]) -> list[Box]:
    """One box for each group and each node outside of groups."""
    shown, boxes = set(nodes), []
    for name, members in marks.groups.items():
        mine = sorted(i for i in members if i in shown)
        if not mine:
            continue
        shown -= set(mine)
        layer, pos = (float(np.mean(a[mine])) for a in (graph.nodes.layer, graph.nodes.pos))
        box = Box(f"g:{name}", mine, name, pos, round(layer))
        if name in opened:
            opened_out(box, [_single(graph, i) for i in mine])
        boxes.append(box)
    return [*boxes, *(_single(graph, i) for i in sorted(shown))]


def _single(graph: CircuitGraph, node: int) -> Box:
    width = NARROW if KINDS[graph.nodes.kind[node]] == "token" else WIDE
    return Box(f"n{node}", [node], None, float(graph.nodes.pos[node]), int(graph.nodes.layer[node]), width)


Edges = tuple[
    Int[np.ndarray, " e"],
    Int[np.ndarray, " e"],
    Float[np.ndarray, " e"],
    Float[np.ndarray, " e"],
    Float[np.ndarray, " e"],
]


def _edges(graph: CircuitGraph, ends: list[Box]) -> Edges:
    """Edges between boxes, of several nodes summed: numbers of the two boxes, weight, the influence that runs along, and the
    weight as `CircuitGraph.pushes` signs it."""
    box_of = np.full(len(graph.nodes), -1)
    for i, box in enumerate(ends):
        box_of[box.nodes] = i
    e = graph.edges
    source, target = box_of[e.source], box_of[e.target]
    between = np.flatnonzero((source >= 0) & (target >= 0) & (source != target))
    flow = graph.flow(between)
    keys, place = np.unique(source[between].astype(np.int64) * len(ends) + target[between], return_inverse=True)
    sums = [
        np.bincount(place, w.astype(np.float64), minlength=len(keys))
        for w in (e.weight[between], flow, graph.pushes[between])
    ]
    return keys // len(ends), keys % len(ends), sums[0], sums[1], sums[2]


def _strongest(edges: Edges, share: float) -> tuple[Int[np.ndarray, " kept"], float]:
    """The fewest edges with this share of all influence between the boxes, and every box's strongest in and out, so that none
    stands alone; at most `MOST_EDGES`, strongest first. And the share they hold together."""
    source, target, _, flow, _ = edges
    order = np.argsort(-flow, kind="stable")
    order = order[flow[order] > 0]
    total = float(flow.sum())
    if not len(order):
        return order, 1.0
    enough = fewest(flow, share)
    always = np.zeros(len(order), bool)
    for ends in (source, target):
        always[np.unique(ends[order], return_index=True)[1]] = True
    more = np.flatnonzero(~always[:enough])[: max(0, MOST_EDGES - int(always.sum()))]
    always[more] = True
    kept = order[always]
    return kept, float(flow[kept].sum() / total)


def _drawn(
    graph: CircuitGraph,
    marks: Marks,
    boxes: list[Box],
    ends: list[Box],
    edges: Edges,
    kept: Int[np.ndarray, " kept"],
    held: float,
    rows: Sequence[Json],
) -> Json:
    left = min(b.x - b.width / 2 for b in boxes) - 60
    top = min(b.y - b.height / 2 for b in boxes) - 16
    right, bottom = max(b.x + b.width / 2 for b in boxes), max(b.y + b.height / 2 for b in boxes)
    source, target, weight, flow, pushes = (e[kept] for e in edges)
    strength = flow / (float(flow.max(initial=0.0)) or 1.0)
    pinned, influence = set(marks.chosen), float(graph.influence[graph.explained].max(initial=0.0)) or 1.0
    total, what = len(edges[0]), "the sizes of scores" if graph.of_task else "the influence"
    return {
        "nodes": [_node(graph, b, pinned, influence) for b in ends if b.group is None],
        "groups": [_group(graph, b) for b in boxes if b.group is not None],
        "edges": [
            [ends[s].id, ends[t].id, float(f"{w:.4g}"), edge_width(f), push < 0, edge_opacity(f)]
            for s, t, w, f, push in zip(*(a.tolist() for a in (source, target, weight, strength, pushes)), strict=True)
        ],
        "rows": [{"text": _row_name(graph, r["layer"]), "y": round(r["y"], 1)} for r in rows],
        "box": [round(v, 1) for v in (left, top, right + 16 - left, bottom + 16 - top)],
        "words": f"{len(kept):,} of {counted(total, 'edge')}, {100 * held:.0f} % of {what} between these boxes",
    }


def _row_name(graph: CircuitGraph, layer: int) -> str:
    if layer < 0:
        return "input" if graph.of_task else "tokens"
    return "logits" if layer >= graph.n_layers else f"L{layer}"


def _node(graph: CircuitGraph, box: Box, pinned: set[int], most: float) -> Json:
    i = box.nodes[0]
    kind, root = KINDS[graph.nodes.kind[i]], bool(graph.roots[i])
    size = float(graph.probability[i]) if root else float(graph.influence[i]) / most
    return {
        **_frame(box),
        "node": i,
        "kind": kind,
        "what": kind_of(graph, i),
        "title": short(graph, i),
        "label": graph.unit_tokens[i] if root else label(graph, i),
        "token": None if graph.of_task else graph.tokens[int(graph.nodes.pos[i])],
        "pos": None if graph.of_task else int(graph.nodes.pos[i]),
        "pinned": i in pinned,
        "size": round(min(size, 1.0), 4),
        "number": float(f"{graph.probability[i] if root else graph.influence[i]:.4g}"),
    }


def _group(graph: CircuitGraph, box: Box) -> Json:
    return {
        **_frame(box),
        "name": box.group,
        "open": box.inner is not None,
        "members": box.nodes,
        "listed": ", ".join(
            titled(graph, i, 40) + ("" if graph.of_task else f"@{graph.nodes.pos[i]}") for i in box.nodes[:12]
        ),
        "number": float(f"{graph.influence[box.nodes].sum():.4g}"),
    }


def _frame(box: Box) -> Json:
    return {"id": box.id, "x": round(box.x, 1), "y": round(box.y, 1), "w": box.width, "h": box.height}
