"""What passes inside attention, as it is asked: which heads carry the edges into a node, and why a head looks where it looks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from circuits.attention.loadings import head_loadings
from circuits.attention.loadings_record import HeadLoadings
from circuits.attention.qk import QKAttribution, qk_attribution
from circuits.graph.graph import CircuitGraph
from circuits.graph.graph_arguments import GraphName, own_dictionaries, read_graph
from probe.errors import BadInput
from probe.methods import DictionaryName, Doc, Unit, method
from probe.model.unit_names import head_of
from probe.progress import SILENT, Progress

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@method("edge-heads", group="circuits")
def edge_heads(
    model: "TransformerBridge",
    graph: Annotated[GraphName, Doc("A stored graph.")],
    target: Annotated[str, Doc("Node the edges go into: L5N120@3, logit ' Paris', a number.")],
    source: Annotated[str | None, Doc("Node the edge comes from; by default the strongest few sources.")] = None,
    *,
    edges: Annotated[int, Doc("Strongest edges taken where no source is given.", least=1)] = 5,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("By default those the graph names.")] = (),
    progress: Progress = SILENT,
) -> HeadLoadings:
    """Which attention heads carry an edge of a graph: at every layer, heads and bypass sum to it exactly.

    Raises BadInput for a name that is no node, or several, and for a node without incoming edges.

    >>> ow.edge_heads(model, "small", graph.name(edges[0][1])).gap < 1e-3  # what the parts of a layer miss of the edge
    True
    """
    graph = read_graph(graph)
    into = _one(graph, target, "target")
    if source is not None:
        chosen = [(_one(graph, source, "source"), into)]
    elif not (chosen := [(int(s), into) for s in graph.incoming(into).source[:edges]]):
        raise BadInput(f"{graph.name(into)} has no incoming edges in this graph; choose another target.")
    return head_loadings(
        model, graph, chosen, dictionaries=own_dictionaries(model, graph, dictionaries), progress=progress
    )


@method("qk-attribution", group="circuits")
def split_score(
    model: "TransformerBridge",
    graph: Annotated[GraphName, Doc("A stored graph.")],
    head: Annotated[Unit, Doc("The head, like L5H3.")],
    query: Annotated[int, Doc("Position that looks; -1 is the last.")] = -1,
    key: Annotated[int | None, Doc("Position looked at; by default where the head looks most.")] = None,
    *,
    against: Annotated[
        str | None, Doc("Explain the score of the key minus that of this position, or of `others`.")
    ] = None,
    units: Annotated[int, Doc("Neurons to take out of the graph's rest nodes, the strongest here.", least=0)] = 256,
    dictionaries: Annotated[Sequence[DictionaryName], Doc("By default those the graph names.")] = (),
) -> QKAttribution:
    """Why a head looks where it looks: its attention score, split exactly over pairs of sources.

    The score before the softmax is bilinear in what the query reads and what the key reads, so every pair of sources of a graph
    has its share. Raises BadInput for heads, positions and graphs that do not fit.

    >>> ow.split_score(model, "small", "L1H0").gap < 1e-3  # what the pairs miss of the score
    True
    """
    graph = read_graph(graph)
    layer, number = head_of(*head) if isinstance(head, tuple) else head_of(head)
    given = own_dictionaries(model, graph, dictionaries)
    other = int(against) if against is not None and against.lstrip("-").isdecimal() else against
    return qk_attribution(model, graph, layer, number, query, key, dictionaries=given, against=other, units=units)


def _one(graph: CircuitGraph, name: str, what: str) -> int:
    """The single node of this name."""
    nodes = graph.find(name)
    if len(nodes) > 1:
        names = ", ".join(graph.name(i) for i in nodes[:6])
        raise BadInput(f"{what} {name!r} is {len(nodes)} nodes ({names}); add the position, like {name}@3.")
    return nodes[0]
