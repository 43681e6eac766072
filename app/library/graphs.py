"""Stored graphs, read once and kept while their files stay as they are; and as a page shows them, with the labels known here."""

from threading import RLock
from typing import Any

from app.library import labels
from app.library.artifacts import is_registered, library, registered
from app.library.recent_records import Recent
from circuits.graph.graph import CircuitGraph
from circuits.graph.marking import stored_marks
from circuits.graph.marking.known_labels import with_known_labels
from circuits.graph.marking.stored_marks import Marked
from circuits.graph.naming import content_name
from circuits.graph.store import edges_digest, editing
from probe.artifacts.folder import place
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.artifacts.records import stamp_known
from probe.errors import BadInput
from probe.methods.results import held_by

_graphs: Recent[Any] = Recent(4, most=4e8, least=2)
_shown: Recent[Any] = Recent(4, most=4e8, least=2)


def graph_mark(name: str) -> int:
    """Changes when the stored graph is replaced."""
    return (registered("graph", name) / "manifest.json").stat().st_mtime_ns


def stored_graph(name: str) -> CircuitGraph:
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


reading = RLock()
"Held while a graph's folder is replaced; who reads one that may be edited meanwhile holds it too."


def graph_of(name: str) -> CircuitGraph:
    """A stored graph, never in the middle of being replaced."""
    with reading:
        return stored_graph(name)


def marked(name: str) -> Marked:
    """A stored graph with its marks as they are now."""
    with reading:
        return stored_marks.marked(registered("graph", name), stored_graph(name))


def mark(name: str, request: Json, revision: str | None = None) -> Marked:
    """Make one edit of a graph's marks, on disk at once; what was computed of the graph stays in memory."""
    folder = registered("graph", name)
    with reading, editing(folder):
        before = stored_graph(name)
        found = stored_marks.mark(folder, request, revision, before)
        if found.graph is not before:
            _graphs.put(name, (graph_mark(name), found.graph))
    return found


def look(name: str, change: Json) -> None:
    """Keep how a graph's drawing is looked at; see `circuits.graph.marking.stored_marks.look`."""
    with reading:
        stored_marks.look(registered("graph", name), change, stored_graph(name))


def shown_graph(name: str) -> CircuitGraph:
    """The same as a page shows it: its units bear the labels that are known here."""
    found, mark = graph_of(name), labels.mark()
    kept = _shown.get(name)
    if kept is None or kept[0] is not found or kept[1] != mark:
        kept = _shown.put(name, (found, mark, with_known_labels(found, labels.texts())))
    return kept[2]


def body(name: str) -> str:
    """The digest of the graph's nodes and edges, which marks do not change."""
    with reading:
        return edges_digest(registered("graph", name))


def same_body(name: str, of: str) -> CircuitGraph:
    """The stored graph of this name, if its edges are those of the digest; BadInput where it was traced anew since."""
    if body(name) != of:
        raise BadInput(
            f"{name} was traced anew since, so nodes have other numbers. Start it from the page of the graph."
        )
    return graph_of(name)


def forget() -> None:
    """Let go of every graph: another home is looked at, or a process ends."""
    for kept in (_graphs, _shown):
        kept.clear()


# -- circuits between components, which are results of methods until somebody opens one ------------------------------------------

COMPONENTS = ("EdgeScores", "ComponentCircuit")
"""Records that are such circuits."""


def component_results() -> list[Manifest]:
    """Manifests of the stored results that hold one and were not opened yet, newest first."""
    opened = {parent for _, manifest in library().kinds["graph"] for parent in manifest.parents}
    kept = [manifest for folder, manifest in library("result").kinds["result"] if manifest.name == folder.name]
    return [m for m in kept if m.name not in opened and held_by(m) in COMPONENTS]


def circuit_results() -> set[str]:
    """Names of the stored results that are circuits of edges, which are compared (`compare-circuits`)."""
    stored = library("result").kinds["result"]
    return {m.name for folder, m in stored if m.name == folder.name and held_by(m) == "ComponentCircuit"}


def opened_circuit(record: Any, result: str = "") -> str:
    """The name under which a circuit between components is stored as a graph, so that it can be marked; once. result: the name of
    the stored result that it is of."""
    from circuits.search.as_graph import component_graph

    graph = component_graph(record)
    name = content_name(graph)
    if not is_registered("graph", name):
        stamp = stamp_known(record)
        graph.save(place("graph", name), model=stamp, parents=(result,) if result else (), replace=True)
    return name


def is_of_task(manifest: Manifest) -> bool:
    """Whether a stored graph is a circuit between components of a task, by its manifest."""
    return manifest.config.get("basis") == "task"
