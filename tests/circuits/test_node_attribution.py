"""Scores of nodes, held against exact patching, hand-wired models, plain hooks on the transformers model, and identities."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from edge_pairs import drawn, pairs_for
from tiny import saved, tiny
from transformers import AutoModelForCausalLM

import circuits
import probe
from circuits.node_attribution.estimate import Estimate, NodeConfig
from circuits.node_attribution.keys_apart import one_replaced
from circuits.node_attribution.nodes import groups_of
from probe.dictionaries import SAE, TopK, Transcoder
from probe.errors import BadInput
from probe.interventions.values import Patch
from probe.model.toy import native
from probe.statistics import rank_correlation

pytestmark = pytest.mark.slow


def near(found, wanted, share=1e-4):
    """As large a gap as this share of the largest number, and no number alone of two."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    assert (np.isnan(found) == np.isnan(wanted)).all()
    return np.nanmax(np.abs(found - wanted)) <= share * max(np.nanmax(np.abs(wanted)), 1e-6)


def ids_of(*rows):
    return [list(row) for row in rows]


CLEAN, CORRUPTED = ids_of([1, 2, 3, 4, 5], [7, 2, 9, 4, 6]), ids_of([1, 2, 8, 4, 11], [7, 5, 9, 4, 10])


def plain_model(n_layers=2, scale=2.0, **changes):
    """No norms and no neurons that bend: what attention gathers is all that is not linear."""
    model = native(n_layers=n_layers, scale=scale, normalization_type=None, **changes)
    for block in model.blocks:
        with torch.no_grad():
            block.mlp.W_out.zero_()
    for weight in model.parameters():
        weight.requires_grad_(False)
    return model


@cache
def linear_model():
    """Every head looks at all positions alike, whatever it reads, and neurons are always on: linear in every node."""
    model = native(n_layers=2, scale=2.0, normalization_type=None, act_fn="relu")
    with torch.no_grad():
        for block in model.blocks:
            block.attn.W_Q.zero_()
            block.attn.b_Q.zero_()
            block.mlp.b_in.fill_(1000.0)
    for weight in model.parameters():
        weight.requires_grad_(False)
    model.to(torch.float64)
    return model


def both(model, nodes, pairs, dictionaries=(), by_position=False, **options):
    estimated = circuits.atp(model, pairs, nodes, dictionaries, by_position=by_position, **options)
    exact = circuits.exact_nodes(model, pairs, nodes, dictionaries, by_position=by_position, sample=None)
    return estimated, exact


@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("nodes", ["components", "v", "neurons"])
def test_scores_are_exact_where_the_model_is_linear_in_its_nodes(nodes, by_position):
    model = linear_model()
    estimated, exact = both(model, nodes, pairs_for(model, CLEAN, CORRUPTED), by_position=by_position)
    assert near(estimated.by_pair, exact.by_pair)
    assert np.abs(exact.by_pair).max() > 0.01 and estimated.nodes.name(5) == exact.nodes.name(5)


def test_latents_and_their_rest_are_exact_there_too_and_sum_to_their_site():
    model = linear_model()
    sae = SAE(32, 12, sparsifier=TopK(3), site="resid_post.0").double()
    coder = Transcoder(32, 10, 32, sparsifier=TopK(3), site_in="mlp_in.1", site_out="mlp_out.1").double()
    with torch.no_grad():
        coder.W_dec.normal_(generator=torch.Generator().manual_seed(0))
    pairs = pairs_for(model, CLEAN, CORRUPTED)
    for by_position in (False, True):
        estimated, exact = both(model, "latents", pairs, [sae, coder], by_position)
        assert near(estimated.by_pair, exact.by_pair)
    rests = [i for i in range(len(estimated.nodes)) if "rest" in estimated.nodes.name(i)]
    assert len(rests) == 2 * 5 and np.abs(estimated.by_pair[:, rests]).max() > 1e-3
    written = estimated.by_pair[:, estimated.nodes.layer == 1].sum(1)
    mlp = circuits.atp(model, pairs, "mlps")
    assert near(written, mlp.by_pair[:, mlp.nodes.find("L1MLP")])
    assert "L0F3@-1" in estimated.names(None) or estimated.nodes.find("L0F3@-1") >= 0


# -- attention that is saturated ----------------------------------------------------------------------------------------------


def looking_model(sharp=60.0):
    """One head: the last token's query decides whether it looks at the first or the second token, and copies that.

    Stream: 8 numbers that say which token, then 3 that say which position.
    """
    model = native(
        n_layers=1,
        d_model=11,
        n_heads=1,
        d_head=11,
        d_mlp=2,
        d_vocab=8,
        n_ctx=3,
        act_fn="relu",
        normalization_type=None,
    )
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        model.W_E[:, :8] = torch.eye(8)
        model.W_pos[:, 8:] = torch.eye(3)
        attn = model.blocks[0].attn
        attn.W_Q[0, 6, 8], attn.W_Q[0, 7, 9] = sharp, sharp  # token 6 looks at position 0, token 7 at position 1
        attn.W_K[0] = torch.eye(11)
        attn.W_V[0, :8, :8] = torch.eye(8)
        attn.W_O[0, :8, :8] = torch.eye(8)
        model.W_U[:8] = torch.eye(8)
    for weight in model.parameters():
        weight.requires_grad_(False)
    return model


def test_a_saturated_query_has_no_gradient_and_the_fix_finds_it():
    model = looking_model()
    pairs = pairs_for(model, [[1, 2, 6]], [[1, 2, 7]], right=1, wrong=2)
    plain, exact = both(model, "q", pairs)
    fixed = circuits.atp(model, pairs, "q", qk_fix=True)
    assert exact.of("L0H0<q>") == pytest.approx(-2.0, abs=1e-3)
    assert abs(plain.of("L0H0<q>")) < 1e-3
    assert fixed.of("L0H0<q>") == pytest.approx(exact.of("L0H0<q>"), abs=1e-6)
    integrated = circuits.atp(model, pairs, "q", steps=100, path="nodes")
    assert integrated.of("L0H0<q>") == pytest.approx(-2.0, abs=0.02)


@pytest.mark.parametrize("by_position", [False, True])
def test_the_fix_is_exact_in_the_last_layer_of_a_model_without_norms(by_position):
    """Queries, keys and values, whole or at one position; the plain gradient is far off."""
    model = plain_model(n_layers=1, scale=6.0, n_key_value_heads=2)
    pairs = pairs_for(model, CLEAN, CORRUPTED)
    plain, exact = both(model, "qkv", pairs, by_position=by_position)
    fixed = circuits.atp(model, pairs, "qkv", by_position=by_position, qk_fix=True)
    top = np.abs(exact.by_pair).max()
    assert near(fixed.by_pair, exact.by_pair)
    assert np.abs(plain.by_pair - exact.by_pair).max() > 0.1 * top
    assert plain.nodes.grouped and plain.nodes.find("L0KV1<k>@-2" if by_position else "L0KV1<k>") >= 0


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_neox"])
def test_keys_in_turn_are_keys_by_scores(name, monkeypatch):
    """A pass for each key, and all keys from one pass and its scores."""
    model, pairs = drawn(name)
    by_scores = circuits.atp(model, pairs, "k", qk_fix=True, by_position=True)
    monkeypatch.setattr("circuits.node_attribution.qk_fix.reports_scores", lambda model, layer: False)
    in_turn = circuits.atp(model, pairs, "k", qk_fix=True, by_position=True)
    assert near(by_scores.by_pair, in_turn.by_pair) and np.abs(in_turn.by_pair).max() > 1e-3


def test_one_key_replaced_is_what_a_softmax_of_each_gives():
    """In float32, also where one key has all the weight or none."""
    draw = torch.Generator().manual_seed(0)
    scores = 8 * torch.randn(3, 6, 6, generator=draw)
    scores[0, :, 2] += 60
    scores[1, :, 2] -= 60
    moved, worth = 8 * torch.randn(3, 6, 6, generator=draw), torch.randn(3, 6, 6, generator=draw)
    future = torch.ones(6, 6, dtype=torch.bool).triu(1)
    scores, moved = scores.masked_fill(future, -torch.inf), moved.masked_fill(future, -torch.inf)
    found = one_replaced(scores, moved, worth)
    for key in range(6):
        one = scores.double().clone()
        one[..., key] = moved[..., key].double()
        wanted = ((one.softmax(-1) - scores.double().softmax(-1)) * worth).sum(-1)
        assert float((found[..., key] - wanted).abs().max()) < 3e-6


# -- effects that cancel -------------------------------------------------------------------------------------------------------


def cancelling_model():
    """A head of layer 0 writes to the logits, and an MLP of layer 1 reads what it wrote and takes it off again."""
    model = native(
        n_layers=3, d_model=4, n_heads=1, d_head=4, d_mlp=4, d_vocab=8, act_fn="relu", normalization_type=None
    )
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        model.W_E[5, 0], model.W_E[6, 0] = 1.0, 3.0
        attn = model.blocks[0].attn
        attn.W_V[0, 0, 0], attn.W_O[0, 0, 1] = 1.0, 1.0
        model.blocks[1].mlp.W_in[1, 0], model.blocks[1].mlp.W_out[0, 1] = 1.0, -1.0
        model.W_U[1, 7] = 1.0
    for weight in model.parameters():
        weight.requires_grad_(False)
    return model


def test_grad_drop_undoes_a_cancellation():
    """Three layers: without layer 0 nothing is left, without layer 1 the direct effect, without layer 2 all that cancels."""
    model = cancelling_model()
    pairs = pairs_for(model, [[5, 5]], [[6, 6]], right=7, wrong=1)
    assert circuits.atp(model, pairs).of("L0H0") == pytest.approx(0, abs=1e-6)
    found = circuits.atp(model, pairs, grad_drop=True)
    assert found.of("L0H0") == pytest.approx((0 + 2 + 0) / (3 - 1)) and not found.signed
    assert found.by_pair.min() >= 0 and "no sign" in found.convention["sign"]


# -- the second implementation: plain hooks on the transformers model ------------------------------------------------------------


@cache
def twin(name, folder):
    """A model as we load it, and as transformers does."""
    path = saved(name, folder / name)
    model = probe.load_model(path)
    theirs = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager").eval()
    draw = torch.Generator().manual_seed(0)
    clean = torch.randint(5, 60, (2, 7), generator=draw)
    other = clean.clone()
    other[:, 2] = torch.randint(60, 110, (2,), generator=draw)
    return model, theirs, pairs_for(model, clean.tolist(), other.tolist())


class Plain:
    """A transformers model's own modules: what goes into W_O, and what its MLP adds to the stream."""

    def __init__(self, theirs):
        self.theirs = theirs
        layers = theirs.gpt_neox.layers if hasattr(theirs, "gpt_neox") else theirs.model.layers
        self.out = [x.attention.dense if hasattr(x, "attention") else x.self_attn.o_proj for x in layers]
        self.mlp = [getattr(x, "post_feedforward_layernorm", x.mlp) for x in layers]
        self.attn = [getattr(x, "self_attn", getattr(x, "attention", None)) for x in layers]
        self.query = [getattr(one, "q_proj", None) for one in self.attn]

    def run(self, ids, queries=None, drop=None):
        """Logits; the tensors into W_O and out of the MLPs, with gradients. queries: what stands for the queries' values."""
        held, hooks = {}, []

        def keep(key):
            def into(module, args):
                x = args[0].clone()
                held[key] = x
                return (x, *args[1:])

            return into

        def out(key):
            def put(module, args, value):
                held[key] = value.clone()
                return held[key]

            return put

        for i, (o, m) in enumerate(zip(self.out, self.mlp, strict=True)):
            hooks += [o.register_forward_pre_hook(keep(("z", i))), m.register_forward_hook(out(("mlp", i)))]
            if queries is not None:
                hooks.append(self.query[i].register_forward_hook(lambda module, args, value, i=i: queries[i]))
            elif self.query[i] is not None:
                hooks.append(self.query[i].register_forward_hook(out(("q", i))))
            if drop == i:
                hooks += [
                    o.register_forward_hook(lambda *args: args[-1].detach()),
                    m.register_forward_hook(lambda *args: args[-1].detach()),
                ]
        logits = self.theirs(ids).logits[:, -1]
        for hook in hooks:
            hook.remove()
        return logits, held


def by_head(x, heads):
    """Sums over positions and each head's numbers."""
    return x.unflatten(-1, (heads, -1)).sum((1, 3)).detach().numpy()


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_neox", "qwen3"])
def test_heads_and_mlps_by_plain_hooks(name, tmp_path_factory):
    """Grouped, post-norm, parallel, with normed queries."""
    model, theirs, pairs = twin(name, tmp_path_factory.getbasetemp())
    clean, other = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
    logits, held = Plain(theirs).run(clean)
    there = Plain(theirs).run(other)[1]
    (logits[:, 7] - logits[:, 9]).sum().backward(inputs=list(held.values()))
    found = circuits.atp(model, pairs)
    for i in range(model.cfg.n_layers):
        at = [found.nodes.find(f"L{i}H{h}") for h in range(4)]
        z, m = held["z", i], held["mlp", i]
        wanted = by_head((there["z", i] - z) * z.grad, 4)
        assert near(found.by_pair[:, at], wanted, 1e-3)
        wanted = ((there["mlp", i] - m) * m.grad).sum((1, 2)).detach().numpy()
        assert near(found.by_pair[:, found.nodes.find(f"L{i}MLP")], wanted, 1e-3)


@pytest.mark.parametrize("name", ["llama", "gemma2", "qwen3"])
def test_the_fix_by_plain_hooks(name, tmp_path_factory):
    """Queries of the corrupted run put into one layer at a time; what W_O then reads, along the gradient there."""
    model, theirs, pairs = twin(name, tmp_path_factory.getbasetemp())
    clean, other = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
    plain = Plain(theirs)
    logits, held = plain.run(clean)
    (logits[:, 7] - logits[:, 9]).sum().backward(inputs=list(held.values()))
    there = plain.run(other)[1]
    found = circuits.atp(model, pairs, "q", qk_fix=True)
    for i in range(model.cfg.n_layers):
        queries = [there["q", j] if j == i else held["q", j] for j in range(model.cfg.n_layers)]
        moved = plain.run(clean, queries)[1]["z", i]
        wanted = by_head((moved - held["z", i]) * held["z", i].grad, 4)
        at = [found.nodes.find(f"L{i}H{h}<q>") for h in range(4)]
        assert near(found.by_pair[:, at], wanted, 1e-3)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_neox"])
def test_grad_drop_by_plain_hooks(name, tmp_path_factory):
    """A run for every layer, with what the layer writes detached."""
    model, theirs, pairs = twin(name, tmp_path_factory.getbasetemp())
    clean, other = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
    plain, n = Plain(theirs), model.cfg.n_layers
    there, total = plain.run(other)[1], np.zeros((2, n, 4))
    for drop in range(n):
        logits, held = plain.run(clean, drop=drop)
        z = [held["z", i] for i in range(n)]
        grads = torch.autograd.grad((logits[:, 7] - logits[:, 9]).sum(), z, allow_unused=True)
        for i, g in enumerate(grads):
            if g is not None:
                total[:, i] += np.abs(by_head((there["z", i] - z[i]) * g, 4))
    found = circuits.atp(model, pairs, "heads", grad_drop=True)
    assert near(found.by_pair.reshape(2, n, 4), total / (n - 1), 1e-3)


# -- identities ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "gpt_neox", "gpt2"])
def test_neurons_sum_to_their_mlp_and_positions_to_the_whole(name):
    model, pairs = drawn(name)
    mlps, neurons = (circuits.atp(model, pairs, nodes) for nodes in ("mlps", "neurons"))
    summed = np.stack([neurons.by_pair[:, neurons.nodes.layer == i].sum(1) for i in range(3)], 1)
    assert near(summed, mlps.by_pair, 1e-3)
    for nodes in ("components", "qkv"):
        whole, at = (circuits.atp(model, pairs, nodes, by_position=b) for b in (False, True))
        assert near(at.by_pair.reshape(2, len(whole.nodes), 7).sum(-1), whole.by_pair)
        assert (at.by_pair.reshape(2, -1, 7)[..., :2] == 0).all()  # the two runs part at the third token


@pytest.mark.parametrize("name", ["olmo2", "qwen3"])
def test_integrated_gradients_along_the_nodes_are_complete(name):
    """The heads of a layer together are the whole change of the metric when all of them are patched; so are its queries."""
    model, pairs = drawn(name)
    tokens, other = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
    for nodes, kind in (("heads", "z"), ("q", "q")):
        found = circuits.atp(model, pairs, nodes, steps=12, path="nodes")
        there = probe.capture(model, other, f"{kind}.1")[f"{kind}.1"]
        with torch.no_grad(), probe.intervene(model, [Patch(f"{kind}.1", there)]):
            patched = pairs.metric(model(tokens)[:, -1], [0, 1]).numpy()
        total = found.by_pair[:, found.nodes.layer == 1].sum(1)
        assert near(total, patched - found.clean, 0.02)


def test_one_point_at_the_clean_end_is_the_plain_gradient_and_the_metric_is_both_runs():
    model, pairs = drawn("llama")
    plain = circuits.atp(model, pairs)
    for path in ("inputs", "nodes"):
        one = circuits.atp(model, pairs, steps=1, rule="right", path=path)
        assert near(one.by_pair, plain.by_pair)
        assert one.convention["rule"] == "right" and one.convention["points"] == 1
    with torch.no_grad():
        ends = [pairs.metric(model(torch.tensor(ids))[:, -1], [0, 1]).numpy() for ids in (pairs.clean, pairs.corrupted)]
    assert near(plain.clean, ends[0]) and near(plain.corrupted, ends[1])


@pytest.mark.parametrize("name", ["gpt_neox", "gemma2"])
def test_exact_patching_is_what_interventions_do(name):
    model, pairs = drawn(name)
    tokens, other = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
    coder = Transcoder(32, 10, 32, sparsifier=TopK(3), site_in="mlp_in.1", site_out="mlp_out.1").double()
    with torch.no_grad():
        coder.W_dec.normal_(generator=torch.Generator().manual_seed(0))

    def patched(changes, row):
        with torch.no_grad(), probe.intervene(model, changes):
            return float(pairs.metric(model(tokens[row : row + 1])[:, -1], [row])[0])

    exact = circuits.exact_nodes(model, pairs, "components", by_position=True, sample=None)
    z = probe.capture(model, other, "z.1")["z.1"]
    for row in (0, 1):
        wanted = patched([Patch("L1H2@-2", z[row : row + 1, -2:-1, 2])], row) - exact.clean[row]
        assert exact.by_pair[row, exact.nodes.find("L1H2@-2")] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    exact = circuits.exact_nodes(model, pairs, "latents", [coder], sample=None)
    values = probe.unit_values(model, other, dictionary=coder)
    for unit in (0, 3, 7):
        edit = probe.UnitEdit("restore", unit, amount=values[0, :, unit], dictionary=coder)
        wanted = patched([edit], 0) - exact.clean[0]
        assert exact.by_pair[0, exact.nodes.find(f"L1F{unit}")] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
    neurons = circuits.exact_nodes(model, pairs, "neurons", sample=8)
    assert np.isfinite(neurons.score).sum() == 8 == len(neurons.rows(None))
    first = neurons.nodes.name(int(neurons.ranking()[0]))
    post = probe.capture(model, other, f"mlp_post.{first[1]}")[f"mlp_post.{first[1]}"]
    unit = int(first.partition("N")[2])
    assert neurons.by_pair[0, neurons.nodes.find(first)] == pytest.approx(
        patched([Patch(first, post[:1, :, unit])], 0) - neurons.clean[0], rel=1e-4, abs=1e-6
    )


# -- chance ----------------------------------------------------------------------------------------------------------------------


def test_random_directions_score_what_is_told_and_do_not_rank():
    model, pairs = drawn("llama")
    groups = groups_of(model, "heads")
    estimate = Estimate(model, groups, pairs, NodeConfig())
    tokens, other = (torch.tensor(ids) for ids in (pairs.clean, pairs.corrupted))
    clean, corrupted = estimate._run(tokens, [0, 1])[0], estimate._run(other, [0, 1])[0]
    moves = estimate._moves(tokens, clean, corrupted)
    at = next(estimate._gradients(tokens, [0, 1], {}, {}))[1]
    found, exact = circuits.atp(model, pairs, "heads"), circuits.exact_nodes(model, pairs, "heads")
    draw, scores = torch.Generator().manual_seed(1), []
    for _ in range(600):
        each = []
        for move in moves:
            noise = torch.randn(move.change.shape, generator=draw, dtype=move.change.dtype)
            noise = noise / noise.norm(dim=-1, keepdim=True) * move.change.norm(dim=-1, keepdim=True)
            each.append(replace(move, change=noise).score(at).sum(-1).mean(0))
        scores.append(torch.cat(each).numpy())
    drawn_ = np.stack(scores)
    assert np.allclose(found.chance, np.sqrt((drawn_**2).mean(0)), rtol=0.15)
    assert rank_correlation(found.score, exact.score).rho > 0.8
    by_chance = [rank_correlation(row, exact.score, draws=2).rho for row in drawn_[:100]]
    assert abs(np.mean(by_chance)) < 0.15


# -- many pairs, and what is refused ---------------------------------------------------------------------------------------------


def test_pairs_of_several_lengths_in_any_batch():
    """Positions count from the end; a prompt that has no such position has no score there."""
    model = linear_model()
    pairs = pairs_for(model, [*CLEAN, [3, 4, 5]], [*CORRUPTED, [3, 9, 5]])
    for options in ({}, {"by_position": True}, {"by_position": True, "grad_drop": True}):
        whole, one = (circuits.atp(model, pairs, batch=batch, **options) for batch in (None, 1))
        assert near(whole.by_pair, one.by_pair, 1e-5)
    exact = circuits.exact_nodes(model, pairs, "heads", by_position=True)
    found = circuits.atp(model, pairs, "heads", by_position=True)
    assert near(found.by_pair, exact.by_pair)
    i = found.nodes.find("L0H0@-5")
    row = next(row for row in found.rows(None) if row["node"] == "L0H0@-5")
    assert row["low"] <= row["score"] <= row["high"] and row["pairs of this sign"] in (0.5, 1)
    assert np.isnan(found.by_pair[2, i]) and found.score[i] == pytest.approx(found.by_pair[:2, i].mean())


def test_what_does_not_fit_is_refused_first():
    model, pairs = drawn("llama")
    sae = SAE(32, 12, sparsifier=TopK(3), site="resid_post.0")
    for options, said in (
        ({"nodes": "circuits"}, "one of"),
        ({"nodes": "latents"}, "none came"),
        ({"nodes": "heads", "dictionaries": [sae]}, "none of their latents"),
        ({"nodes": "heads", "qk_fix": True}, "queries and keys"),
        ({"steps": 3, "grad_drop": True}, "Choose one way"),
        ({"memory": 0}, "memory"),
    ):
        with pytest.raises(BadInput, match=said):
            circuits.atp(model, pairs, **options)
    with pytest.raises(BadInput, match="through a norm that they share"):
        circuits.atp(tiny("olmo2"), drawn("olmo2")[1], "q", qk_fix=True)
    with pytest.raises(BadInput, match="has one"):
        circuits.atp(looking_model(), pairs_for(looking_model(), [[1, 2, 6]], [[1, 2, 7]], 1, 2), grad_drop=True)
    with pytest.raises(BadInput, match="same prompt twice"):
        circuits.atp(model, pairs_for(model, pairs.clean, pairs.clean))
    early = [[*pairs.clean[0][:-1], 3]]  # the runs part at the last token alone
    with pytest.raises(BadInput, match="All scores of 1 pair are 0"):
        circuits.atp(model, pairs_for(model, early, [[*early[0][:-1], 4]], right=7, wrong=7))
    stranger = replace(pairs, model=replace(pairs.model, tokenizer="another"))
    with pytest.raises(BadInput, match="whose tokenizer is another"):
        circuits.exact_nodes(model, stranger)
    with pytest.raises(BadInput, match="no node"):
        circuits.atp(model, pairs, "heads").of("L9H9")


def test_half_precision_says_nearly_the_same():
    """bfloat16 beside float64 of the same weights: gradients in the model's own arithmetic, sums in float32."""
    half, whole, pairs = tiny("llama", "bfloat16"), tiny.__wrapped__("llama"), drawn("llama")[1]
    with torch.no_grad():
        for to, of in zip(whole.parameters(), half.parameters(), strict=True):
            to.copy_(of)
    for options in ({}, {"nodes": "qkv", "qk_fix": True}, {"nodes": "k", "qk_fix": True, "by_position": True}):
        found, wanted = (circuits.atp(model, pairs, **options) for model in (half, whole))
        assert near(found.by_pair, wanted.by_pair, 0.2) and np.corrcoef(found.score, wanted.score)[0, 1] > 0.98


def test_scores_show_themselves(tmp_path):
    model, pairs = drawn("llama")
    for options in (
        {},
        {"by_position": True},
        {"nodes": "neurons", "by_position": True},
        {"nodes": "qkv", "grad_drop": True},
    ):
        found = circuits.atp(model, pairs, **options)
        titles = [panel.title for panel in found.panels() if hasattr(panel, "title")]
        total = len(found.nodes)
        strongest = f"The strongest 50 of {total:,} nodes" if total > 50 else "The strongest nodes"
        assert titles[:2] == ["What each node is worth", strongest]
        assert found.figure().data[0].z.shape[0] == 3
        assert found.figure(across="position").data[0].z.shape[1] >= 1
        row = found.rows(1)[0]
        assert row["node"] == found.names(1)[0] and row["low"] <= row["score"] <= row["high"]
        assert sum(one["below 0"] + one["above 0"] for one in found.by_layer()) == pytest.approx(
            float(found.score.sum())
        )


def test_exact_patching_of_weights_that_are_nan_is_refused_in_a_sentence():
    (_, pairs), hurt = drawn("llama"), deepcopy(tiny("llama"))
    with torch.no_grad():
        hurt.blocks[1].mlp.W_out[0, 0] = torch.nan
    with pytest.raises(BadInput, match="is nan in its clean run, so nothing can be attributed"):
        circuits.exact_nodes(hurt, pairs, "heads", sample=2)
