"""Stored graphs, read once and kept while their files stay as they are."""

from threading import RLock
from typing import TYPE_CHECKING, Any

from app.library.artifacts import registered
from app.library.memory import Recent
from circuits.graph.graph import CircuitGraph
from circuits.graph.store import GRAPH
from probe.artifacts.manifest import read_manifest
from probe.errors import BadInput

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph

_graphs: Recent[Any] = Recent(4, most=4e8, least=2)


def graph_mark(name: str) -> int:
    """Changes when the stored graph is replaced."""
    return (registered("graph", name) / "manifest.json").stat().st_mtime_ns


def stored_graph(name: str) -> "CircuitGraph":
    """A stored graph by name; without the model. BadInput when there is none, Unavailable when it is damaged."""
    from circuits.graph.store import load_graph

    folder = registered("graph", name)
    try:
        mark = graph_mark(name)
    except OSError as error:
        raise BadInput(f"The graph '{name}' has no manifest; trace the prompt again.") from error
    kept = _graphs.get(name)
    if kept is None or kept[0] != mark:
        kept = _graphs.put(name, (mark, load_graph(folder)))
    return kept[1]


def keep_graph(name: str, graph: "CircuitGraph") -> "CircuitGraph":
    """Keep in memory what was just stored under this name; numbers already computed of it stay computed."""
    return _graphs.put(name, (graph_mark(name), graph))[1]


reading = RLock()
"Held while a graph's folder is replaced; who reads one that may be edited meanwhile holds it too."


def graph_of(name: str) -> CircuitGraph:
    """A stored graph, never in the middle of being replaced."""
    with reading:
        return stored_graph(name)


def body(name: str) -> str:
    """The digest of the graph's nodes and edges, which marks do not change."""
    with reading:
        return read_manifest(registered("graph", name), "graph").files.get(GRAPH, "")
