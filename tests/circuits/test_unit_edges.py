"""Edges of single units, held against those of whole MLPs, steps along an edge, and a dictionary whose latents are neurons."""

import numpy as np
import pytest
import torch
from edge_pairs import drawn, pairs_for

import circuits
from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import AtClean
from circuits.edge_attribution.estimate import two_runs
from circuits.node_attribution.unit_blocks import edges_of, listed, units_of
from probe.dictionaries import ReLU, TopK, Transcoder
from probe.errors import BadInput
from probe.model.toy import native


def table(blocks):
    (senders, receivers), scores = listed(blocks)
    return dict(zip(zip(senders, receivers, strict=True), scores.T.double().numpy(), strict=True))


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "gpt2"])
def test_all_neurons_of_a_layer_have_the_edges_of_their_mlp(name):
    """Gated, parallel and plain: from whoever writes before, and to whoever reads after."""
    model, pairs = drawn(name)
    made = components(model)
    whole = AtClean().scored(model, made, pairs, [0, 1]).scores.double().numpy()
    layout, width = made.layout, int(model.cfg.d_mlp)
    for layer in (0, 1):
        found = table(
            edges_of(two_runs(model, made, pairs, [0, 1]), [units_of(model, layer, list(range(width)), None)])
        )
        summed: dict[tuple[str, str], np.ndarray] = {}
        for (sender, receiver), value in found.items():
            ends = tuple(f"m{layer}" if "N" in end else end for end in (sender, receiver))
            summed[ends] = summed.get(ends, 0) + value
        m, read = layout.mlp_of(layer), layout.reading(layer, "mlp").start
        assert len(summed) == layout.edges[m].sum() + layout.edges[:, read].sum()
        gaps = [
            np.abs(value - whole[:, layout.senders.index(a), layout.receivers.index(b)]).max()
            for (a, b), value in summed.items()
        ]
        assert max(gaps) < 1e-4 * np.abs(whole).max()


def test_an_edge_from_unit_to_unit_is_its_slope():
    """The sender's write, moved a small step towards the corrupted run and read by one neuron alone, by hand."""
    model, pairs = drawn("gpt2")
    made, runs = components(model), two_runs(model, components(model), pairs, [0, 1])
    found = table(edges_of(runs, [units_of(model, 0, [3, 5], None), units_of(model, 2, [7], None)]))
    post = {}
    for side, tokens in (("clean", runs.clean), ("corrupted", runs.corrupted)):
        post[side] = model.run_with_cache(tokens)[1]["blocks.0.mlp.hook_post"]
    move = (post["corrupted"] - post["clean"]).double()
    block = model.blocks[2]

    def neuron(step):
        """Neuron 7 of layer 2, if it alone saw neuron 3 of layer 0 moved."""
        stream = model.run_with_cache(runs.clean)[1]["blocks.2.hook_resid_mid"]
        moved = stream + step * move[..., 3:4] * model.blocks[0].mlp.W_out[3]
        x = (moved - moved.mean(-1, keepdim=True)) / (moved.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        x = x * block.ln2.original_component.weight + block.ln2.original_component.bias
        return torch.nn.functional.gelu(x @ block.mlp.W_in[:, 7] + block.mlp.b_in[7], approximate="tanh")

    def metric(value):
        def put(x, hook):
            changed = x.clone()
            changed[..., 7] = value
            return changed

        with torch.no_grad():
            return pairs.metric(
                model.run_with_hooks(runs.clean, fwd_hooks=[("blocks.2.mlp.hook_post", put)])[:, -1], [0, 1]
            )

    step = 1e-4
    with torch.no_grad():
        slope = (metric(neuron(step)) - metric(neuron(-step))) / (2 * step)
    assert found["L0N3", "L2N7"] == pytest.approx(slope.double().numpy(), rel=1e-3, abs=1e-7)
    assert np.abs(slope).max() > 1e-6 and made.layout.n_layers == 3


def test_latents_that_are_neurons_have_their_edges():
    model = native(n_layers=2, scale=3.0, act_fn="relu")
    for weight in model.parameters():
        weight.requires_grad_(False)
    pairs = pairs_for(model, [[1, 2, 3, 4, 5]], [[1, 2, 8, 4, 11]])
    coders = []
    for layer in (0, 1):
        mlp = model.blocks[layer].mlp
        coder = Transcoder(32, 64, 32, sparsifier=ReLU(), site_in=f"mlp_in.{layer}", site_out=f"mlp_out.{layer}")
        with torch.no_grad():
            coder.W_enc.copy_(mlp.W_in)
            coder.b_enc.copy_(mlp.b_in)
            coder.W_dec.copy_(mlp.W_out)
            coder.b_dec.copy_(mlp.b_out)
        coders.append(coder)
    latents = circuits.unit_edges(model, pairs, "latents", coders, k=6)
    neurons = circuits.unit_edges(model, pairs, "neurons", k=6)
    assert [name.replace("F", "N") for name in latents.units] == neurons.units
    assert latents.by_pair == pytest.approx(neurons.by_pair, rel=1e-3, abs=1e-6)
    row = neurons.rows(1)[0]
    assert neurons.of(row["edge"]) == pytest.approx(row["score"]) and len(neurons.panels()) == 4
    assert neurons.figure().data[0].z.shape == (6, 7)
    inside = {name for one in neurons.rows(None, between=True) for name in one["edge"].split("->")}
    assert inside <= set(neurons.units)


def test_units_whose_writes_do_not_reach_the_stream_as_they_are_are_refused():
    with pytest.raises(BadInput, match="passes a norm"):
        circuits.unit_edges(drawn("gemma2")[0], drawn("gemma2")[1], k=2)
    model, pairs = drawn("llama")
    sae = Transcoder(32, 12, 32, sparsifier=TopK(3), site_in="resid_mid.0", site_out="mlp_out.0").double()
    with torch.no_grad():
        sae.W_dec.normal_(generator=torch.Generator().manual_seed(0))
    with pytest.raises(BadInput, match="no transcoder of one MLP"):
        circuits.unit_edges(model, pairs, "latents", [sae], k=2)
