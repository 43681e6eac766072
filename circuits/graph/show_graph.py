"""What a stored graph holds, to read: its scores and most influential nodes, or one node with its edges."""

from dataclasses import dataclass
from typing import Annotated, Any

from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import GraphName, read_graph
from circuits.graph.in_words import marked
from circuits.graph.node_edges import NodesEdges, node_edges
from probe.methods import Doc, tool
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted


@dataclass(frozen=True)
class GraphShown(Record):
    """A graph, and those of its nodes that are shown."""

    graph: CircuitGraph
    nodes: list[dict[str, Any]]

    def rows(self) -> list[dict[str, Any]]:
        """The nodes, most influential first, with the texts of units where any of them has one."""
        texts = [self.graph.unit_tokens[self.graph.find(row["node"])[0]][:60] for row in self.nodes]
        return (
            [{**row, "label": text} for row, text in zip(self.nodes, texts, strict=True)] if any(texts) else self.nodes
        )

    def panels(self) -> list[Panel]:
        """The nodes, then the graph in sentences."""
        title = f"Most influential nodes for {quoted(self.graph.prompt)}" if self.nodes else "There is no such node."
        first = Rows(title, self.rows()) if self.nodes else Sentence(title)
        return [first, *map(Sentence, self.graph.told())]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**self.graph.report(), **marked(self.graph), "top_nodes": self.rows()}


class NodesShown(NodesEdges):
    """Nodes with their edges, as a list."""

    def to_dict(self) -> Any:
        """Ready for JSON."""
        return super().to_dict()["nodes"]


@tool("show", group="graph")
def show_graph(
    graph: Annotated[GraphName, Doc("A stored graph by name or folder, or a graph file of another program.")],
    *,
    top: Annotated[int, Doc("Nodes that are shown, or edges on each side of one.", least=1)] = 20,
    kind: Annotated[str | None, Doc("Only nodes of this kind: neuron, latent, head, ...")] = None,
    node: Annotated[str | None, Doc("One node and its edges: L5N120@3, L5N120 everywhere, or a number.")] = None,
) -> GraphShown | NodesShown:
    """What a graph holds: its scores and most influential nodes, or the edges of one node.

    Raises BadInput for what is no graph, no kind and no node of it.

    >>> len(ow.show_graph("small", top=3).rows())
    3
    """
    found = read_graph(graph, of_task=True)
    if node is not None:
        return NodesShown(**vars(node_edges(found, node, k=top)))
    return GraphShown(found, found.rows(top, kind=kind or ()))
