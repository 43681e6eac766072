"""A graph is only taken apart in the model and with the dictionaries it was traced with."""

from dataclasses import replace

import pytest
from attention_cases import CASES, case, standin
from tiny import tiny

from circuits.attribution.refreeze import refreeze
from circuits.attribution.trace import Difference, TraceConfig, trace
from probe.errors import BadInput

pytestmark = pytest.mark.filterwarnings("ignore:On this prompt the dictionar")


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_graph_belongs_to_its_own_model(name, kind):
    model, graph, dictionaries = case(name, kind)
    assert len(refreeze(model, graph, dictionaries).layers) == graph.n_layers


def test_other_weights_are_noticed():
    _, graph, _ = case("llama", "neurons")
    with pytest.raises(BadInput, match="other weights"):
        refreeze(tiny("qwen3"), replace(graph, token_ids=list(graph.token_ids)))


def test_other_layers_and_dictionaries_are_noticed():
    model, graph, _ = case("gpt2", "skip")
    other = [standin("mlp_in.1", "mlp_out.1", skip=True, seed=5), standin("mlp_in.2", "mlp_out.2", seed=1)]
    with pytest.raises(BadInput, match="other weights or dictionaries"):
        refreeze(model, graph, other)
    with pytest.raises(BadInput, match="no layer"):
        refreeze(model, graph)
    with pytest.raises(BadInput, match="7 layers"):
        refreeze(model, replace(graph, n_layers=7))
    narrow = [standin("mlp_in.1", "mlp_out.1", skip=True, d_dict=5), standin("mlp_in.2", "mlp_out.2", seed=1)]
    with pytest.raises(BadInput, match="other weights or dictionaries"):
        refreeze(model, graph, narrow)


def test_a_direction_is_compared_too():
    """A graph of components and a difference has no activations and no logits; its value still tells two models apart."""
    config = TraceConfig(basis="components")
    graph = trace(tiny("gpt2"), "The capital of France", targets=[Difference(5, 7)], config=config)
    assert len(refreeze(tiny("gpt2"), graph).layers) == 3
    with pytest.raises(BadInput, match="differ from this"):
        refreeze(tiny("gpt2"), replace(graph, nodes=replace(graph.nodes, value=graph.nodes.value * 1.1)))
