"""What units write and promote, against the graph's own edges."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny import tiny

from circuits.attribution.trace import TraceConfig, trace
from circuits.replacement.freeze import freeze
from circuits.supernodes.evidence import promoted, unit_evidence
from circuits.supernodes.suggest import suggest_supernodes
from probe.errors import BadInput


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_what_the_last_layer_promotes_is_its_edges_to_the_logits(name):
    model = tiny(name)
    graph = trace(model, "one two three", config=TraceConfig(max_nodes=60, max_logits=4, probability_mass=1.0))
    last = np.flatnonzero(
        graph.nodes.where("neuron")
        & (graph.nodes.layer == graph.n_layers - 1)
        & (graph.nodes.pos == len(graph.tokens) - 1)
    )
    assert len(last) > 3
    directions, tops = unit_evidence(model, graph, last.tolist(), k=3)
    frozen = freeze(model, torch.tensor([graph.token_ids]))
    effect = promoted(frozen, torch.tensor(np.stack([directions[int(n)] for n in last])).to(frozen.embed))
    for row, node in enumerate(last):
        out = graph.outgoing(int(node))
        edges = dict(zip(out.target.tolist(), out.weight.tolist(), strict=True))
        for root in np.flatnonzero(graph.roots):
            assert edges[int(root)] == pytest.approx(float(effect[row, graph.nodes.unit[root]]), rel=1e-6, abs=1e-9)
        assert len(tops[int(node)]) == 3


def test_a_unit_at_two_positions_is_one_group(toy):
    graph = trace(toy, "one two three two", config=TraceConfig(max_nodes=80))
    units = np.flatnonzero(graph.nodes.where("neuron"))
    directions, tops = unit_evidence(toy, graph, units.tolist())
    found = suggest_supernodes(graph, units.tolist(), directions=directions, tops=tops)
    at = {int(n): i for i, n in enumerate(found.nodes)}
    sign = np.sign(graph.nodes.activation)
    same = [
        (i, j)
        for i in units
        for j in units
        if i < j and graph.nodes.unit[i] == graph.nodes.unit[j] and graph.nodes.layer[i] == graph.nodes.layer[j]
    ]
    assert same
    for i, j in same:
        wanted = 1.0 if sign[i] == sign[j] else 0.0  # opposites count as strangers
        assert found.parts["direction"][at[int(i)], at[int(j)]] == pytest.approx(wanted, abs=1e-6)


def test_what_is_no_unit_or_another_model_is_refused(toy):
    graph = trace(toy, "one two", config=TraceConfig(max_nodes=10))
    with pytest.raises(BadInput, match="is none"):
        unit_evidence(toy, graph, [0])
    with pytest.raises(BadInput, match="layers"):
        unit_evidence(toy, dataclasses.replace(graph, n_layers=graph.n_layers + 1), [])
