"""A graph that another program wrote, stored as one of ours, with what was left out of it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from circuits.exchange.read_neuronpedia import Limits, read_neuronpedia
from circuits.graph.graph import CircuitGraph
from circuits.graph.store import save_graph
from probe.artifacts.folder import place
from probe.artifacts.names import as_path, usable_name
from probe.artifacts.stored import free_name
from probe.errors import BadInput, Unavailable
from probe.methods import Doc, FileToRead, tool
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted, one_line

_TRIES = 10


@dataclass(frozen=True)
class Imported(Record):
    """The graph, and where it is stored."""

    graph: CircuitGraph
    saved: Path

    def rows(self) -> list[dict[str, Any]]:
        """How many nodes of each kind."""
        return [{"what": kind, "nodes": n} for kind, n in self.graph.report()["nodes_by_kind"].items()]

    def panels(self) -> list[Panel]:
        """The nodes, what was left out and why, and how much the graph explains."""
        report = self.graph.report()
        origin = report["imported"]
        left = [f"left out: {n} {one_line(what)}" for what, n in origin["choices_left_out"].items()]
        left += [f"left out: {counted(n, 'link')}, {why}" for why, n in origin["links_left_out"].items()]
        size = f"{counted(len(self.graph.nodes), 'node')}, {counted(len(self.graph.edges), 'edge')}"
        said = [*left, f"{size}; replacement {report['replacement_score']:.3f}"]
        return [Rows(f"{quoted(self.graph.prompt)}, made by {origin['from']}", self.rows()), *map(Sentence, said)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**self.graph.report(), "saved": str(self.saved)}


def graph_name(file: str) -> str:
    """What a file's graph is called if nobody says so: as the file."""
    return usable_name(Path(file).name.removesuffix(".json"))


@tool("import", group="graph", leaves="graph", named="graph_name")
def import_graph(
    file: Annotated[FileToRead, Doc("A graph file of circuit-tracer, Neuronpedia, attribute, or Openwork.")],
    folder: Path | str | None = None,
    *,
    max_mb: Annotated[float, Doc("Largest file that is read, in MB.", least=0.001)] = 256.0,
) -> Imported:
    """Store a graph that another program wrote, for the dashboard and the other commands.

    folder: where it goes; by default where graphs are stored, under the file's name. Raises BadInput for what is no graph.

    >>> ow.write_neuronpedia(graph, folder / "theirs.json").name
    'theirs.json'
    >>> ow.import_graph(folder / "theirs.json").graph.prompt
    'When Mary went'
    """
    path = as_path(file)
    to = place("graph", graph_name(path.name)) if folder is None else as_path(folder)
    found = read_neuronpedia(path, limits=Limits(bytes=int(min(max_mb, 1e6) * 1e6)))
    return Imported(found, save_graph(found, to))


def import_as_new(file: Path, called: str, largest: int) -> str:
    """Store the graph of a file of up to `largest` bytes under a free name that its own suggests; returns the name.
    Where another process takes that first, it gets the next."""
    graph, bare = read_neuronpedia(file, limits=Limits(bytes=largest)), called.rpartition("/")[2].rpartition("\\")[2]
    wanted = usable_name(re.sub(r"(\.openwork|\.neuronpedia)?\.json$", "", bare, flags=re.I))
    for _ in range(_TRIES):
        name = free_name("graph", wanted)
        try:
            save_graph(graph, place("graph", name), command=f"imported from {wanted}")
        except BadInput:
            if not place("graph", name).exists():
                raise
        else:
            return name
    raise Unavailable("Others keep taking the names that this graph would get; import it once more.")
