"""Groups that were suggested for a graph and are still to be taken or put aside, as rows: strongest first, weak ones last."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from circuits.graph.graph import CircuitGraph
from circuits.graph.marking.marks import LONGEST, Marks
from circuits.graph.naming import titled
from probe.words import counted

if TYPE_CHECKING:  # it brings scipy, and a page lists what is there
    from circuits.supernodes.groups import Group, Supernodes

MOST, NAMED = 60, 8  # groups listed, members named


@dataclass(frozen=True)
class Suggested:
    """What was kept of a search before all of its record was: the groups, how many units were compared, and by what."""

    groups: "tuple[Group, ...]"
    compared: int
    words: str


def open_suggestions(found: "Supernodes | Suggested", marks: Marks, dismissed: Collection[str]) -> "list[Group]":
    """Those that are part of no group yet and were not put aside."""
    taken = [set(members) for members in marks.groups.values()]
    return [
        g
        for g in sorted(found.groups, key=lambda g: (g.weak, -(g.score or 0)))
        if group_key(g) not in dismissed and not any(set(g.nodes) <= members for members in taken)
    ]


def suggestion_rows(
    graph: CircuitGraph, found: "Supernodes | Suggested", marks: Marks, dismissed: Collection[str] = ()
) -> tuple[list[dict[str, Any]], str]:
    """A row for each that is left, and a sentence: how many of how many units, and by what they are alike."""
    left = open_suggestions(found, marks, dismissed)
    compared, by = (
        (found.compared, found.words) if isinstance(found, Suggested) else (len(found.nodes), found.alike_by())
    )
    said = f"{counted(len(left), 'group')} suggested of {counted(compared, 'unit')} compared."
    said = said if left else "No group is alike enough, or all were taken or put aside."
    return [_row(graph, g, marks) for g in left[:MOST]], f"{said} {by}".strip()


def _row(graph: CircuitGraph, group: "Group", marks: Marks) -> dict[str, Any]:
    listed = ", ".join(f"{titled(graph, i, 40)}@{graph.nodes.pos[i]}" for i in group.nodes[:NAMED])
    more = f", and {len(group.nodes) - NAMED} more" if len(group.nodes) > NAMED else ""
    name = f"{group.name} (2)" if group.name in marks.groups else group.name
    return {
        "key": group_key(group),
        "name": name[:LONGEST],
        "nodes": list(group.nodes),
        "members": listed + more,
        "score": group.score,
        "weak": group.weak,
    }


def group_key(group: "Group") -> str:
    """What a group that was put aside is known by."""
    return ",".join(map(str, sorted(group.nodes)))
