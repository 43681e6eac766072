"""Where the boxes of a subgraph stand: rows for layers, columns for positions, none on another. Pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from probe.artifacts.json import Json

WIDE, HIGH, GAP, ROW = 132, 42, 14, 36  # pixels: a box, between boxes, between rows


SHAPE = 2.2  # of the frame on the page: width over height


NARROW, _LINE, _SIDE = 78, 14, 12  # pixels of a token's box; boxes in a row; pixels around an open group's members


@dataclass
class Box:
    """One thing drawn: a node, or a group with its members. row: layer; width, height and centre in pixels."""

    id: str
    nodes: list[int]
    group: str | None
    pos: float
    layer: int
    width: float = WIDE
    height: float = HIGH
    x: float = 0.0
    y: float = 0.0
    inner: "list[Box] | None" = None  # of an open group


def opened_out(box: Box, members: list[Box]) -> None:
    """Lay the members out inside their group: rows by layer, about as wide as high; the group becomes their frame."""
    members.sort(key=lambda b: (-b.layer, b.pos))
    across = max(2, round(np.sqrt(len(members) * (HIGH + GAP) / (WIDE + GAP) * 2)))
    lines = [members[i : i + across] for i in range(0, len(members), across)]
    box.width = min(across, len(members)) * (WIDE + GAP) - GAP + 2 * _SIDE
    box.height = len(lines) * (HIGH + GAP) - GAP + 2 * _SIDE + 20
    for row, line in enumerate(lines):
        for column, member in enumerate(line):  # from the frame's centre; moved with it later
            member.x = _SIDE + WIDE / 2 + column * (WIDE + GAP) - box.width / 2
            member.y = _SIDE + 20 + HIGH / 2 + row * (HIGH + GAP) - box.height / 2
    box.inner = members


def moved(box: Box, to: Sequence[float]) -> None:
    """A box and what is in it, to another place."""
    for member in box.inner or []:
        member.x, member.y = member.x + to[0] - box.x, member.y + to[1] - box.y
    box.x, box.y = float(to[0]), float(to[1])


def placed(boxes: list[Box], source: np.ndarray, target: np.ndarray, ends: list[Box]) -> list[Json]:
    """Give every box its centre; returns the rows with their layers."""
    column = _columns(boxes)
    near = _neighbours(boxes, source, target, ends)
    for box in boxes:
        box.x = column(box.pos)
    lines: list[list[Box]] = []
    for layer in sorted({b.layer for b in boxes}):
        row = sorted((b for b in boxes if b.layer == layer), key=lambda b: (b.pos, -len(near[b.id])))
        several = -(-len(row) // _LINE)
        lines += [row[i::several] for i in range(several)]
    for sweep in range(4):
        for line in lines if sweep % 2 == 0 else lines[::-1]:
            _order(line, near, column)
    _widen(boxes, lines)
    found, y = [], 0.0
    for line in lines:
        high = max(b.height for b in line)
        for box in line:
            dx, dy = box.x, y - high / 2
            box.x, box.y = 0.0, 0.0
            moved(box, (dx, dy))
        found.append({"layer": line[0].layer, "y": y - high / 2})
        y -= high + ROW
    return found


def _widen(boxes: list[Box], lines: list[list[Box]]) -> None:
    """Spread a tall drawing, so that it fills its frame; what does not touch does not touch further apart."""
    wide = max(b.x for b in boxes) - min(b.x for b in boxes) + WIDE
    high = sum(max(b.height for b in line) + ROW for line in lines)
    by = float(np.clip(SHAPE * high / wide, 1.0, 2.5))
    for box in boxes:
        box.x *= by


def _columns(boxes: list[Box]) -> Callable[[float], float]:
    """Centre of the column of a position: as wide as two boxes where several stand in one row, else less than one."""
    most: dict[float, int] = {}
    for layer in {b.layer for b in boxes}:
        count: dict[float, int] = {}
        for box in boxes:
            if box.layer == layer:
                count[box.pos] = count.get(box.pos, 0) + 1
        for pos, n in count.items():
            most[pos] = max(most.get(pos, 0), n)
    edge, centre = 0.0, {}
    for pos in sorted(most):
        width = (WIDE + GAP) * min(max(most[pos], 0.66), 3)
        centre[pos] = edge + width / 2
        edge += width
    return lambda pos: centre[pos]


def _neighbours(boxes: list[Box], source: np.ndarray, target: np.ndarray, ends: list[Box]) -> dict[str, list[Box]]:
    """For every box, those it has an edge with."""
    outer = {b.id: box for box in boxes for b in (box.inner or [box])}
    near: dict[str, list[Box]] = {box.id: [] for box in boxes}
    for s, t in zip(source.tolist(), target.tolist(), strict=True):
        one, other = outer[ends[s].id], outer[ends[t].id]
        if one is not other:
            near[one.id].append(other)
            near[other.id].append(one)
    return near


def _order(line: list[Box], near: Mapping[str, list[Box]], column: Callable[[float], float]) -> None:
    """One row: by position, then by where neighbours stand; then as near to that as there is room."""

    def wanted(box: Box) -> float:
        mean = float(np.mean([b.x for b in near[box.id]])) if near[box.id] else box.x
        home = column(box.pos)
        return home + float(np.clip(mean - home, -WIDE, WIDE))

    places = {b.id: wanted(b) for b in line}
    line.sort(key=lambda b: (b.pos, places[b.id]))
    for box, x in zip(line, apart([places[b.id] for b in line], [b.width for b in line]), strict=True):
        box.x = x


def apart(wanted: Sequence[float], widths: Sequence[float], gap: float = GAP) -> list[float]:
    """Centres as near to `wanted` as can be (least squares) in this order, with `gap` between neighbours.

    With each box's distance from the first taken off, the centres only have to be non-decreasing: pooling neighbours that
    are not is the exact solution.
    """
    offset, offsets = 0.0, []
    for i, width in enumerate(widths):
        offset += (widths[i - 1] + width) / 2 + gap if i else 0.0
        offsets.append(offset)
    pools: list[list[float]] = []  # mean, size
    for value in (w - o for w, o in zip(wanted, offsets, strict=True)):
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    flat = [mean for mean, size in pools for _ in range(int(size))]
    return [x + o for x, o in zip(flat, offsets, strict=True)]
