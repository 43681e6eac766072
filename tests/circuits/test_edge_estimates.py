"""Estimates of edges: each against what its definition says it is, by other means than its own."""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_pairs import drawn, pairs_for
from plain import Plain
from tiny import saved, tiny
from transformers import AutoModelForCausalLM
from zoo import pair

import circuits
from circuits.edge_attribution import attribute
from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import ActivationPaths, AtBothEnds, AtClean, sublayers
from circuits.edge_attribution.exact import plan_exact_edges
from circuits.edge_attribution.flow_routes import Routes, plan_flow_routes
from circuits.edge_attribution.relp import Relevance, plan_relp
from circuits.edge_attribution.runs import Comparison
from circuits.replacement.freeze import freeze
from probe.errors import BadInput
from probe.model.load import load_model
from probe.model.toy import native

pytestmark = pytest.mark.slow

BOTH = [0, 1]
SHAPES = ["gpt2", "gpt_neox", "opt", "llama", "qwen3", "gemma2", "gemma3", "olmo2"]


def scored(how, name):
    model, pairs = drawn(name)
    return how.scored(model, components(model), pairs, BOTH)


# -- along the activations' paths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_edges_out_of_a_sublayer_sum_to_what_its_whole_output_does(name):
    """Completeness: with many points, the scores of all its edges are the metric's change if it gives what it gave corrupted."""
    model, pairs = drawn(name)
    made = components(model)
    found = ActivationPaths(steps=6).scored(model, made, pairs, BOTH)
    cuts = sublayers(made.layout)
    kept = np.repeat(made.layout.edges[None], len(cuts), 0)
    for row, (_, senders) in enumerate(cuts):
        kept[row, senders] = False
    wanted = Comparison(model, made, pairs, "metric").values(kept) - found.clean.numpy()
    sums = np.stack([found.scores[:, senders].sum((1, 2)).numpy() for _, senders in cuts])
    assert np.abs(sums - wanted).max() < 0.02 * np.abs(wanted).max()
    assert sums[0] == pytest.approx((found.corrupted - found.clean).numpy(), rel=0.02)  # all runs through the input
    assert (np.abs(wanted).max(1) > 1e-3).all()


class PlainPaths:
    """A transformers model by torch's hooks alone: gradients where each sublayer reads, one sublayer's output moved."""

    def __init__(self, model, clean, corrupted, metric):
        self.plain, self.metric = Plain(model, clean), metric
        plain, n = self.plain, self.plain.n
        self.reads = [self.norm(i, kind) for i in range(n) for kind in ("attn", "mlp")] + [plain.final]
        self.outs = [out for i in range(n) for out in (plain.o_proj(i), plain.mlp(i))]
        ends = []
        for tokens in (clean, corrupted):
            plain.tokens = tokens
            ends.append(plain.read((plain.blocks[0], "in"), *((m, "out") for m in self.outs)))
        plain.tokens = clean
        self.change = [b - a for a, b in zip(*ends, strict=True)]

    def norm(self, i, kind):
        if kind == "mlp":
            return self.plain.between(i)
        block = self.plain.blocks[i]
        return block.ln_1 if hasattr(block, "ln_1") else block.input_layernorm

    def gradients(self, sublayer, share):
        probes = [torch.zeros_like(self.change[0], requires_grad=True) for _ in self.reads]
        by = (1 - share) * self.change[sublayer]

        def moved(module, args, out):
            return out + by

        def entered(module, args, kwargs):
            return (
                ((args[0] + by, *args[1:]), kwargs)
                if args
                else (args, {**kwargs, "hidden_states": kwargs["hidden_states"] + by})
            )

        with ExitStack() as stack:
            for module, probe in zip(self.reads, probes, strict=True):
                hook = module.register_forward_pre_hook(lambda module, args, probe=probe: (args[0] + probe, *args[1:]))
                stack.callback(hook.remove)
            out = self.plain.blocks[0].register_forward_pre_hook(entered, with_kwargs=True, prepend=True)
            if sublayer:
                out.remove()
                out = self.outs[sublayer - 1].register_forward_hook(moved)
            stack.callback(out.remove)
            value = self.metric(self.plain.model(input_ids=self.plain.tokens).logits[:, -1])
            return torch.autograd.grad(value.sum(), probes)

    def scores(self, steps):
        """Of every sublayer that writes and every one that reads, by its own path and by all of them."""
        own, every = (torch.zeros(len(self.change), len(self.reads)) for _ in range(2))
        for s in range(len(self.change)):
            for k in range(steps):
                found = self.gradients(s, (k + 0.5) / steps)
                scores = torch.stack([torch.stack([(d * g).sum() for g in found]) for d in self.change]) / steps
                own[s] += scores[s]
                every += scores / len(self.change)
        return own, every


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_activation_paths_are_those_of_plain_autograd(name, tmp_path):
    """The same by torch's hooks on the transformers model: sums over what a sublayer writes and what another reads."""
    folder = saved(name, tmp_path / name)
    model, hf = (
        load_model(folder, dtype="float32"),
        AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager"),
    )
    clean = torch.randint(5, 60, (1, 6), generator=torch.Generator().manual_seed(1))
    other = clean.clone()
    other[0, 2:4] = torch.tensor([70, 71])
    pairs = pairs_for(model, clean.tolist(), other.tolist())
    made = components(model)
    layout = made.layout
    plain = PlainPaths(hf, clean, other, lambda logits: logits[:, 7] - logits[:, 9]).scores(2)
    writes = [senders for _, senders in sublayers(layout)]
    reads = [
        slice(layout.reading(i, a).start, layout.reading(i, b).stop)
        for i in range(3)
        for a, b in (("q", "v"), ("mlp", "mlp"))
    ]
    reads.append(layout.reading(3, "mlp"))
    for over, wanted in zip(("own", "all"), plain, strict=True):
        found = ActivationPaths(steps=2, over=over).scored(model, made, pairs, [0]).scores[0]
        for s, senders in enumerate(writes):
            for r, receivers in enumerate(reads):
                if layout.edges[senders.start, receivers.start]:
                    assert float(found[senders, receivers].sum()) == pytest.approx(
                        float(wanted[s, r]), abs=2e-4 * float(wanted.abs().max())
                    )
                else:
                    assert not found[senders, receivers].any()


# -- both ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_clean_corrupted_is_the_mean_of_two_attributions(name):
    """That of the clean run, and that of the pairs the other way round, whose change has the other sign."""
    model, pairs = drawn(name)
    made, turned = components(model), replace(pairs, clean=pairs.corrupted, corrupted=pairs.clean)
    there, back = (AtClean().scored(model, made, p, BOTH).scores for p in (pairs, turned))
    found = AtBothEnds().scored(model, made, pairs, BOTH)
    assert torch.allclose(found.scores, (there - back) / 2, rtol=1e-9, atol=1e-12)
    assert (there + back).abs().max() > 0.1 * there.abs().max()  # the two ends say different things


# -- relevance ----------------------------------------------------------------------------------------------------------------


def frozen_effect(frozen, layer, side, change, cotangent):
    """What the metric's linear part changes by, in the frozen model, if one side of a layer reads `change` more: forwards."""
    last = len(frozen.layers)

    def normed(norm, x):
        return x if norm is None else norm.forward(x)

    def attention(part, x, head):
        if head is None:
            return normed(part.ln1_post, part.attn.forward(normed(part.ln1, x)))
        W_V = torch.zeros_like(part.attn.W_V)
        W_V[head] = part.attn.W_V[head]
        return normed(part.ln1_post, replace(part.attn, W_V=W_V).forward(normed(part.ln1, x)))

    def neurons(part, x):
        x = normed(part.ln2, x)
        a = part.mlp.in_weight * (x @ part.mlp.W_in)
        if part.mlp.W_gate is not None:
            a = a + part.mlp.gate_weight * (x @ part.mlp.W_gate)
        return normed(part.ln2_post, a @ part.mlp.W_out)

    stream = torch.zeros_like(change)
    for i in range(layer, last):
        part, first = frozen.layers[i], i == layer
        before = stream
        if first and side != "mlp":
            stream = stream + attention(part, change, side)
        elif not first:
            stream = stream + attention(part, stream, None)
        read = before if part.parallel else stream
        stream = stream + neurons(part, change if first and side == "mlp" else read)
    final = normed(frozen.ln_final, change if layer == last else stream)
    return float((final[-1] * cotangent).sum())


@pytest.mark.parametrize("name", SHAPES)
def test_relevance_is_what_edges_do_in_the_frozen_model(name):
    """Each edge's score is the change that its sender's makes in the linear model of `circuits.replacement`, run forwards."""
    model, pairs = drawn(name)
    made = components(model)
    layout, found = made.layout, Relevance().scored(model, made, pairs, BOTH).scores[0]
    clean, other = (torch.tensor(ids[:1]) for ids in (pairs.clean, pairs.corrupted))
    change, frozen = made.writes(model, other)[0] - made.writes(model, clean)[0], freeze(model, clean)
    final = frozen.final[-1:].clone().requires_grad_()
    raw, cap = final @ frozen.W_U + frozen.b_U, model.cfg.output_logits_soft_cap or 0
    pairs.metric(cap * torch.tanh(raw / cap) if cap > 0 else raw, [0]).sum().backward()
    tolerance = 1e-4 * float(found.abs().max())
    for layer in range(layout.n_layers + 1):
        for side in ("v", "mlp") if layer < layout.n_layers else ("mlp",):
            columns = layout.reading(layer, side)
            for receiver in range(columns.start, columns.stop):
                for sender in range(0, layout.before(layer, side), 2):
                    at = receiver - columns.start if side == "v" else "mlp"
                    effect = frozen_effect(frozen, layer, at, change[sender], final.grad[0])
                    assert float(found[sender, receiver]) == pytest.approx(effect, rel=1e-3, abs=tolerance)
    keys = [c for i in range(layout.n_layers) for s in ("q", "k") for c in range(*layout.reading(i, s).indices(999))]
    assert not found[:, keys].any() and (found[0] != 0).sum() > layout.n_layers


def test_relevance_conserves_over_every_cut_of_the_frozen_model():
    """What enters at a layer's input leaves into everything behind it: sums over cuts are one number."""
    model, pairs = drawn("llama")
    made = components(model)
    frozen = freeze(model, torch.tensor(pairs.clean[:1]))
    scores = Relevance().scored(model, made, pairs, BOTH).scores[0]
    writes = [made.writes(model, torch.tensor(ids[:1]))[0] for ids in (pairs.corrupted, pairs.clean)]
    effect = frozen.ln_final.forward((writes[0] - writes[1]).sum(0))[-1] @ (frozen.W_U[:, 7] - frozen.W_U[:, 9])
    assert float(scores[:, -1].sum()) == pytest.approx(float(effect), rel=1e-5)


@pytest.mark.parametrize("attention", ["held", "through"])
def test_relevance_is_eap_where_the_model_is_linear(attention):
    """No norms, ReLU away from 0, and patterns that are differentiated, or the same whatever is read."""
    model = native(n_layers=2, act_fn="relu", normalization_type=None, scale=3.0)
    if attention == "held":
        with torch.no_grad():
            for block in model.blocks:
                block.attn.W_Q.zero_(), block.attn.b_Q.zero_()
    draw = torch.Generator().manual_seed(2)
    clean, other = (torch.randint(1, 60, (2, 6), generator=draw).tolist() for _ in range(2))
    pairs, made = pairs_for(model, clean, other), components(model)
    eap, relevance = (how.scored(model, made, pairs, BOTH).scores for how in (AtClean(), Relevance(attention)))
    assert torch.allclose(eap, relevance, rtol=1e-4, atol=1e-5 * float(eap.abs().max()))
    assert eap.abs().max() > 1e-3


def test_relevance_is_not_eap_where_there_are_norms():
    """Nor are gradients through the patterns those of held ones."""
    eap, held, through = (scored(how, "gpt2").scores for how in (AtClean(), Relevance(), Relevance("through")))
    assert not torch.allclose(eap, through, rtol=0.1) and not torch.allclose(held, through, rtol=0.1)
    layout = components(tiny("gpt2")).layout
    assert through[:, :, layout.reading(1, "k")].any() and not held[:, :, layout.reading(1, "k")].any()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mixtral", "no single W_in"),  # a mixture of experts
        ("olmo", "cannot be held"),  # norms without weights
        ("modernbert-decoder", "mlp_pre"),
        ("apertus", "does not act on each neuron alone"),
    ],
)
def test_models_without_what_the_rules_are_about_are_refused(name, said):
    """Gradients and shares are told of them all the same."""
    model = pair(name)[0]
    pairs = pairs_for(model, [[5, 6, 7, 8]], [[5, 60, 7, 8]])
    with pytest.raises(BadInput, match=said):
        circuits.relp(model, pairs)
    assert np.isfinite(circuits.eap_ig_activations(model, pairs, steps=1).by_pair).all()


@pytest.mark.parametrize("name", ["deepseek_v2", "nanochat"])
def test_models_whose_heads_cannot_be_told_apart_are_refused(name):
    model = pair(name)[0]
    with pytest.raises(BadInput, match="has no W_Q of its own|cannot be told apart"):
        circuits.eap(model, pairs_for(model, [[5, 6]], [[7, 6]]))


# -- routes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_routes_are_shares_of_what_is_read(name):
    """Recomputed in numpy from what senders write and what the stream is, as the definition says."""
    model, pairs = drawn(name)
    made = components(model)
    found, layout = Routes().scored(model, made, pairs, BOTH).scores.numpy(), made.layout
    _, cache = model.run_with_cache(torch.tensor(pairs.clean))
    written = made.writes(model, torch.tensor(pairs.clean)).numpy()
    for reader in made.readers:
        y = cache[reader.stream.name].numpy() if reader.stream.name in cache else None
        if y is None:  # parallel blocks and others: all that was written before, and biases
            continue
        n = layout.before(reader.layer, reader.side)
        near = np.maximum(np.abs(y)[:, None].sum(-1) - np.abs(y[:, None] - written[:, :n]).sum(-1), 0)
        share = (near / near.sum(1, keepdims=True)).mean(-1)
        for column in range(*layout.reading(reader.layer, reader.side).indices(999)):
            assert found[:, :n, column] == pytest.approx(share, rel=1e-6, abs=1e-9)
            assert not found[:, n:, column].any()
    assert found.sum(1) == pytest.approx(np.ones_like(found[:, 0]))


def test_routes_say_neither_for_nor_against(toy):
    """So they cannot choose edges by how they speak for the right answer."""
    scores = circuits.flow_routes(toy, "greater-than", n=2)
    assert not scores.signed and "neither for nor against" in scores.convention["sign"]
    assert len(circuits.choose_edges(scores, 200)) > 0
    with pytest.raises(BadInput, match="neither for nor against"):
        circuits.choose_edges(scores, 10, signed=True)


def test_what_is_done_at_once_changes_no_score():
    model, pairs = drawn("llama")
    for run in (circuits.eap, circuits.relp, circuits.eap_ig_activations, circuits.flow_routes):
        one, both = (run(model, pairs, batch=k).by_pair for k in (1, 2))
        assert one == pytest.approx(both, rel=1e-5, abs=1e-6 * float(np.abs(both).max()))


# -- what is refused, and how much it takes -----------------------------------------------------------------------------------

METHODS = {
    "eap": {},
    "eap_ig": {"steps": 2},
    "eap_ig_activations": {"steps": 1},
    "clean_corrupted": {},
    "relp": {},
    "flow_routes": {},
    "exact_edges": {"edges": 4},
}
PLANS = {
    **{name: getattr(attribute, f"plan_{name}") for name in list(METHODS)[:4]},
    "relp": plan_relp,
    "flow_routes": plan_flow_routes,
    "exact_edges": plan_exact_edges,
}


@pytest.mark.parametrize("name", METHODS)
def test_bad_pairs_are_refused_before_they_cost_anything(name):
    model, pairs = drawn("llama")
    run = getattr(circuits, name)
    wrong = {
        "the same prompt twice": replace(pairs, corrupted=[pairs.clean[0], pairs.corrupted[1]]),
        "7 tokens clean and 6 corrupted": replace(pairs, corrupted=[ids[:-1] for ids in pairs.corrupted]),
        "whose tokenizer is another": replace(pairs, model=replace(pairs.model, tokenizer="other", name="another")),
        "There are no pairs": pairs.some([]),
    }
    for said, given in wrong.items():
        with pytest.raises(BadInput, match=said):
            run(model, given, **METHODS[name])


def test_runs_that_say_nothing_are_refused():
    """Not finite, saturated, or the same whatever is read."""
    model, pairs = native(n_layers=1, scale=3.0), None
    pairs = pairs_for(model, [[1, 2, 3]], [[1, 4, 3]])
    with torch.no_grad():
        model.W_U.mul_(1e30)
    with pytest.raises(BadInput, match="has no gradient: every score is 0"):
        circuits.eap(model, replace(pairs, measure="prob_diff", model=pairs_for(model, [[1]], [[2]]).model))
    with torch.no_grad():
        model.W_U.fill_(torch.nan)
    for run in (circuits.eap, circuits.clean_corrupted, circuits.exact_edges):
        with pytest.raises(BadInput, match="is nan in its clean run"):
            run(model, pairs)
    with torch.no_grad():
        hurt = native(n_layers=1, scale=3.0)
        hurt.blocks[0].mlp.W_out[0, 0] = torch.nan
    with pytest.raises(BadInput, match="computes NaN or infinity, first in blocks.0.hook_resid_post"):
        circuits.eap(hurt, pairs)
    deaf = native(n_layers=1, scale=3.0)
    with torch.no_grad():
        deaf.W_E[4] = deaf.W_E[2]
    for run in (circuits.eap, circuits.exact_edges):
        with pytest.raises(BadInput, match="are identical: every component writes the same"):
            run(deaf, pairs_for(deaf, [[1, 2, 3]], [[1, 4, 3]]))


def test_a_metric_that_is_no_function_of_the_logits_is_refused():
    model, pairs = drawn("gpt2")

    class Hits(type(pairs)):
        def metric(self, logits, rows):
            return (logits.argmax(-1) == 7).double()

    with pytest.raises(BadInput, match="has no gradient"):
        circuits.eap(model, Hits(**pairs.__dict__))


def test_half_precision_agrees_with_the_same_weights_in_float32():
    """Scores are summed in float32, so what is left is the model's own arithmetic: gradients agree to 3% of the largest score,
    effects that are measured to one part in 64 of the largest logit, which itself is rounded to one in 256."""
    small, wide = (tiny.__wrapped__("llama", kind) for kind in ("bfloat16", "float32"))
    with torch.no_grad():
        for a, b in zip(small.parameters(), wide.parameters(), strict=True):
            b.copy_(a)
    _, pairs = drawn("llama")
    largest = float(wide(torch.tensor(pairs.clean)).abs().max())
    for name, options in METHODS.items():
        found, wanted = (getattr(circuits, name)(m, pairs, **options) for m in (small, wide))
        there = np.isfinite(wanted.score)
        gap, top = (np.abs(x[there]).max() for x in (found.score - wanted.score, wanted.score))
        assert gap < (largest / 64 if name == "exact_edges" else 0.03 * top), (name, gap, top)
        assert found.by_pair.dtype == np.float32 and top > 0.01


def test_plans_say_what_it_takes(toy):
    plans = {name: PLANS[name](toy, "greater-than", n=2, **options) for name, options in METHODS.items()}
    groups = plans["eap"].passes
    assert plans["eap_ig"].passes == plans["clean_corrupted"].passes == 2 * groups
    assert plans["eap_ig_activations"].passes == 9 * groups and plans["flow_routes"].passes == 0
    assert (
        plans["exact_edges"].passes == 2
        and "4 edges on 2 pairs: 2 runs, 4 edges together" in plans["exact_edges"].summary()
    )
    for plan in plans.values():
        assert plan.seconds > 0 and plan.bytes > 1e6
