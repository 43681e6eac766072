"""The part of a graph that holds most of its influence, stored as a graph of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import GraphName, read_graph, stored_in
from circuits.graph.in_words import told
from circuits.graph.influence import Pruned
from circuits.graph.store import save_graph
from circuits.supernodes.folding import part_of
from probe.artifacts.manifest import read_manifest
from probe.artifacts.names import as_path
from probe.methods import Doc, tool
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record


@dataclass(frozen=True, kw_only=True)
class GraphPruned(Record):
    """What is kept, of which shares, and the part that was stored: what went is summed into its leaves."""

    kept: Pruned
    node_threshold: float
    edge_threshold: float
    part: CircuitGraph | None = None
    saved: Path | None = None

    def rows(self) -> list[dict[str, Any]]:
        """The kept nodes, most influential first."""
        return self.kept.rows()

    def panels(self) -> list[Panel]:
        """The kept nodes, how much they hold, and what was stored."""
        report = self.kept.to_dict()
        scores = ", ".join(f"{k} {v:.3f}" for k, v in report["scores"].items())
        said = [f"{report['n_edges']} of {report['of_edges']} edges; {scores}"]
        if self.part is not None:
            said += [f"stored, what went summed into leaves and edges not pruned: {told(self.part)[1]}"]
        title = f"{report['n_nodes']} of {report['of_nodes']} nodes, most influential first"
        return [Rows(title, self.rows()), *map(Sentence, said)]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        stored = {} if self.part is None else {"saved": str(self.saved), "stored": self.part.report()}
        shares = {"node_threshold": self.node_threshold, "edge_threshold": self.edge_threshold}
        return {**self.kept.to_dict(), **shares, **stored}


@tool("prune", group="graph", leaves="graph")
def prune_graph(
    graph: Annotated[GraphName, Doc("A stored graph by name or folder, or a graph file of another program.")],
    folder: Path | str | None = None,
    *,
    node_threshold: Annotated[float, Doc("Share of the influence the kept nodes hold.", least=0, most=1)] = 0.8,
    edge_threshold: Annotated[
        float,
        Doc(
            "Share of the rest the kept edges hold; a stored graph keeps all. Below 0.98, more nodes can lose one.",
            least=0,
            most=1,
        ),
    ] = 0.98,
) -> GraphPruned:
    """The fewest nodes and edges that hold a share of the influence. Stored, the units that went are summed into leaves.

    folder: where the part is stored; nowhere by default.

    >>> ow.prune_graph("small", node_threshold=0.5).kept.scores.kept >= 0.5
    True
    """
    found = read_graph(graph)
    kept = found.prune(node_threshold, edge_threshold)
    shares = {"node_threshold": node_threshold, "edge_threshold": edge_threshold}
    if folder is None:
        return GraphPruned(kept=kept, **shares)
    source = stored_in(found)
    name = source.name if source is not None else "a file"
    stamp = read_manifest(source, "graph").model if source is not None else None
    part = part_of(found, kept.nodes, pruned_from=name, **shares)
    saved = save_graph(part, as_path(folder), model=stamp, parents=(name,))
    return GraphPruned(kept=kept, part=part, saved=saved, **shares)
