"""Edges between components, held against plain autograd, transformer-lens's attribution, exact patching, compiled programs."""

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from edge_pairs import drawn, pairs_for
from tiny import CONFIGS, tiny
from tracr import FIXTURES, compiled, expected
from transformer_lens.tools.analysis.attribution_patching import EdgeAttributionConfig, attribution_patch

from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import AtClean, InputPath
from circuits.edge_attribution.exact import measured
from circuits.edge_attribution.gradients import INPUT, Moved, backward
from circuits.edge_attribution.runs import Comparison
from circuits.search.acdc import SearchConfig, searched
from probe.errors import BadInput
from probe.progress import SILENT


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_every_shape_of_block_keeps_the_identities(name):
    """Writes sum to the stream, gradients to the input's, all edges swapped give the other run, none swapped the model."""
    model, pairs = drawn(name)
    made = components(model)  # raises where one of them does not hold
    compared = Comparison(model, made, pairs, "metric")
    edges = made.layout.edges
    with torch.no_grad():
        whole, other = (
            pairs.metric(model(torch.tensor(ids))[:, -1], [0, 1]).numpy() for ids in (pairs.clean, pairs.corrupted)
        )
    found = compared.values(np.stack([edges, np.zeros_like(edges)]))
    assert found[0] == pytest.approx(whole, rel=1e-6, abs=1e-9)
    assert found[1] == pytest.approx(other, rel=1e-4, abs=1e-5)
    assert np.abs(whole - other).max() > 1e-3


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "gemma2"])
def test_two_ways_of_exact_patching_agree(name):
    """One edge at a time from caches, and as a circuit that lacks one edge, by live writes."""
    model, pairs = drawn(name)
    made = components(model)
    edges = np.argwhere(made.layout.edges)
    some = np.random.default_rng(0).choice(len(edges), 24, replace=False)
    exact = measured(model, made, pairs, edges[some], some)
    kept = np.repeat(made.layout.edges[None], len(some), 0)
    kept[np.arange(len(some)), edges[some, 0], edges[some, 1]] = False
    live = Comparison(model, made, pairs, "metric").values(kept) - exact.clean
    assert pytest.approx(live, rel=1e-3, abs=1e-6) == exact.by_pair[:, some].T
    assert np.isnan(exact.by_pair).sum() == exact.by_pair.size - 2 * len(some)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "qwen3"])
def test_a_score_is_the_slope_of_its_edge(name):
    """Moved a small step towards the corrupted run, the metric changes by that step times the score (plain model runs)."""
    model, pairs = drawn(name)
    made = components(model)
    scores = AtClean().scored(model, made, pairs, [0, 1]).scores
    tokens, other = torch.tensor(pairs.clean), torch.tensor(pairs.corrupted)
    clean, there = made.writes(model, tokens), made.writes(model, other)
    step = 1e-2 if name == "qwen3" else 1e-4  # its norms compute in float32
    strong = scores.abs().sum(0).flatten().topk(6).indices
    for u, v in zip(strong // scores.shape[2], strong % scores.shape[2], strict=True):
        removed = torch.zeros(2, *made.layout.edges.shape, dtype=torch.bool)
        removed[:, u, v] = True
        ends = [made.run(model, tokens, removed, clean + s * (there - clean))[:, -1] for s in (step, -step)]
        slope = (pairs.metric(ends[0], [0, 1]) - pairs.metric(ends[1], [0, 1])) / (2 * step)
        assert slope.tolist() == pytest.approx(scores[:, u, v].tolist(), rel=0.02, abs=2e-4 * float(scores.abs().max()))


def test_parity_with_transformer_lens_on_a_multi_head_model():
    """Its gradient is at its corrupted run and points to the clean one: ours with the two sides given the other way round."""
    model, pairs = drawn("gpt2")
    made = components(model)
    model.requires_grad_(True)  # theirs starts at the weights
    try:
        theirs = attribution_patch(
            model,
            torch.tensor(pairs.corrupted[:1]),
            torch.tensor(pairs.clean[:1]),
            lambda logits: logits[0, -1, 7] - logits[0, -1, 9],
            EdgeAttributionConfig(granularity="edge"),
        )
    finally:
        model.requires_grad_(False)
    summed: dict[tuple[str, str], float] = {}
    for (u, v), score in theirs.edge_scores.items():
        sender = {"embed": "input", "attn_head_out": f"a{u.layer}.h{u.head}", "mlp_out": f"m{u.layer}"}[u.kind]
        side = v.kind[0]
        receiver = {"mlp_in": f"m{v.layer}", "logits": "logits"}.get(v.kind, f"a{v.layer}.h{v.head}<{side}>")
        summed[sender, receiver] = summed.get((sender, receiver), 0.0) + score
    ours = AtClean().scored(model, made, pairs, [0]).scores[0]
    assert len(summed) == made.layout.edges.sum()
    found = [float(ours[made.layout.edge(f"{u}->{v}")]) for u, v in summed]
    assert found == pytest.approx(list(summed.values()), abs=1e-4 * max(map(abs, found)))


def test_integrated_gradients_of_the_input_alone_are_complete():
    """Where every path runs through one edge, its EAP-IG is the whole change of the metric."""
    model, pairs = drawn("gpt2")
    made = components(model)
    run = InputPath(24).scored(model, made, pairs, [0, 1])
    tokens = torch.tensor(pairs.clean)
    total = torch.zeros(2)
    start, end = (made.writes(model, torch.tensor(ids))[:, 0] for ids in (pairs.corrupted, pairs.clean))
    for k in range(24):
        at = Moved(site=INPUT, by=(1 - (k + 0.5) / 24) * (start - end))
        one = backward(model, tokens, made.readers, lambda logits: pairs.metric(logits, [0, 1]), at)
        total = total + ((start - end) * one.start).sum((1, 2)) / 24
    assert run.scores[:, 0].sum(-1).tolist() == pytest.approx(total.tolist(), rel=1e-6)
    assert total.tolist() == pytest.approx((run.corrupted - run.clean).tolist(), rel=5e-3)


def test_edges_of_shared_keys_are_named_by_their_key_value_head():
    """And a model whose heads have their own takes the literature's names."""
    grouped, plain = components(tiny("llama")).layout, components(tiny("gpt2")).layout
    assert "a1.kv1<k>" in grouped.receivers and "a1.h3<q>" in grouped.receivers and "a1.h3<k>" in plain.receivers
    assert plain.edge("a0.h1->a1.h2<q>") == (2, plain.receivers.index("a1.h2<q>"))
    for wrong, said in (("a0.h1", "no edge"), ("a1.h0->a0.h0<q>", "after"), ("a0.h9->logits", "no edge")):
        with pytest.raises(BadInput, match=said):
            plain.edge(wrong)


# -- programs compiled to transformers: circuits known by construction --------------------------------------------------------

needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the compiled programs are not beside this checkout")


@cache
def program(name):
    """A compiled program, its components with tokens and positions apart, pairs of its inputs."""
    model, ids = compiled(name)
    letters = [i for token, i in ids.items() if token not in ("BOS", "compiler_pad")]
    every = [[ids["BOS"], *word] for word in itertools.product(letters, repeat=4)][:: 1 if len(letters) == 3 else 4]
    order = np.random.default_rng(0).permutation(len(every))
    return model, components(model, apart=True), every, [every[i] for i in order]


@needs_fixtures
@pytest.mark.parametrize("ablation", ["resample", "zero"])
@pytest.mark.parametrize("name", ["reverse", "xproportion"])
def test_exact_patching_finds_the_edges_of_a_compiled_program(name, ablation):
    """At every position, under both ablations: the edges that were found to matter, and no other."""
    model, made, clean, corrupted = program(name)
    tokens, other = torch.tensor(clean), made.writes(model, torch.tensor(corrupted))
    other = torch.zeros_like(other) if ablation == "zero" else other
    with torch.no_grad():
        whole = model(tokens)[:, 1:]
    moved = set()
    for u, v in np.argwhere(made.layout.edges):
        removed = torch.zeros(1, *made.layout.edges.shape, dtype=torch.bool)
        removed[0, u, v] = True
        found = made.run(model, tokens, removed.expand(len(tokens), -1, -1), other, slice(1, None))
        if (found - whole).abs().max() > 1e-6:
            moved.add(made.layout.name(u, v))
    assert moved == expected(name, ablation)


@needs_fixtures
@pytest.mark.parametrize("order", ["last", "first", "shuffled"])
@pytest.mark.parametrize("threshold", [1e-3, 1e-1])
def test_acdc_returns_a_compiled_program_whatever_order_and_threshold(threshold, order):
    """Two decades of thresholds, any order of the edges; running ahead changes nothing."""
    model, made, clean, corrupted = program("reverse")
    pairs = pairs_for(model, clean, corrupted, 0, 1)
    compared = Comparison(model, made, pairs, "kl", "resample")
    config = SearchConfig(threshold=threshold, order=order, ahead=16)
    found = searched(model, made, compared, "reverse", config, 0, SILENT)
    assert set(found.names) == expected("reverse", "resample")


@needs_fixtures
def test_acdc_by_zeros_returns_what_zeros_need():
    """Ablation by zero also needs what makes positions and constants."""
    model, made, clean, corrupted = program("reverse")
    pairs = pairs_for(model, clean, corrupted, 0, 1)
    compared = Comparison(model, made, pairs, "kl", "zero")
    found = searched(model, made, compared, "reverse", SearchConfig(threshold=1e-2, ablation="zero"), 0, SILENT)
    assert set(found.names) == expected("reverse", "zero")


def test_running_ahead_is_what_one_by_one_finds():
    """A random model, where edges stay and go in turn: rows of 1 and of 16 keep the same edges."""
    model, pairs = drawn("gpt2")
    made = components(model)
    found = []
    for rows in (1, 16):
        compared = Comparison(model, made, pairs, "metric")
        found.append(
            searched(
                model, made, compared, "t", SearchConfig(threshold=2e-3, ahead=rows, divergence="metric"), 0, SILENT
            )
        )
    assert found[0].names == found[1].names
    assert 5 < len(found[0]) < 200


def test_a_fall_of_the_metric_is_of_logits_also_without_a_wrong_answer():
    """The whole model is no worse than itself, and a circuit without edges by what the two runs differ."""
    model, pairs = drawn("gpt2")
    one_sided = replace(pairs, wrong=[[], []])
    made = components(model)
    compared = Comparison(model, made, one_sided, "metric")
    edges = made.layout.edges
    far = compared.far(np.stack([edges, np.zeros_like(edges)]))
    scored = AtClean().scored(model, made, one_sided, [0, 1])
    assert far == pytest.approx([0, float((scored.clean - scored.corrupted).mean())], abs=1e-5)
    assert abs(far[1]) > 1e-3
