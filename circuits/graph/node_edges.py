"""One node of a graph with its strongest edges; weaker ones as one number, so that what comes in still adds up to its value."""

from dataclasses import dataclass
from typing import Annotated, Any

from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.graph_arguments import GraphName, read_graph
from probe.artifacts.json import finite
from probe.methods import Doc, method
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted


@dataclass(frozen=True, kw_only=True)
class NodeEdges(Record):
    """number: of the node. constant: what no edge explains, None for a leaf. incoming, outgoing: the other end and the weight of
    each; weaker_...: the sum of those that are not listed."""

    node: str
    kind: str
    influence: float
    cancellation: float | None
    activation: float | None
    number: int
    label: str
    value: float
    constant: float | None
    incoming: list[tuple[str, float]]
    weaker_incoming: float
    outgoing: list[tuple[str, float]]
    weaker_outgoing: float

    def rows(self) -> list[dict[str, Any]]:
        """Edges into it, then edges out of it."""
        return [*self._side("from"), *self._side("to")]

    def _side(self, end: str) -> list[dict[str, Any]]:
        edges, rest = {
            "from": (self.incoming, self.weaker_incoming),
            "to": (self.outgoing, self.weaker_outgoing),
        }[end]
        return [{end: name, "weight": w} for name, w in [*edges, ("weaker edges", rest)]] if edges else []

    def panels(self) -> list[Panel]:
        """What writes to it, what it writes to, and what it is."""
        sides = {
            f"incoming edges of {self.node}": self._side("from"),
            f"outgoing edges of {self.node}": self._side("to"),
        }
        none = [Sentence(f"There are no {title}.") for title, rows in sides.items() if not rows]
        return [*(Rows(title, rows) for title, rows in sides.items() if rows), Sentence(self.summary()), *none]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        edges = {
            "incoming": [{"from": name, "weight": w} for name, w in self.incoming],
            "outgoing": [{"to": name, "weight": w} for name, w in self.outgoing],
        }
        return {**super().to_dict(), **edges}

    def summary(self) -> str:
        """One sentence: what it is, and its numbers."""
        numbers = {n: getattr(self, n) for n in ("value", "constant", "activation", "influence")}
        told = [f"{n} {'unknown' if v != v else f'{v:.4g}'}" for n, v in numbers.items() if v is not None]
        label = f" {self.label[:60]}" if self.label else ""
        return f"{self.node} (node {self.number}, {self.kind}){label}: {', '.join(told)}."


@dataclass(frozen=True)
class NodesEdges(Record):
    """Several nodes, like those of a neuron at every position."""

    prompt: str
    nodes: list[NodeEdges]

    def rows(self) -> list[dict[str, Any]]:
        """Every edge, with the node it is of."""
        return [{"node": one.node, **row} for one in self.nodes for row in one.rows()]

    def panels(self) -> list[Panel]:
        """Each node's edges, then what each is."""
        found = [panel for one in self.nodes for panel in one.panels()]
        return sorted(found, key=lambda panel: isinstance(panel, Sentence))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"prompt": self.prompt, "nodes": [one.to_dict() for one in self.nodes]}

    def summary(self) -> str:
        """One sentence: how many, and the first."""
        return f"{counted(len(self.nodes), 'node')}; {self.nodes[0].summary()}"


@method("node-edges", group="circuits")
def node_edges(
    graph: Annotated[GraphName, Doc("A stored graph.")],
    node: Annotated[str, Doc("A node: L5N120@3, L5N120 for every position, or a number.")],
    *,
    k: Annotated[int, Doc("Strongest edges listed on each side; weaker ones are summed.", least=1)] = 20,
) -> NodesEdges:
    """What writes to a node of a graph, and what it writes to.

    What is too weak to be listed is one number, so that constant and incoming edges add up to the node's value. Raises BadInput
    for what is no node.

    >>> around = ow.node_edges(graph, graph.name(int(graph.edges.target[0]))).nodes[0]
    >>> abs(around.constant + sum(w for _, w in around.incoming) + around.weaker_incoming - around.value) < 1e-3
    True
    """
    graph = read_graph(graph, of_task=True)
    return NodesEdges(graph.prompt, [_around(graph, i, k) for i in graph.find(node)])


def _around(graph: CircuitGraph, node: int, k: int) -> NodeEdges:
    weight = graph.edges.weight
    into, out = graph.numbers_of(node, "in"), graph.numbers_of(node, "out")
    return NodeEdges(
        node=graph.name(node),
        kind=KINDS[graph.nodes.kind[node]],
        influence=float(graph.influence[node]),
        cancellation=finite(graph.cancellation[node]),
        activation=finite(graph.nodes.activation[node]),
        number=node,
        label=graph.unit_tokens[node],
        value=float(graph.nodes.value[node]),
        constant=float(graph.constant[node]) if graph.explained[node] else None,
        incoming=[(graph.other_end(i, "in"), float(weight[i])) for i in into[:k].tolist()],
        weaker_incoming=float(weight[into[k:]].sum()),
        outgoing=[(graph.other_end(i, "out"), float(weight[i])) for i in out[:k].tolist()],
        weaker_outgoing=float(weight[out[k:]].sum()),
    )
