"""What the model writes after a graph's prompt, without and with some of its nodes changed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from circuits.graph.graph_arguments import ChosenNodes, GraphName, own_dictionaries, read_graph
from circuits.validation.node_change import NodeChange, levels_in, restored_from
from circuits.validation.predict import change_of
from circuits.validation.testbed import Testbed
from circuits.validation.tested_nodes import chosen_nodes
from probe.interventions.generation import Generations, generate_with
from probe.plain_values import takes_fields

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@takes_fields("change", NodeChange)
def continue_changed(
    model: "TransformerBridge",
    graph: GraphName,
    nodes: ChosenNodes = None,
    max_new_tokens: int = 20,
    draw: int | None = None,
    *,
    dictionaries: Sequence[Any] = (),
    change: NodeChange = NodeChange(),
) -> Generations:
    """The graph's prompt continued without and with the change of `check_subgraph`.

    Nodes are changed at their own position; those at the prompt's last one at every new token too. draw: seed of sampling, or
    None for the likeliest token.
    """
    mode = change.mode
    others, graph = restored_from(change.restore, mode, 1), read_graph(graph)
    bed, chosen = Testbed(model, graph, own_dictionaries(model, graph, dictionaries)), chosen_nodes(graph, nodes)
    factor, level = change.amount
    levels = levels_in(bed, others[0])[chosen] if others else level
    entries = bed.run.entries(change_of(graph, chosen, mode, factor, levels), onward=True)
    found = generate_with(model, graph.token_ids, entries, max_new_tokens, draw)
    return replace(found, edits=[f"{mode} {graph.name(int(i))}" for i in chosen])
