"""A graph to a file that Neuronpedia and circuit-tracer read, with texts of units and their files as wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from circuits.exchange.labels import read_labels
from circuits.exchange.unit_files import UnitFiles, write_unit_files
from circuits.exchange.write_neuronpedia import write_neuronpedia
from circuits.graph.graph_arguments import GraphName, read_graph
from probe.artifacts.names import as_path
from probe.errors import BadInput
from probe.methods import Doc, FileToRead, FileToWrite, FolderToWrite, TableName, tool
from probe.plain_values import Settings, takes_fields
from probe.show.panels import Panel, Rows
from probe.show.record import Record
from probe.show.values import quoted

if TYPE_CHECKING:
    from probe.features import FeatureTable


@dataclass(frozen=True, kw_only=True)
class Exported(Record):
    """The file that was written, its size, and the unit files beside it."""

    prompt: str
    file: Path
    bytes: int
    units: UnitFiles | None = None

    def rows(self) -> list[dict[str, Any]]:
        """What was written, in one row."""
        told = {} if (u := self.units) is None else {"unit files": u.written, "in": str(u.folder)}
        lost = {} if u is None else {"not in a table": len(u.unknown)}
        return [{"file": str(self.file), "bytes": self.bytes, **told, **lost}]

    def panels(self) -> list[Panel]:
        """The same, with the prompt."""
        return [Rows(f"{quoted(self.prompt)}, written", self.rows())]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        units = {} if self.units is None else {"units": self.units.to_dict()}
        return {"file": str(self.file), "bytes": self.bytes, **units}


@dataclass(frozen=True)
class Kept(Settings):
    """How much of a graph is written."""

    node_threshold: Annotated[float, Doc(least=0, most=1)] = 0.8
    "Share of the influence the kept nodes hold."
    edge_threshold: Annotated[float, Doc(least=0, most=1)] = 0.98
    "Share of the rest the kept edges hold."
    whole: bool = False
    "Every node and edge: read again, it is the same graph."

    @property
    def thresholds(self) -> tuple[float, float]:
        """Of nodes and of edges."""
        return (1.0, 1.0) if self.whole else (self.node_threshold, self.edge_threshold)


@tool("export", group="graph")
@takes_fields("kept", Kept)
def export_graph(
    graph: Annotated[GraphName, Doc("A stored graph by name or folder, or a graph file of another program.")],
    *,
    to: Annotated[FileToWrite, Doc("File to write, read by Neuronpedia and circuit-tracer.")],
    kept: Kept = Kept(),
    labels: Annotated[
        "FileToRead | Mapping[tuple[int, int], str] | None",
        Doc('A JSON file of texts by unit, {"L4F650": "years", "L5N120": "..."}; Python takes them by layer and unit.'),
    ] = None,
    features: Annotated["Sequence[TableName | FeatureTable]", Doc("Feature tables of the graph's units.")] = (),
    units: Annotated["FolderToWrite | None", Doc("Folder for unit files of the tables, to be shown offline.")] = None,
    features_url: Annotated[str, Doc("Where the unit files will be served.")] = "",
    slug: Annotated[str | None, Doc("Name inside the file; by default the file's.")] = None,
) -> Exported:
    """Write a graph as Neuronpedia and circuit-tracer read it, with labels and unit files if wanted.

    Raises BadInput for labels of what is no unit, and Unavailable where it cannot be written.

    >>> ow.export_graph("small", to=folder / "graph.json", whole=True).file.name
    'graph.json'
    """
    if bool(features) != (units is not None):
        raise BadInput("Unit files need both: --features TABLE says what units do, --units FOLDER where the files go.")
    found, path = read_graph(graph), as_path(to)
    texts = labels if labels is None or isinstance(labels, Mapping) else read_labels(as_path(labels))
    from probe.features import open_features  # needs torch

    tables = [open_features(one) if isinstance(one, str | Path) else one for one in features]
    options: dict[str, Any] = {"slug": slug or path.stem, "labels": texts, "features_url": features_url}
    of_nodes, of_edges = kept.thresholds
    write_neuronpedia(found, path, node_threshold=of_nodes, edge_threshold=of_edges, **options)
    size = path.stat().st_size
    if units is None:
        return Exported(prompt=found.prompt, file=path, bytes=size)
    nodes = np.arange(len(found.nodes)) if of_nodes == 1 else np.flatnonzero(found.prune(of_nodes).nodes)
    made = write_unit_files(found, units, tables, nodes=nodes.tolist())
    return Exported(prompt=found.prompt, file=path, bytes=size, units=made)
