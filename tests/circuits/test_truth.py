"""Subgraphs tested in the model: what is exact is exact, what is wrong is noticed, and nothing happens by itself."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import CONFIGS, tiny

from circuits.attribution.trace import Difference, Direction, TraceConfig, trace
from circuits.faithfulness.sufficiency import RootShare, Sufficiency, check_sufficiency, mean_levels
from circuits.graph.graph import KINDS, UNITS, CircuitGraph, Edges, Nodes
from circuits.validation.continuation import continue_changed
from circuits.validation.predict import change_of, predict_direct, predict_full
from circuits.validation.random_sets import overlap, random_sets
from circuits.validation.subgraph import check_subgraph
from circuits.validation.testbed import Testbed
from circuits.validation.tested_nodes import carried_over, most_influential
from probe.dictionaries import SAE, CrossLayerTranscoder, ReLU, TopK, Transcoder
from probe.errors import BadInput, OpenworkError
from probe.interventions.forward import capture
from probe.interventions.generation import generate_with
from probe.interventions.places import Place, neuron
from probe.interventions.running import intervene
from probe.interventions.unit_edits import UnitEdit
from probe.interventions.values import Clamp, Zero
from probe.model.load import load_model
from probe.model.sites import Site
from probe.model.toy import lookup_model, native, toy_tokenizer
from probe.statistics import agreement, bootstrap, share_as_large, spread

PROMPT, OTHER = "The capital of France", "The capital of Italy"
HELD = [n for n in CONFIGS if n != "opt"]
EXACT = 1e-9


def shaken(dictionary, seed=5):
    """Every weight random, so that no term is zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in dictionary.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return dictionary.to(torch.float64).eval()


def mlp_sites(layer: int) -> dict[str, str]:
    return {"site_in": f"blocks.{layer}.mlp.hook_in", "site_out": f"blocks.{layer}.mlp.hook_out"}


def skip_transcoders() -> list:
    one = shaken(Transcoder(32, 40, sparsifier=ReLU(), skip=True, **mlp_sites(1)))
    return [one, shaken(Transcoder(32, 24, sparsifier=TopK(6), **mlp_sites(2)), 6)]


def saes() -> list:
    sites = ("blocks.0.mlp.hook_out", "blocks.1.hook_resid_mid", "blocks.2.hook_resid_post")
    return [shaken(SAE(32, 40, sparsifier=ReLU(), site=s), i) for i, s in enumerate(sites)]


def cross_layer() -> list:
    sites = {f"sites_{s}": [f"blocks.{i}.mlp.hook_{s}" for i in range(3)] for s in ("in", "out")}
    return [shaken(CrossLayerTranscoder([32] * 3, 20, [32] * 3, sparsifier=ReLU(), **sites))]


BASES = {
    "neurons": (list, {}),
    "skip": (skip_transcoders, {}),
    "saes": (saes, {}),
    "cross_layer": (cross_layer, {}),
    "heads": (list, {"heads": True}),
    "components": (list, {"basis": "components"}),
}


def traced(model, basis: str, prompt: str = PROMPT, **options) -> tuple[CircuitGraph, list]:
    make, config = BASES[basis]
    dictionaries = make()
    if model.cfg.parallel_attn_mlp:  # no stream between attention and MLP
        dictionaries = [d for d in dictionaries if "resid_mid" not in d.sites_in[0]]
    config = TraceConfig(max_nodes=80, first="keep", **config)
    return trace(model, prompt, dictionaries=dictionaries, config=config, **options), dictionaries


def some_of_each_kind(graph: CircuitGraph, n: int = 4, seed: int = 0) -> np.ndarray:
    rng, able = np.random.default_rng(seed), np.unique(graph.edges.source)
    groups = [able[graph.nodes.kind[able] == k] for k in np.unique(graph.nodes.kind[able])]
    return np.concatenate([rng.choice(g, min(n, len(g)), replace=False) for g in groups])


@pytest.mark.filterwarnings("ignore:On this prompt the dictionar")
@pytest.mark.parametrize(
    ("name", "basis"),
    [(n, b) for n in HELD for b in BASES if b in ("neurons", "skip") or n in ("gpt2", "gemma2")]
    + [("gpt_neox", "heads"), ("gpt_neox", "cross_layer"), ("llama", "saes")],
)
def test_the_direct_effect_is_the_sum_of_edges_in_every_architecture_and_basis(name, basis):
    """Several units, leaves and tokens at once: every explained node moves by exactly minus its edges from them."""
    model = tiny(name)
    graph, dictionaries = traced(model, basis)
    strongest = graph.incoming(int(np.flatnonzero(graph.roots)[0])).source[0]
    nodes = np.unique(np.r_[some_of_each_kind(graph), strongest])
    test = check_subgraph(model, graph, nodes.tolist(), dictionaries=dictionaries, n_random=0)
    found = test.first
    expected = np.bincount(
        graph.edges.target, np.isin(graph.edges.source, nodes) * -graph.edges.weight, minlength=len(graph.nodes)
    )
    assert np.abs(found.movements.direct - expected)[graph.explained].max() < EXACT * np.abs(expected).max()
    assert found.direct_agreement.worst < EXACT and found.direct_agreement.n == graph.explained.sum()
    assert abs(found.direct_agreement.slope - 1) < EXACT and np.abs(expected[graph.roots]).max() > 0
    for root in found.roots:
        assert root.direct == pytest.approx(root.predicted_direct, rel=1e-9, abs=EXACT * np.abs(expected).max())


@pytest.mark.filterwarnings("ignore:On this prompt the dictionar")
@pytest.mark.parametrize("basis", ["neurons", "skip", "saes"])
@pytest.mark.parametrize("mode", ["scale", "clamp", "restore"])
def test_every_mode_is_exact_in_the_direct_effect(basis, mode):
    model = tiny("llama")
    graph, dictionaries = traced(model, basis)
    options = {"scale": {"factor": -2.5}, "clamp": {"level": 1.25}, "restore": {"restore": OTHER}}[mode]
    test = check_subgraph(
        model, graph, most_influential(12), dictionaries=dictionaries, mode=mode, n_random=0, **options
    )
    assert test.first.direct_agreement.worst < EXACT and test.first.effect.kl > 1e-6


def test_restoring_moves_by_the_difference_of_the_two_runs_activations():
    """By hand: a neuron's write becomes the other run's activation times its output row."""
    model = tiny("gpt2")
    graph, _ = traced(model, "neurons")
    node = int(most_influential(1)(graph)[0])
    layer, pos, unit = (int(getattr(graph.nodes, n)[node]) for n in ("layer", "pos", "unit"))
    ids = [model.tokenizer.encode(p) for p in (PROMPT, OTHER)]
    runs = [model.run_with_cache(torch.tensor([i]))[1][f"blocks.{layer}.mlp.hook_post"][0, pos, unit] for i in ids]
    test = check_subgraph(model, graph, [node], mode="restore", restore=OTHER, n_random=0)
    share = float(runs[1] / runs[0]) - 1
    for target, weight in zip(graph.outgoing(node).target, graph.outgoing(node).weight, strict=True):
        assert test.first.movements.direct[target] == pytest.approx(share * weight, rel=1e-8)


def linear_model(n_layers: int = 3):
    """Nothing in it is nonlinear where it runs: even attention, no norms, and every ReLU far above zero."""
    tokenizer = toy_tokenizer()
    sizes = {"n_layers": n_layers, "d_model": 16, "d_mlp": 12, "n_heads": 2, "d_head": 8}
    model = native(3, tokenizer, 1.0, d_vocab=len(tokenizer), act_fn="relu", normalization_type=None, **sizes)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.W_Q.zero_(), block.attn.W_K.zero_()
            block.mlp.b_in.add_(100.0)
    model.original_model.to(torch.float64)
    return model


def test_where_the_model_is_linear_the_full_effect_is_the_graphs_prediction():
    """Tokens, positions, biases and neurons changed together; every unit is a node, so nothing answers outside the graph."""
    model = linear_model()
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=10_000, first="keep"))
    assert not graph.nodes.where("rest").any() and graph.nodes.where("neuron").sum() > 100
    for mode, options in (("ablate", {}), ("scale", {"factor": 1.5})):
        nodes = some_of_each_kind(graph, 5).tolist()
        found = check_subgraph(model, graph, nodes, mode=mode, n_random=4, **options).first
        assert found.full_agreement.worst < EXACT and found.full_agreement.n > 100
        assert all(abs(r.full - r.predicted_full) < 1e-7 * (1 + abs(r.full)) for r in found.roots)
        assert all(abs(r.logit - r.predicted) < 1e-7 * (1 + abs(r.logit)) for r in found.random)
        assert max(abs(r.full - r.direct) for r in found.roots) > 1e-3  # paths through other units are not nothing


def test_a_model_that_is_not_linear_answers_otherwise_than_the_graph_says():
    """The control of the one above."""
    model = tiny("llama")
    graph, _ = traced(model, "neurons")
    assert check_subgraph(model, graph, most_influential(10), n_random=0).first.full_agreement.worst > 1e-3


def lookup_graph(extra: tuple[int, ...] = ()) -> CircuitGraph:
    """`token 3 -> neuron 3 -> logit 4` of `lookup_model(8, gain=3)`, written down by hand; `extra` silent neurons."""
    rows = [("token", -1, 0, 1), ("token", -1, 1, 3), *(("neuron", 0, 1, u) for u in extra), ("neuron", 0, 1, 3)]
    rows += [("logit", 1, 1, 4), ("logit", 1, 1, 0)]
    n, neuron = len(rows), 2 + len(extra)
    kind, layer, pos, unit = (
        np.array(c) for c in zip(*((KINDS.index(k), a, b, c) for k, a, b, c in rows), strict=True)
    )
    value = np.array([np.nan, np.nan, *(0.0 for _ in extra), 1.0, 3 * 7 / 8, -3 / 8])
    activation = np.array([np.nan, np.nan, *(0.0 for _ in extra), 1.0, np.nan, np.nan])
    edges = Edges(np.array([1, neuron, neuron]), np.array([neuron, n - 2, n - 1]), np.array([1.0, 3 * 7 / 8, -3 / 8]))
    p = np.exp([3.0, 0.0]) / (np.exp(3.0) + 7)
    return CircuitGraph(
        prompt="1 3",
        token_ids=[1, 3],
        tokens=["1", "3"],
        nodes=Nodes(kind, layer, pos, unit, value, activation),
        edges=edges,
        constant=np.zeros(n),
        probability=np.r_[np.zeros(n - 2), p],
        unit_tokens=[""] * n,
        residual=0.0,
        residual_relative=0.0,
        n_layers=1,
        convention={"directions": []},
    )


def test_a_hand_wired_circuit_does_what_its_graph_says_by_hand():
    model, graph = lookup_model(8, gain=3.0), lookup_graph()
    ablated = check_subgraph(model, graph, ["L0N3@1"], n_random=0).first
    four, zero = ablated.roots
    assert four.direct == pytest.approx(-3 * 7 / 8, rel=1e-6) and four.full == pytest.approx(-3 * 7 / 8, rel=1e-6)
    assert zero.direct == pytest.approx(3 / 8, rel=1e-6) and zero.full == pytest.approx(3 / 8, rel=1e-6)
    e = np.exp(3.0)
    assert four.probability == pytest.approx(e / (e + 7), rel=1e-6) and four.probability_after == pytest.approx(1 / 8)
    kl = 3 * e / (e + 7) - np.log(e + 7) + np.log(8)  # from softmax(3, 0 x 7) to the uniform distribution
    assert ablated.effect.kl == pytest.approx(kl, rel=1e-6)
    token = check_subgraph(model, graph, ["token@1"], n_random=0).first
    assert token.roots[0].direct == 0 and token.roots[0].full == pytest.approx(-3 * 7 / 8, rel=1e-6)
    assert token.movements.direct[2] == pytest.approx(-1, rel=1e-6)
    assert token.roots[0].predicted_full == pytest.approx(-3 * 7 / 8)
    doubled = check_subgraph(model, graph, ["L0N3@1"], mode="scale", factor=2.0, n_random=0).first
    assert doubled.roots[0].full == pytest.approx(3 * 7 / 8, rel=1e-6)


def test_the_circuit_beats_random_subgraphs_where_only_it_matters():
    model, graph = lookup_model(8, gain=3.0), lookup_graph(extra=(0, 1, 2, 5, 6, 7))
    test = check_subgraph(model, graph, ["L0N3@1"], n_random=9)
    logit, _, kl = test.comparisons
    assert logit.subgraph.mean == pytest.approx(-3 * 7 / 8, rel=1e-6) and logit.random.mean == 0 == logit.random.high
    assert next(r.random for r in test.first.roots) == tuple(r.logit for r in test.first.random) == (0.0,) * 9
    assert test.rows()[0]["random"] == 0.0 == test.rows()[0]["random_sd"]
    few, many = test.comparison_rows()[0], check_subgraph(model, graph, ["L0N3@1"], n_random=19).comparison_rows()[0]
    assert np.isnan(few["p"]) and few["p at least"] == pytest.approx(0.1)  # nine sets allow no p below .1
    assert many["p"] == many["p at least"] == pytest.approx(0.05)
    assert logit.p == pytest.approx(1 / 10) and kl.random.mean == pytest.approx(0, abs=1e-12)
    idle = check_subgraph(model, graph, ["L0N5@1"], n_random=30).comparisons[0]
    assert idle.subgraph.mean == 0 and idle.p == 1.0
    assert -1 < idle.random.mean < 0 and idle.random.low == pytest.approx(-2.625, rel=1e-6)  # one in six is the circuit


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma2"])
def test_nothing_changed_is_exactly_nothing(name):
    """The null control: a factor of one."""
    model = tiny(name)
    graph, _ = traced(model, "heads")
    found = check_subgraph(model, graph, most_influential(30), n_random=3, mode="scale", factor=1.0).first
    assert not found.movements.direct.any() and not np.nan_to_num(found.movements.full).any()
    assert found.effect.kl == 0 == found.effect.logit and found.effect.probability == 0
    assert all(r.kl == 0 for r in found.random)


def test_a_test_of_nothing_is_refused():
    """Its zeros would look like a finding."""
    model = tiny("gpt2")
    graph, _ = traced(model, "heads")
    for nodes, said in (
        ([], "No node was given"),
        (lambda graph: [], "The rule chose no node"),
        ([1.5], r"A node is its name|nodes is \[1.5\]; nodes .* was wanted"),
    ):
        for test in (check_subgraph, check_sufficiency, continue_changed):
            with pytest.raises(BadInput, match=said):
                test(model, graph, nodes)
    with pytest.raises(BadInput, match="-1 random sets"):
        check_subgraph(model, graph, most_influential(2), n_random=-1)
    with pytest.raises(BadInput, match="None of these nodes is a neuron"):
        check_sufficiency(model, graph, [int(np.flatnonzero(graph.nodes.where("token"))[0])])


@pytest.mark.parametrize("basis", ["neurons", "heads"])
def test_a_wrong_graph_is_noticed(basis):
    """Edges one percent off, and edges of two sources exchanged."""
    model = tiny("llama")
    graph, _ = traced(model, basis)
    scaled = replace(graph, edges=replace(graph.edges, weight=graph.edges.weight * 1.01))
    found = check_subgraph(model, scaled, most_influential(10), n_random=0).first.direct_agreement
    assert found.worst > 5e-3 and found.slope == pytest.approx(1 / 1.01, rel=1e-6)
    one, two = most_influential(2)(graph)
    source = graph.edges.source.copy()
    source[graph.edges.source == one], source[graph.edges.source == two] = two, one
    swapped = replace(graph, edges=replace(graph.edges, source=source))
    assert check_subgraph(model, swapped, [one], n_random=0).first.direct_agreement.worst > 1e-2


def test_a_freeze_that_cannot_hold_is_said():
    model = tiny("opt")
    graph, _ = traced(model, "neurons")
    with pytest.raises(OpenworkError, match="cannot be changed"):
        check_subgraph(model, graph, most_influential(3), n_random=0)


@pytest.mark.parametrize(
    ("name", "basis", "kind"),
    [
        ("olmo2", "heads", "head"),
        ("olmo2", "components", "mlp"),
        ("gpt2", "neurons", "token"),
        ("gpt2", "neurons", "position"),
    ],
)
def test_heads_whole_mlps_and_leaves_are_ablated_as_plain_interventions_do(name, basis, kind):
    """These models have no biases in the way: a head is its z, an MLP its output, a token its embedding."""
    model = tiny(name)
    graph, _ = traced(model, basis)
    able = np.intersect1d(np.flatnonzero(graph.nodes.where(kind)), graph.edges.source)
    node = int(able[len(able) // 2])
    layer, pos, unit = (int(getattr(graph.nodes, n)[node]) for n in ("layer", "pos", "unit"))
    plain = {
        "head": Place(Site("z", max(layer, 0)), pos, unit),
        "mlp": Place(Site("mlp_out", max(layer, 0)), pos),
        "token": Place(Site("embed"), pos),
        "position": Place(Site("pos_embed"), pos),
    }[kind]
    with intervene(model, [Zero(plain)]):
        expected = model(torch.tensor([graph.token_ids]))[0, -1].log_softmax(-1)
    bed = Testbed(model, graph)
    found = bed.run.changed(change_of(graph, np.array([node]))).log_probs
    assert torch.allclose(found, expected.double(), atol=1e-6) and not torch.allclose(found, bed.run.clean.log_probs)


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
def test_a_heads_constant_part_is_no_part_of_it(name):
    """Twice as much of a head moves its own layer's stream by exactly its write: biases and norm biases stay once."""
    model = tiny(name)
    graph, _ = traced(model, "heads")
    node = int(np.intersect1d(np.flatnonzero(graph.nodes.where("head")), graph.edges.source)[3])
    bed = Testbed(model, graph)
    (write,) = bed.places.writes(node)
    site = [Site("attn_out", int(graph.nodes.layer[node]))]
    clean = capture(model, bed.tokens, site)[site[0].name].clone()
    with intervene(model, bed.run.entries(change_of(graph, np.array([node]), "scale", 2.0))):
        moved = capture(model, bed.tokens, site)[site[0].name] - clean
    if name == "gpt2":  # gemma2's post-norm divides by what was added too
        assert torch.allclose(moved[0, write.pos], write.vector, atol=1e-9)
    assert moved[0, write.pos].abs().max() > 1e-3 and moved[0, : write.pos].abs().max() == 0


@pytest.mark.parametrize("name", ["gemma2", "gpt2"])
def test_what_is_reported_of_the_full_effect_is_the_models_own_prediction(name):
    """Roots before the soft-cap, probabilities and KL after it: by hand from a run with plain interventions."""
    model = tiny(name)
    graph, _ = traced(model, "neurons")
    node = int(most_influential(1)(graph)[0])
    found = check_subgraph(model, graph, [node], n_random=0).first
    layer, pos, unit = (int(getattr(graph.nodes, n)[node]) for n in ("layer", "pos", "unit"))
    tokens = torch.tensor([graph.token_ids])
    clean = model(tokens)[0, -1].log_softmax(-1)
    with intervene(model, [Zero(neuron(layer, unit, pos))]):
        after = model(tokens)[0, -1].log_softmax(-1)
    top = int(graph.nodes.unit[np.flatnonzero(graph.roots)[0]])
    assert found.roots[0].probability_after == pytest.approx(float(after[top].exp()), rel=1e-6)
    assert found.effect.kl == pytest.approx(float((clean.exp() * (clean - after)).sum()), rel=1e-4)
    assert found.effect.kl > 0


def test_differences_and_directions_are_measured_in_the_changed_run():
    model = tiny("llama")
    vector = torch.randn(32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    asked = [Difference(5, 9), Direction(vector, "resid_post.1", -1, "mine"), Direction(vector, "ln_final", -2, "end")]
    graph, _ = traced(model, "neurons", targets=asked)
    nodes = most_influential(8)(graph)
    bed = Testbed(model, graph)
    after = bed.run.changed(change_of(graph, np.array(nodes)))
    tokens, entries = torch.tensor([graph.token_ids]), bed.run.entries(change_of(graph, np.array(nodes)))
    with intervene(model, entries):
        found = capture(model, tokens, ["logits", "resid_post.1", "ln_final"])
        last = found["unembed.hook_out"][0, -1]
    roots = after.value[graph.roots]
    assert roots[0] == pytest.approx(float(last[5] - last[9]), rel=1e-9)
    assert roots[1] == pytest.approx(float(found["blocks.1.hook_resid_post"][0, -1] @ vector), rel=1e-9)
    assert roots[2] == pytest.approx(float(found["ln_final.hook_out"][0, -2] @ vector), rel=1e-9)
    test = check_subgraph(model, graph, nodes, prompts=[OTHER + " now"], n_random=2)
    assert test.first.direct_agreement.worst < EXACT and test.prompts[1].direct_agreement.worst < EXACT
    assert [r.root for r in test.prompts[1].roots][1:] == [r.root for r in test.first.roots][1:]
    top = test.first.roots[0]
    # Its two tokens have probabilities, its first token's is the difference's own; other directions have none.
    chances = model(tokens)[0, -1].softmax(-1)
    assert [top.probability, top.other_probability] == pytest.approx([float(chances[5]), float(chances[9])], rel=1e-6)
    assert test.first.roots[1].probability is None and "change of its probability" in [
        c.measure for c in test.comparisons
    ]
    json.dumps(test.to_dict())


def test_an_saes_other_latents_are_read_before_its_own_change():
    """Ablating a latent of an SAE in the stream moves no other latent of the same SAE and position."""
    model = tiny("llama")
    for site in ("blocks.1.hook_resid_mid", "blocks.1.hook_resid_post"):
        sae = shaken(SAE(32, 40, sparsifier=ReLU(), site=site))
        graph = trace(model, PROMPT, dictionaries=[sae], config=TraceConfig(max_nodes=400, first="keep"))
        latents = np.flatnonzero(graph.nodes.where("latent"))
        found = check_subgraph(model, graph, latents[:3].tolist(), dictionaries=[sae], n_random=0).first
        assert np.abs(found.movements.full[latents]).max() == 0 and found.effect.kl > 0


def test_random_sets_match_layers_and_kinds():
    graph, _ = traced(tiny("llama"), "heads")
    nodes = np.array(most_influential(12)(graph))
    drawn = random_sets(graph, nodes, 20, seed=1)
    kinds = lambda s: sorted(zip(graph.nodes.kind[s], graph.nodes.layer[s], strict=True))  # noqa: E731
    assert all(kinds(s) == kinds(nodes) and len(np.unique(s)) == len(nodes) for s in drawn)
    assert len({tuple(s) for s in drawn}) > 10
    for one, two in zip(drawn, random_sets(graph, nodes, 20, seed=1), strict=True):
        np.testing.assert_array_equal(one, two)
    everything = np.flatnonzero(graph.nodes.where(*UNITS))
    assert overlap(everything, random_sets(graph, everything, 3)) == 1.0
    one = everything[:1]
    assert overlap(one, random_sets(graph, one, 10)) == 0.0


def test_several_prompts_have_error_bars_and_carry_the_set_over():
    model = tiny("gpt2")
    graph, _ = traced(model, "neurons")
    nodes = np.array(most_influential(6)(graph))
    test = check_subgraph(model, graph, nodes.tolist(), prompts=[OTHER, "In " + PROMPT], n_random=2)
    assert len(test.prompts) == 3 and test.first.lacking == 0
    logit = test.comparisons[0]
    own = [t.effect.logit for t in test.prompts]
    assert logit.subgraph.mean == pytest.approx(np.mean(own)) and min(own) <= logit.subgraph.low <= logit.subgraph.high
    drawn = np.array([[r.logit for r in t.random] for t in test.prompts])
    assert logit.random.mean == pytest.approx(drawn.mean())
    other = trace(model, "In " + PROMPT, config=TraceConfig(max_nodes=80, first="keep"))
    found = carried_over(graph, nodes, other)
    shift = len(other.tokens) - len(graph.tokens)
    back = {(int(graph.nodes.layer[i]), int(graph.nodes.unit[i]), int(graph.nodes.pos[i]) + shift) for i in nodes}
    there = {(int(other.nodes.layer[i]), int(other.nodes.unit[i]), int(other.nodes.pos[i])) for i in found}
    assert shift > 0 and there <= back and len(found) + test.prompts[2].lacking == len(nodes)
    np.testing.assert_array_equal(carried_over(graph, nodes, graph), np.sort(nodes))
    again = check_subgraph(model, graph, nodes.tolist(), prompts=[OTHER, "In " + PROMPT], n_random=2)
    assert again.to_dict() == test.to_dict()


def test_statistics_by_hand():
    found = agreement(np.array([1.0, 2.0, np.nan]), np.array([2.0, 4.0, 1.0]))
    assert (found.slope, found.correlation, found.worst, found.n) == (2.0, pytest.approx(1.0), 1.0, 2)
    assert found.explained == pytest.approx(1 - 5 / 20)
    assert agreement(np.zeros(3), np.ones(3)).worst == np.inf and agreement(np.zeros(3), np.zeros(3)).worst == 0
    one = bootstrap(np.array([4.0]))
    assert one.mean == 4 and np.isnan(one.low)
    many = bootstrap(np.random.default_rng(0).normal(size=400))
    assert many.low == pytest.approx(many.mean - 1.96 / 20, abs=0.02)  # the standard error of a mean is 1 / sqrt(n)
    assert spread(np.arange(101.0)).low == 2.5 and spread(np.arange(101.0)).high == 97.5
    assert share_as_large(-3.0, np.array([1.0, -3.0, 4.0, 0.0])) == 3 / 5
    assert np.isnan(share_as_large(np.nan, np.ones(3))) and np.isnan(share_as_large(1.0, np.ones(0)))


def test_predictions_follow_every_path_of_a_hand_made_graph():
    """Leaf 0 -> unit 1 (2) -> unit 2 (3) -> root 3 (5); leaf 0 -> root 3 (7); all activations are the values."""
    nodes = Nodes(
        np.array([KINDS.index(k) for k in ("token", "neuron", "neuron", "logit")]),
        *(np.array(v) for v in ([-1, 0, 1, 2], [0] * 4, [0] * 4)),
        np.array([np.nan, 2.0, 3.0, 12.0]),
        np.array([np.nan, 2.0, 3.0, np.nan]),
    )
    edges = Edges(np.array([0, 1, 2, 0]), np.array([1, 2, 3, 3]), np.array([2.0, 3.0, 5.0, 7.0]))
    graph = replace(
        lookup_graph(), nodes=nodes, edges=edges, constant=np.zeros(4), probability=np.array([0, 0, 0, 1.0]),
        unit_tokens=[""] * 4, n_layers=2,
    )  # fmt: skip
    assert predict_direct(graph, change_of(graph, np.array([0]))).tolist() == [0, -2, 0, -7]
    assert predict_full(graph, change_of(graph, np.array([0]))).tolist() == [0, -2, -3, -12]
    assert predict_full(graph, change_of(graph, np.array([1]), "scale", 1.5)).tolist() == [0, 0, 1.5, 2.5]
    assert predict_full(graph, change_of(graph, np.array([1]), "clamp", level=1.0)).tolist() == [0, 0, -1.5, -2.5]
    held = predict_full(
        graph, change_of(graph, np.array([0, 2]), "scale", 0.5)
    )  # unit 2: half of what half its input gives
    assert held.tolist() == [0, -1, -1.5, 5 * (0.5 * 0.5 - 1) - 3.5]


def test_sufficiency_of_a_hand_wired_circuit():
    model, graph = lookup_model(8, gain=3.0), lookup_graph(extra=(0, 1, 2, 5, 6, 7))
    alone = check_sufficiency(model, graph, ["L0N3@1"], n_random=8)
    assert [r.share for r in alone.roots] == pytest.approx([1, 1]) == [r.predicted_share for r in alone.roots]
    assert all(s == 0 for r in alone.roots for s in r.random) and (alone.n_kept, alone.n_silenced) == (1, 6)
    wrong = check_sufficiency(model, graph, ["L0N5@1"], n_random=0)
    assert [r.share for r in wrong.roots] == pytest.approx([0, 0])


def test_no_share_where_silencing_everything_hardly_moves_a_root():
    """A thousandth of a root is no whole that a subgraph could keep a part of."""
    model = linear_model()
    with torch.no_grad():
        for block in model.blocks:
            block.mlp.W_out.mul_(1e-4)
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=200, first="keep"))
    found = check_sufficiency(model, graph, most_influential(5), n_random=2)
    assert all(0 < abs(r.untouched - r.none) < 0.01 * max(abs(r.untouched), 1) for r in found.roots)
    assert all(np.isnan([r.share, r.predicted_share, *r.random]).all() for r in found.roots)
    assert found.rows()[0]["note"].startswith("cannot be told: silencing every unit moves it by only")


def test_sufficiency_is_predicted_exactly_where_the_model_is_linear_and_means_are_means():
    model = linear_model()
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=10_000, first="keep"))
    found = check_sufficiency(model, graph, most_influential(20), n_random=3)
    for root in found.roots:
        assert root.share == pytest.approx(root.predicted_share, rel=1e-6) and not np.isnan(root.share)
    every = check_sufficiency(model, graph, most_influential(10_000), n_random=0)
    assert all(r.share == pytest.approx(1) and r.kept == pytest.approx(r.untouched) for r in every.roots)
    means = mean_levels(Testbed(model, graph), [PROMPT, OTHER])
    runs = [model.run_with_cache(torch.tensor([model.tokenizer.encode(p)]))[1] for p in (PROMPT, OTHER)]
    node = int(np.flatnonzero(graph.nodes.where("neuron") & (graph.nodes.pos > 0) & (graph.nodes.layer == 1))[0])
    unit = int(graph.nodes.unit[node])
    expected = torch.cat([r["blocks.1.mlp.hook_post"][0, 1:, unit] for r in runs]).mean()
    assert means[node] == pytest.approx(float(expected), rel=1e-9)
    averaged = check_sufficiency(
        model, graph, most_influential(20), baseline="mean", prompts=[PROMPT, OTHER], n_random=0
    )
    assert averaged.roots[0].none != pytest.approx(found.roots[0].none)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_generation_is_the_models_own_without_edits_and_changes_with_them(name):
    model = tiny(name)
    n = len(model.tokenizer.encode(PROMPT))
    plain = generate_with(model, PROMPT, [], 6)
    options = {"do_sample": False, "verbose": False, "stop_at_eos": False}
    greedy = torch.as_tensor(
        model.generate(torch.tensor([model.tokenizer.encode(PROMPT)]), max_new_tokens=6, **options)
    )
    assert plain.clean.ids == greedy[0, n:].tolist()[: len(plain.clean.ids)]
    assert plain.clean == plain.edited and plain.differs_at is None and plain.kl == 0
    edit = UnitEdit("clamp", 5, slice(n - 1, None), 80.0, layer=2)
    for seed in (None, 3):
        found = generate_with(model, PROMPT, [edit], 6, seed)
        assert found.edits == [f"clamp L2N5@{n - 1}:"] and found.kl > 0 and found.differs_at is not None
        assert found == generate_with(model, PROMPT, [edit], 6, seed)
        assert found.clean.text == generate_with(model, PROMPT, [], 6, seed).clean.text
    late = generate_with(model, PROMPT, [UnitEdit("clamp", 5, n + 1, 200.0, layer=2)], 6)
    assert (
        late.clean.ids[:2] == late.edited.ids[:2] and late.kl == 0
    )  # acts on the second new token, which decides the third
    with_clean = late.clean.in_other_run
    assert with_clean[0] == late.clean.probability[0] and with_clean[2] != late.clean.probability[2]


def test_generated_probabilities_are_those_of_a_run_over_the_whole_text():
    model = tiny("llama")
    found = generate_with(model, PROMPT, [UnitEdit("clamp", 5, slice(3, None), 60.0, layer=1)], 5, seed=1).edited
    whole = torch.tensor([model.tokenizer.encode(PROMPT) + found.ids])
    with intervene(model, [Clamp(neuron(1, 5, slice(3, None)), 60.0)]):
        p = model(whole)[0].softmax(-1)
    n = whole.shape[1] - len(found.ids)
    expected = [float(p[n - 1 + k, i]) for k, i in enumerate(found.ids)]
    assert found.probability == pytest.approx(expected, rel=1e-5)


def test_a_graphs_change_can_run_in_generation():
    model = load_model("toy")
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=60))
    found = continue_changed(model, graph, most_influential(20), 4, mode="scale", factor=-8.0)
    assert found.kl > 0 and len(found.rows()) == 4 and found.edits[0].startswith("scale L")
    last = int(np.flatnonzero(graph.nodes.where("neuron") & (graph.nodes.pos == len(graph.tokens) - 1))[0])
    entry = Testbed(model, graph).run.entries(change_of(graph, np.array([last])), onward=True)
    assert [e.at.pos for e in entry] == [slice(len(graph.tokens) - 1, None)]
    silent = continue_changed(model, graph, [last], 3, mode="scale", factor=1.0)
    assert silent.clean == silent.edited


def test_records_are_json_and_have_pictures():
    model = tiny("gpt2")
    graph, _ = traced(model, "neurons")
    test = check_subgraph(model, graph, most_influential(5), prompts=[OTHER], n_random=4)
    keep = check_sufficiency(model, graph, most_influential(5), n_random=2)
    text = generate_with(model, PROMPT, [UnitEdit("ablate", 5, layer=1)], 3)
    for record in (test, keep, text):
        json.loads(json.dumps(record.to_dict()))
        figure = record.figure()
        assert len(figure.data) >= 2 and figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert record.rows() and "<table" in record._repr_html_()
    drawn = test.figure()
    bars = [t for t in drawn.data if t.type == "bar"]
    assert len(bars) == 6 and bars[0].y[0] == test.comparisons[0].subgraph.mean and bars[1].error_y["array"][0] > 0
    points = next(t for t in drawn.data if t.name == "direct")
    np.testing.assert_allclose(points.x, points.y, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nodes": ["L9N9@9"]}, "no node"),
        ({"nodes": [10**6]}, "no node"),
        ({"mode": "halve"}, "no change 'halve'"),
        ({"mode": "scale", "factor": float("nan")}, "finite"),
        ({"mode": "restore"}, "only then"),
        ({"restore": OTHER}, "only then"),
        ({"mode": "restore", "restore": OTHER + " and more words"}, "equal length"),
        ({"mode": "clamp", "level": 1.0, "nodes": ["token@1"]}, "no activation"),
        ({"mode": "clamp"}, "needs a level"),
        ({"factor": 2.0}, "takes no factor"),
        ({"dictionaries": "skip"}, "dictionaries at no layer"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(options, words):
    model = tiny("gpt2")
    graph, _ = traced(model, "neurons")
    if "dictionaries" in options:
        options = {"dictionaries": skip_transcoders()}
    with pytest.raises(BadInput, match=words):
        check_subgraph(model, graph, **{"nodes": most_influential(3), "n_random": 0, **options})


def test_a_graph_of_another_model_is_refused():
    graph, _ = traced(tiny("gpt2"), "neurons")
    with pytest.raises(BadInput, match="this model has 48"):
        check_subgraph(tiny("gpt_neox"), graph, most_influential(3))
    with pytest.raises(BadInput, match="3 layers"):
        check_subgraph(load_model("toy"), graph, most_influential(3))
    with pytest.raises(BadInput, match="explains"):
        check_subgraph(tiny("gpt2"), graph, np.flatnonzero(graph.roots)[:1].tolist())
    with pytest.raises(BadInput, match="prompts"):
        check_sufficiency(tiny("gpt2"), graph, most_influential(3), baseline="mean")
    with pytest.raises(BadInput, match="room"):
        generate_with(tiny("gpt2"), PROMPT, [], 1000)


@pytest.fixture
def stored(home, tmp_path):
    """A graph of the toy model, stored under the name `capital`."""
    from circuits.graph.store import save_graph
    from probe.artifacts.folder import place

    graph = trace(load_model("toy"), PROMPT, config=TraceConfig(max_nodes=60))
    save_graph(replace(graph, pinned=most_influential(3)(graph)), place("graph", "capital"))
    return graph


def call(arguments: list[str], capsys) -> tuple[int, str, str]:
    from app.cli import run

    code = run(["graph", "test", "capital", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_reports_what_the_function_finds(stored, capsys):
    options = [
        "--top",
        "5",
        "--random",
        "3",
        "--prompt",
        OTHER,
        "--sufficient",
        "--generate",
        "3",
        "--save",
        "told",
        "--json",
    ]
    code, out, _ = call(options, capsys)
    found = json.loads(out)
    test = check_subgraph(load_model("toy"), stored, most_influential(5), prompts=[OTHER], n_random=3)
    assert code == 0 and found["prompts"][0]["nodes"] == test.first.nodes
    logit = found["against_random"][0]
    assert logit["subgraph"]["mean"] == pytest.approx(test.comparisons[0].subgraph.mean, rel=1e-5)
    assert found["sufficiency"]["n_kept"] == 5 and len(found["generated"]["clean"]["ids"]) <= 3
    from probe.artifacts.folder import place

    assert found["graph"] == "capital" and found["saved"] == str(place("result", "told"))
    assert (
        json.loads((place("result", "told") / "report.json").read_text())["against_random"] == found["against_random"]
    )


def test_the_command_prints_tables_and_plans(stored, capsys):
    code, out, _ = call(["--pinned", "--random", "2", "--mode", "scale", "--factor", "0.5"], capsys)
    assert (
        code == 0
        and "Scaling by 0.5 the 3 nodes" in " ".join(out.split())
        and "Against random" in out
        and "predicted_direct" in out
    )
    code, out, _ = call(["--pinned", "--dry-run", "--json"], capsys)
    assert code == 0 and json.loads(out)["nodes"] == 3
    name = stored.name(stored.find(most_influential(1)(stored)[0])[0]).split(" ")[0]
    code, out, _ = call(["--nodes", name, "--random", "0"], capsys)
    assert code == 0 and name in out and "Against random" not in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mode", "scale"], "needs a factor"),
        (["--factor", "2"], "scale does"),
        (["--mode", "double"], "one of ablate"),
        (["--nodes", "L77N1@1"], "no node"),
        (["--mode", "restore", "--restore", "much longer than it was"], "equal length"),
    ],
)
def test_the_command_refuses_with_a_sentence(stored, options, words, capsys):
    code, _, err = call(options, capsys)
    assert code == 2 and words in " ".join(err.split())


def test_a_share_that_cannot_be_told_is_no_number_in_the_summary():
    shares = [
        RootShare("logit ' a'", 4.0, 4.0, 3.997, np.nan, np.nan, []),
        RootShare("logit ' b'", 4, 3, 2, 0.5, 0.5, []),
    ]
    untold, told = (Sufficiency("Once", 1, 2, "zero", [one], {}).summary() for one in shares)
    assert untold.endswith("logit ' a' cannot be told: silencing every unit moves it by only 0.003 of 4.")
    assert told.endswith("logit ' b' keeps 50.0 %.")
