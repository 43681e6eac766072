"""Stored graphs, read once and kept while their files stay as they are."""

from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from app.library.artifacts import registered
from app.library.memory import Recent
from circuits.graph.graph import CircuitGraph
from circuits.graph.store import StoredNodes, edges_digest, load_nodes
from probe.errors import BadInput

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph

_nodes: "Recent[StoredNodes]" = Recent(400, most=3e8)
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


def graph_of(name: str) -> "CircuitGraph":
    """A stored graph, never in the middle of being replaced."""
    with reading:
        return stored_graph(name)


def body(name: str) -> str:
    """The digest of the graph's nodes and edges, which marks do not change."""
    with reading:
        return edges_digest(registered("graph", name))


def same_body(name: str, of: str) -> "CircuitGraph":
    """The stored graph of this name, if its edges are those of the digest; BadInput where it was traced anew since."""
    if body(name) != of:
        raise BadInput(
            f"{name} was traced anew since, so nodes have other numbers. Start it from the page of the graph."
        )
    return graph_of(name)


def nodes_of(folder: Path) -> StoredNodes | None:
    """The nodes of a stored graph; None where they cannot be read (its own page says why). Read again when it is replaced."""
    try:
        key = (folder, (folder / "manifest.json").stat().st_mtime_ns)
        return _nodes.get(key) or _nodes.put(key, load_nodes(folder))
    except Exception:  # a foreign file may hold anything, and who asks makes a list of links
        return None


def forget() -> None:
    """Let go of every graph: another home is looked at, or a process ends."""
    _graphs.clear()
    _nodes.clear()
