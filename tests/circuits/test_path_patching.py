"""Path patching, held against activation patching, exact edges, plain hooks on the transformers model, sums of direct paths."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_pairs import drawn, pairs_for
from tiny import CONFIGS, tiny

import circuits
from circuits.edge_attribution.components import components
from circuits.edge_attribution.exact import measured
from circuits.patching.paths.ends import receivers_of, senders_of
from circuits.patching.paths.path_patching import plan_paths
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.running import intervene
from probe.interventions.values import Patch
from probe.model.toy import native, toy_tokenizer


def effects(name, senders, receivers, **options):
    model, pairs = drawn(name)
    found = circuits.path_patching(model, pairs, senders=senders, receivers=receivers, **options)
    return {sender: found.effects[:, i] for i, sender in enumerate(found.senders)}


def swapped(pairs):
    return replace(pairs, clean=pairs.corrupted, corrupted=pairs.clean)


def activation_patched(model, pairs, at, site):
    """The fall of the metric when a place alone is the corrupted run's, by `intervene`."""
    found = []
    for clean, other in zip(pairs.clean, pairs.corrupted, strict=True):
        held = capture(model, torch.tensor([other]), site)[site]
        value = held[:, :, int(at.partition("H")[2])] if "H" in at else held
        with torch.no_grad():
            with intervene(model, [Patch(at, value)]):
                patched = model(torch.tensor([clean]))[:, -1]
            found.append(
                float(pairs.metric(patched, [0])[0] - pairs.metric(model(torch.tensor([clean]))[:, -1], [0])[0])
            )
    return found


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_with_everything_between_free_it_is_activation_patching(name):
    """To the logits, to the last stream, and to all that reads after the sender at once: all carry all of the change."""
    model, pairs = drawn(name)
    wanted = {
        "L0H1": activation_patched(model, pairs, "L0H1", "z.0"),
        "mlp_out.1": activation_patched(model, pairs, "mlp_write.1", "mlp_write.1"),
        "resid_pre.1": activation_patched(model, pairs, "resid_pre.1", "resid_pre.1"),
    }
    every = [*(f"L{layer}H{h}" for layer in (1, 2) for h in range(4)), "mlp_in.1", "mlp_in.2", "resid_post.2"]
    for receivers in (["logits"], ["resid_post.2"], every):
        found = effects(name, list(wanted), receivers, free="all")
        for sender, value in wanted.items():
            assert found[sender] == pytest.approx(value, rel=1e-6, abs=1e-8), (receivers, sender)
    assert np.abs(wanted["L0H1"]).max() > 1e-4


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "qwen3", "gemma2", "olmo2"])
def test_held_between_one_sender_and_one_receiver_it_is_an_exact_edge(name):
    """By caches and components (`exact-edges`), and by two passes of the model. After attention a norm of its own is run on
    what is patched here, so heads of such models are left out."""
    model, pairs = drawn(name)
    made = components(model)
    groups = made.layout.kv_heads[0]
    shared = "KV" if groups != made.layout.heads[0] else "H"
    senders = {"mlp_out.0": "m0", "input": "input"} | ({} if name in ("gemma2", "olmo2") else {"L0H1": "a0.h1"})
    kv = "kv1" if shared == "KV" else "h1"
    receivers = {
        "L2H3.q": "a2.h3<q>",
        f"L2{shared}1.k": f"a2.{kv}<k>",
        f"L1{shared}1.v": f"a1.{kv}<v>",
        "mlp_in.2": "m2",
        "logits": "logits",
    }
    for receiver, told in receivers.items():
        edges = np.array([made.layout.edge(f"{sender}->{told}") for sender in senders.values()])
        exact = measured(model, made, pairs, edges, np.arange(len(edges)))
        found = effects(name, list(senders), [receiver], free="nothing")
        for i, sender in enumerate(senders):
            assert found[sender] == pytest.approx(exact.by_pair[:, i] + 0.0, rel=2e-3, abs=2e-5), (receiver, sender)


def plain_path(model, base, donor, sender, receiver, mlps_free):
    """The same with plain hooks on the transformers model (Llama's modules): a head's z is a piece of what o_proj reads."""
    theirs, d = model.original_model, model.cfg.d_head
    layers = theirs.model.layers
    (from_layer, from_head), (to_layer, to_head) = sender, receiver
    z, mlps, handles = {}, {}, []

    def cached(ids):
        taps = [
            b.self_attn.o_proj.register_forward_pre_hook(lambda m, a, i=i: z.__setitem__(i, a[0]))
            for i, b in enumerate(layers)
        ]
        taps += [
            b.mlp.register_forward_hook(lambda m, a, out, i=i: mlps.__setitem__(i, out)) for i, b in enumerate(layers)
        ]
        theirs(torch.tensor([ids]))
        for tap in taps:
            tap.remove()
        return dict(z), dict(mlps)

    with torch.no_grad():
        (own, own_mlps), (other, _) = cached(base), cached(donor)
        kept = {}

        def holding(i):
            def hook(module, args):
                value = own[i].clone()
                if i == from_layer:
                    value[..., from_head * d : (from_head + 1) * d] = other[i][..., from_head * d : (from_head + 1) * d]
                return (value,)

            return hook

        for i, block in enumerate(layers):
            handles.append(block.self_attn.o_proj.register_forward_pre_hook(holding(i)))
            if not mlps_free:
                handles.append(block.mlp.register_forward_hook(lambda m, a, out, i=i: own_mlps[i]))
        handles.append(
            layers[to_layer].self_attn.q_proj.register_forward_hook(lambda m, a, out: kept.__setitem__("q", out))
        )
        theirs(torch.tensor([base]))
        for handle in handles:
            handle.remove()

        def put(module, args, out):
            changed = out.clone()
            changed[..., to_head * d : (to_head + 1) * d] = kept["q"][..., to_head * d : (to_head + 1) * d]
            return changed

        handle = layers[to_layer].self_attn.q_proj.register_forward_hook(put)
        logits = theirs(torch.tensor([base])).logits[0, -1]
        handle.remove()
    return logits


@pytest.mark.parametrize("free", ["mlps", "nothing"])
def test_parity_with_plain_hooks_on_the_transformers_model(free):
    model, pairs = drawn("llama")
    found = circuits.path_patching(model, pairs, senders=["L0H1"], receivers=["L2H3.q"], free=free)
    for i in range(2):
        logits = plain_path(model, pairs.clean[i], pairs.corrupted[i], (0, 1), (2, 3), free == "mlps")
        assert found.by_pair[i, 0] == pytest.approx(float(logits[7] - logits[9]), rel=1e-9)
    assert np.abs(found.effects).max() > 1e-6


def test_direct_paths_sum_to_the_whole_change_where_logits_are_linear():
    """No norms: the input, every head and every MLP write to the stream that the logits read."""
    tokenizer = toy_tokenizer()
    model = native(3, tokenizer, scale=2.0, n_layers=2, d_vocab=len(tokenizer), normalization_type=None).to(
        torch.float64
    )
    pairs = pairs_for(model, [[1, 20, 30, 40], [1, 21, 31, 41]], [[1, 20, 35, 40], [1, 26, 31, 41]])
    found = circuits.path_patching(
        model, pairs, senders=["input", "heads", "mlps"], receivers=["logits"], free="nothing"
    )
    assert len(found.senders) == 1 + 2 * model.cfg.n_heads + 2
    assert found.effects.sum(1) == pytest.approx(found.donor - found.base, rel=1e-6)
    assert found.share.sum() == pytest.approx(1.0, rel=1e-6)
    free = circuits.path_patching(model, pairs, senders=["input"], receivers=["logits"], free="all")
    assert free.effects[:, 0] == pytest.approx(found.donor - found.base, rel=1e-9)  # the input is all there is


def test_both_directions_are_each_other_with_the_prompts_swapped():
    model, pairs = drawn("qwen3")
    one, other = (
        circuits.path_patching(model, which, senders=["heads"], receivers=["L2H0.q", "L2KV1.k"], direction=direction)
        for which, direction in ((pairs, "denoise"), (swapped(pairs), "noise"))
    )
    assert one.by_pair == pytest.approx(other.by_pair, rel=1e-9)
    assert one.senders == [f"L{layer}H{h}" for layer in (0, 1) for h in range(4)]  # who comes too late is left out
    assert one.base == pytest.approx(one.corrupted) and one.share == pytest.approx(other.share)


def test_all_inputs_of_a_head_are_its_queries_keys_and_values():
    """With keys and values of its own; and rows of a pass, and how many, change no number."""
    parts = effects("gpt2", ["heads", "mlps"], ["L2H1.q", "L2H1.k", "L2H1.v"])
    whole = effects("gpt2", ["heads", "mlps"], ["L2H1"], batch=3)
    assert parts.keys() == whole.keys()
    for sender in parts:
        assert whole[sender] == pytest.approx(parts[sender], rel=1e-9, abs=1e-12)


def test_an_end_may_stand_at_one_position_and_a_sender_within_a_component():
    """The last position alone sends to the logits; a neuron's path is its MLP's with that neuron alone."""
    model, pairs = drawn("llama")
    whole = effects("llama", ["L1H2"], ["logits"], free="nothing")["L1H2"]
    last = effects("llama", ["L1H2@-1", "L1H2@:-1"], ["logits"], free="nothing")
    assert last["L1H2@-1"] == pytest.approx(whole, rel=1e-9) and np.abs(last["L1H2@:-1"]).max() < 1e-12
    neuron = effects("llama", ["L2N5"], ["logits"], free="nothing")["L2N5"]
    assert neuron == pytest.approx(activation_patched_neuron(model, pairs, 2, 5), rel=1e-9)
    queries = effects("llama", ["L2H3.q"], ["L2H3"], free="nothing")["L2H3.q"]
    free = effects("llama", ["L2H3.q"], ["logits"], free="all")["L2H3.q"]
    assert queries == pytest.approx(free, rel=1e-9)  # all that queries do goes through their head


def activation_patched_neuron(model, pairs, layer, unit):
    found = []
    for clean, other in zip(pairs.clean, pairs.corrupted, strict=True):
        value = capture(model, torch.tensor([other]), f"mlp_post.{layer}")[f"mlp_post.{layer}"][..., unit]
        with torch.no_grad():
            whole = model(torch.tensor([clean]))[:, -1]
            with intervene(model, [Patch(f"L{layer}N{unit}", value)]):
                found.append(
                    float((pairs.metric(model(torch.tensor([clean]))[:, -1], [0]) - pairs.metric(whole, [0]))[0])
                )
    return found


@pytest.mark.parametrize(
    ("name", "senders", "receivers", "said"),
    [
        ("llama", ["L2H0"], ["L1H0.q"], "writes after L1H0.q read"),
        ("llama", ["L0H0"], ["L1H2.k"], "share keys.*L1H2, L1H3.*L1KV1.k"),
        ("llama", ["L0H9"], ["logits"], "no head L0H9"),
        ("llama", ["L0H0"], ["L9H0"], "no head L9H0: this model has layers 0 to 2\\.$"),
        ("llama", ["L0H0"], ["logits", "L1H0.q"], "logits alone"),
        ("llama", ["banana"], ["logits"], "no sender"),
        ("llama", ["L0H0.pattern"], ["logits"], "no part of a head"),
        ("llama", ["L0H0@99"], ["logits"], "does not have"),
        ("llama", ["L0H0"], ["mlp_out.2"], "no receiver"),
        ("llama", [], ["logits"], "No sender"),
        ("gpt_neox", ["L1H0"], ["mlp_in.1"], "writes after"),  # attention and MLP side by side
        ("gpt_neox", ["resid_mid.1"], ["logits"], "resid_mid"),
    ],
)
def test_ends_that_cannot_be_are_refused(name, senders, receivers, said):
    model, pairs = drawn(name)
    with pytest.raises(BadInput, match=said):
        circuits.path_patching(model, pairs, senders=senders, receivers=receivers)


def test_a_metric_that_does_not_differ_is_refused():
    model, pairs = drawn("gpt2")
    with pytest.raises(BadInput, match="nothing that a path could carry"):
        circuits.path_patching(model, replace(pairs, right=[[7, 9]] * 2, wrong=[[9, 7]] * 2))
    with pytest.raises(BadInput, match="same prompt twice"):
        circuits.path_patching(model, replace(pairs, corrupted=pairs.clean))
    with pytest.raises(BadInput, match="whose tokenizer is another"):
        circuits.path_patching(model, replace(pairs, model=replace(pairs.model, tokenizer="other")))


def test_names_of_ends():
    model = tiny("llama")
    found, alone = senders_of(model, ["heads@-1,mlps"])
    assert found[0].name == "L0H0@-1" and found[-1].name == "mlp_out.2" and len(found) == 15 and not alone
    assert [end.name for end in receivers_of(model, ["L1KV1.v", "L2H3", "mlp_in.1@2:4"])] == [
        "L1KV1.v",
        "L2H3",
        "mlp_in.1@2:4",
    ]
    assert [end.name for end in receivers_of(tiny("gpt2"), ["L1KV1.v"])] == ["L1H1.v"]


def test_the_plan_and_the_record():
    model, pairs = drawn("gpt2")
    plan = plan_paths(model, pairs, senders=["heads"])
    assert plan.runs == 24 and plan.bytes > 0 and "24 runs, 12 a pass, 2 passes" in plan.summary()
    assert plan_paths(model, pairs, senders=["heads"], receivers=["L2H0"], batch=3).passes == 2 * 2 * 3
    found = circuits.path_patching(model, pairs, senders=["heads", "mlps"])
    assert found.rows()[0]["share"] == pytest.approx(
        found.of(found.rows()[0]["sender"]) / (found.donor - found.base).mean()
    )
    assert "corrupted into clean" in found.summary() and "MLPs run on" in found.summary()
    assert len(found.figure().data[0].z) == 3 and found.figure().data[0].z.shape == (3, 5)
    bars = circuits.path_patching(model, pairs, senders=["input", "L1H2", "mlp_out.0"])
    assert bars.figure().data[0].type == "bar"


def test_a_group_beside_a_name_leaves_out_who_comes_too_late():
    model, pairs = drawn("gpt2")
    found = circuits.path_patching(model, pairs, senders=["heads", "input"], receivers=["L1H0.q"])
    assert {row["sender"] for row in found.rows()} == {"input", *(f"L0H{i}" for i in range(model.cfg.n_heads))}
