"""What a person marks in a stored graph from Python or the shell: pinned nodes, and groups of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import ChosenNodes, GraphName, nodes_named, read_graph, stored_in
from circuits.graph.marking.marks import edited_groups
from circuits.graph.store import choose_nodes, editing, load_graph
from circuits.graph.unit_tables import tops_of
from circuits.supernodes.groups import Supernodes
from circuits.supernodes.subgraph import Subgraph, subgraph_scores
from circuits.supernodes.suggest import stored_supernodes, suggest_supernodes
from probe.errors import BadInput
from probe.methods import Doc, TableName, tool
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record


@dataclass(frozen=True)
class Pinned(Record):
    """The pinned nodes of a graph, and how much of the prediction the units among them explain alone."""

    graph: CircuitGraph
    pinned: list[int]
    scores: Subgraph | None

    def rows(self) -> list[dict[str, Any]]:
        """The pinned nodes."""
        return [self.graph.row(i) for i in self.pinned]

    def panels(self) -> list[Panel]:
        """The nodes, and the scores beside those of as many random units."""
        title = f"{len(self.pinned)} pinned" if self.pinned else "Nothing is pinned."
        said = "How much they explain, beside as many random units and all units"
        scores = [] if self.scores is None else [Rows(said, self.scores.score_rows())]
        return [Rows(title, self.rows()) if self.pinned else Sentence(title), *scores]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        scores = {} if self.scores is None else {"scores": self.scores.score_rows()}
        return {"pinned": self.pinned, "nodes": self.rows(), **scores}


@tool("pin", group="graph")
def pin_nodes(
    graph: Annotated[GraphName, Doc("A stored graph by name or folder.")],
    nodes: Annotated[Sequence[ChosenNodes], Doc("Nodes to pin: L5N120@3, L5N120, numbers, or top:20.")] = (),
    *,
    remove: Annotated[bool, Doc("Unpin these instead.")] = False,
    clear: Annotated[bool, Doc("Unpin all first.")] = False,
) -> Pinned:
    """Pin nodes of a stored graph, and say how much of the prediction the pinned units alone explain.

    Raises BadInput for what is no node, and for a graph that is not stored.

    >>> ow.pin_nodes("small", "top:2").pinned == ow.load_graph("small").pinned
    True
    """
    with _marking(graph, bool(nodes) or clear) as found:
        before = [] if clear else list(found.pinned)
        each = [one for given in nodes for one in (given if isinstance(given, list) else [given])]
        named = list(dict.fromkeys(nodes_named(found, each)))
        pinned = [i for i in before if i not in named] if remove else list(dict.fromkeys([*before, *named]))
        if pinned != found.pinned:
            _mark(found, pinned=pinned)
    now = replace(found, pinned=pinned)
    scored = bool(pinned) and not now.of_task and bool(now.nodes.where(*UNITS)[pinned].any())
    return Pinned(now, pinned, subgraph_scores(now, pinned) if scored else None)


@dataclass(frozen=True)
class GroupsShown(Record):
    """Groups of a graph's units: suggested or as they are stored, and whether they were stored now."""

    groups: Supernodes
    suggested: bool
    stored: bool

    def rows(self) -> list[dict[str, Any]]:
        """One row a group."""
        return self.groups.rows()

    def panels(self) -> list[Panel]:
        """The groups."""
        title = "Suggested groups" if self.suggested else "Groups" if self.rows() else "There are no groups yet."
        return [Rows(title, self.rows()) if self.rows() else Sentence(title)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**self.groups.to_dict(), "stored": self.stored}


@tool("supernodes", group="graph")
def graph_groups(
    graph: Annotated[GraphName, Doc("A stored graph by name or folder, or a graph file of another program.")],
    *,
    suggest: Annotated[bool, Doc("Suggest groups of units that play one part.")] = False,
    threshold: Annotated[float, Doc("Mean likeness a suggested group needs.")] = 0.5,
    features: Annotated[Sequence[TableName], Doc("Feature tables of the graph's units.")] = (),
    keep: Annotated[bool, Doc("Store the suggested groups with the graph.")] = False,
    put: Annotated[Sequence[str], Doc("name=L5N120@3,L6F2: make or replace a group; its nodes leave others.")] = (),
    remove: Annotated[Sequence[str], Doc("Name of a group to remove.")] = (),
    rename: Annotated[Sequence[str], Doc("old=new.")] = (),
) -> GroupsShown:
    """Groups of units: those stored with a graph, changed by put, rename and remove, or suggested.

    Raises BadInput for a group there is not, for what is no node, and for a graph that is not stored.

    >>> ow.graph_groups("small", suggest=True, threshold=0.0).stored
    False
    """
    if keep and not suggest:
        raise BadInput("--keep stores what --suggest suggests; add --suggest.")
    if suggest:
        found = read_graph(graph)
        suggested = suggest_supernodes(found, tops=_tops(found, features), threshold=threshold)
        if keep:
            _mark(found, supernodes=suggested.store().supernodes)
        return GroupsShown(suggested, True, keep)
    changed = bool(put or remove or rename)
    with _marking(graph, changed) as found:
        groups = edited_groups(found, put, remove, rename)
        if changed:
            _mark(found, supernodes=groups)
    return GroupsShown(stored_supernodes(replace(found, supernodes=groups)), False, changed)


def _tops(graph: CircuitGraph, tables: Sequence[Any]) -> dict[int, list[str]] | None:
    """The tokens that units stand for, of the tables that know them."""
    if not tables:
        return None
    from probe.features import open_features  # needs torch

    return tops_of(graph, [open_features(one) for one in tables])


@contextmanager
def _marking(graph: GraphName, changes: bool) -> Iterator[CircuitGraph]:
    """The graph; where it will be changed, read anew while nobody else changes it."""
    found = read_graph(graph, of_task=True)
    folder = stored_in(found)
    if not changes or folder is None:
        yield found
        return
    with editing(folder):
        yield load_graph(folder)


def _mark(graph: CircuitGraph, **changes: Any) -> None:
    """Store groups or pinned nodes with a stored graph."""
    folder = stored_in(graph)
    if folder is None:
        raise BadInput(
            "This graph is of a file, or of memory; import it first, so that there is a stored graph to mark."
        )
    choose_nodes(folder, **changes)
