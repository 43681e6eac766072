"""Graphs of every basis add up and move as the model does: cross-layer transcoders, SAEs in the stream and of MLP outputs,
whole MLPs, heads, differences and directions, first positions merged or kept."""

import numpy as np
import pytest
import torch
from tiny import tiny

import circuits
from circuits.attribution.trace import Difference, Direction, TraceConfig, trace
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.graph.store import load_graph, save_graph
from circuits.validation.edges import check_edges
from probe.dictionaries import SAE, CrossLayerTranscoder, Gated, TopK, Transcoder
from probe.dictionaries.sparsifiers.gated import with_strengths
from probe.errors import BadInput, OpenworkError
from probe.model.load import load_model
from probe.model.sites import parse_site

PROMPT = "The capital of France"
MODELS = ("gpt2", "gpt_neox", "gemma2", "llama")
ROUNDED = {"gpt2": 1e-12, "gpt_neox": 1e-12}


def name(short: str) -> str:
    return parse_site(short).name


def drawn(dictionary, scale: float = 0.3):
    """Random weights, all biases on."""
    generator = torch.Generator().manual_seed(3)
    dictionary = dictionary.double().eval().requires_grad_(False)
    for weight in dictionary.parameters():
        weight.normal_(generator=generator).mul_(scale)
    return dictionary


def transcoder(layer: int, read: str = "mlp_in", write: str = "mlp_out", skip: bool = True):
    ends = {"site_in": name(f"{read}.{layer}"), "site_out": name(f"{write}.{layer}")}
    return drawn(Transcoder(32, 40, sparsifier=TopK(8), skip=skip, **ends))


def sae(site: str):
    return drawn(SAE(32, 40, sparsifier=TopK(8), site=name(site)))


def cross_layer(*layers: int):
    widths = [32] * len(layers)
    sites = ([name(f"{kind}.{i}") for i in layers] for kind in ("mlp_in", "mlp_out"))
    return drawn(
        CrossLayerTranscoder(widths, 24, widths, sparsifier=TopK(6), sites_in=next(sites), sites_out=next(sites))
    )


def gated(site_in: str, site_out: str):
    """Gates and strengths apart: offsets of both signs, so that neither decides alone."""
    kind = SAE(32, 40, sparsifier=Gated(), site=name(site_in)) if site_in == site_out else None
    return drawn(kind or Transcoder(32, 40, sparsifier=Gated(), site_in=name(site_in), site_out=name(site_out)))


CASES = {
    "gated transcoder": lambda: [gated("mlp_in.1", "mlp_out.1")],
    "gated SAE in the stream": lambda: [gated("resid_post.1", "resid_post.1")],
    "two transcoders": lambda: [transcoder(1), transcoder(2, skip=False)],
    "reads the stream, writes behind the post-norm": lambda: [transcoder(1, "resid_mid", "mlp_write")],
    "writes behind the post-norm": lambda: [transcoder(1, "mlp_in", "mlp_write")],
    "SAE of an MLP output": lambda: [sae("mlp_out.1")],
    "SAE of an MLP's write": lambda: [sae("mlp_write.1")],
    "two SAEs in the stream": lambda: [sae("resid_post.0"), sae("resid_pre.2")],
    "SAE in the middle of a block": lambda: [sae("resid_mid.1")],
    "SAE of the last layer": lambda: [sae("resid_post.2")],
    "cross-layer transcoder": lambda: [cross_layer(0, 1, 2)],
    "cross-layer transcoder over an SAE": lambda: [cross_layer(0, 2), sae("resid_post.1")],
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("model_name", MODELS)
def test_every_basis_adds_up_and_moves_as_the_model_does(model_name: str, case: str) -> None:
    if model_name == "gpt_neox" and ("middle" in case or "stream, writes" in case):
        pytest.skip("parallel blocks have no resid_mid; the refusal has its own test")
    model, dictionaries = tiny(model_name), CASES[case]()
    rounded = ROUNDED.get(model_name, 1e-6)
    generator = torch.Generator().manual_seed(0)
    roots = (5, Difference(5, 7), Direction(torch.randn(32, generator=generator), "resid_post.1", 2))
    for options in ({"basis": "mixed", "heads": [1], "first": "keep"}, {"basis": "latents", "heads": [0, 2]}):
        graph = trace(
            model, PROMPT, dictionaries=dictionaries, targets=roots, config=TraceConfig(max_nodes=90, **options)
        )
        assert (
            graph.nodes.where("latent").any() and graph.nodes.where("head").any() and graph.nodes.where("error").any()
        )
        assert graph.residual_relative < 10 * rounded
        assert check_edges(model, graph, dictionaries=dictionaries, n=6).worst < 100 * rounded


def test_components_hold_what_they_contribute_to_the_prediction() -> None:
    """A head's or MLP's value is its whole effect on the weighted logits, so scaling it by 1 + e moves them by e times it."""
    model = tiny("gpt2")
    graph = trace(model, PROMPT, targets=[5], config=TraceConfig(basis="components", max_nodes=500, first="keep"))
    assert not graph.nodes.where("neuron", "rest").any()
    root = int(np.flatnonzero(graph.roots)[0])
    moved = total_effect(graph, root)
    for node in np.flatnonzero(graph.nodes.where("mlp", "head")):
        assert moved[node] * graph.probability[root] == pytest.approx(graph.nodes.value[node], rel=1e-9, abs=1e-12)


def total_effect(graph: CircuitGraph, root: int) -> np.ndarray:
    """Effect of every node on a root by all paths. A unit's value is a number its write is proportional to, so an edge between
    two component nodes counts by its share of the target's write: edge / value."""
    effect = np.zeros(len(graph.nodes))
    effect[root] = 1.0
    for target in range(len(graph.nodes) - 1, -1, -1):
        if not effect[target]:
            continue
        incoming = graph.incoming(target)
        share = 1.0 if target == root else 1.0 / graph.nodes.value[target]
        effect[incoming.source] += incoming.weight * share * effect[target]
    return effect


def test_a_perfect_transcoder_leaves_nothing_unexplained() -> None:
    """An elementwise ReLU MLP is its own transcoder: no error, both scores 1, nothing left over."""
    model = tiny("opt")
    dictionaries = []
    for layer in range(3):
        mlp = model.blocks[layer].mlp
        ends = {"site_in": name(f"mlp_in.{layer}"), "site_out": name(f"mlp_out.{layer}")}
        perfect = Transcoder(32, 48, sparsifier=_relu(), **ends).double().requires_grad_(False)
        for own, real in (
            (perfect.W_enc, mlp.W_in),
            (perfect.b_enc, mlp.b_in),
            (perfect.W_dec, mlp.W_out),
            (perfect.b_dec, mlp.b_out),
        ):
            own.copy_(real)
        dictionaries.append(perfect)
    graph = trace(model, PROMPT, dictionaries=dictionaries, config=TraceConfig(max_nodes=2000))
    errors = np.abs(graph.edges.weight[graph.nodes.where("error")[graph.edges.source]])
    assert errors.max(initial=0) < 1e-12
    assert graph.scores.replacement == pytest.approx(1) and graph.scores.completeness == pytest.approx(1)
    assert graph.residual_relative < 1e-6
    neurons = trace(model, PROMPT, config=TraceConfig(max_nodes=2000))
    assert neurons.scores.replacement == pytest.approx(1)


def _relu():
    from probe.dictionaries import ReLU

    return ReLU()


def test_a_dead_dictionary_is_all_error() -> None:
    model, dead = tiny("gpt2"), transcoder(1, skip=False)
    dead.b_enc.fill_(-1e6)
    graph = trace(model, PROMPT, dictionaries=[dead], config=TraceConfig(max_nodes=100))
    assert not graph.nodes.where("latent").any() and graph.nodes.where("error").any()
    assert graph.residual_relative < 1e-12 and graph.facts["fvu_by_layer"]["1"] > 0.5


def test_a_dictionary_of_another_layer_is_noticed() -> None:
    """One that fits its layer reconstructs; moved to another it is worse than none, and tracing says so."""
    import warnings

    model = tiny("opt")
    mlp = model.blocks[0].mlp
    ends = {"site_in": name("mlp_in.0"), "site_out": name("mlp_out.0")}
    fits = Transcoder(32, 48, sparsifier=_relu(), **ends).double().requires_grad_(False)
    for own, real in ((fits.W_enc, mlp.W_in), (fits.b_enc, mlp.b_in), (fits.W_dec, mlp.W_out), (fits.b_dec, mlp.b_out)):
        own.copy_(real)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trace(model, PROMPT, dictionaries=[fits]).facts["fvu_by_layer"]["0"] < 1e-9
    fits.sites_in, fits.sites_out = (name("mlp_in.2"),), (name("mlp_out.2"),)
    with pytest.warns(UserWarning, match="worse than a constant") as told:
        circuits.trace(model, PROMPT, dictionaries=[fits])
    assert [one.filename for one in told] == [__file__]  # the caller's line, not one of ours


@pytest.mark.parametrize(
    ("model_name", "given", "options", "words"),
    [
        ("gpt_neox", lambda: [sae("resid_mid.1")], {}, "resid_mid"),
        ("gpt2", lambda: [sae("attn_out.1")], {}, "cannot stand"),
        ("gpt2", lambda: [sae("resid_pre.0")], {}, "cannot stand"),
        ("gpt2", lambda: [sae("resid_post.1"), transcoder(1)], {}, "Two dictionaries"),
        ("gpt2", lambda: [transcoder(1)], {"basis": "neurons"}, "uses no dictionaries"),
        ("gpt2", list, {"basis": "latents"}, "needs dictionaries"),
        ("gpt2", list, {"basis": "everything"}, "basis is 'everything'; one of auto"),
        ("gpt2", list, {"basis": ["mlp", "latents", "mlp"]}, "layers with a dictionary"),
        ("gpt2", list, {"basis": ["mlp"]}, "each of 3 layers"),
        ("gpt2", list, {"heads": [7]}, "no layer 7"),
        ("gpt2", list, {"first": "drop"}, "first is 'drop'; one of"),
    ],
)
def test_what_does_not_fit_is_refused(model_name, given, options, words) -> None:
    with pytest.raises(BadInput, match=words):
        trace(tiny(model_name), PROMPT, dictionaries=given(), config=TraceConfig(**options))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Difference(5, 5), "are the same"),
        (Direction(torch.ones(7)), "32 finite numbers"),
        (Direction(torch.full((32,), torch.nan)), "finite"),
        (Direction(torch.ones(32), "resid_post.1", 99), "position 99"),
        (Direction(torch.ones(32), "mlp_in.1"), "is read at"),
    ],
)
def test_roots_that_cannot_be_read_are_refused(asked, words) -> None:
    with pytest.raises(BadInput, match=words):
        trace(tiny("gpt2"), PROMPT, targets=[asked])


def test_differences_and_directions_say_what_the_model_says(tmp_path) -> None:
    model, vector = tiny("gpt2"), torch.linspace(-1, 1, 32).double()
    graph = trace(model, PROMPT, targets=[Difference(5, 7), Direction(vector, "resid_post.1", 2, "mine")])
    logits, cache = model.run_with_cache(torch.tensor([graph.token_ids]))
    values = graph.nodes.value[graph.roots]
    assert values[0] == pytest.approx((logits[0, -1, 5] - logits[0, -1, 7]).item())
    assert values[1] == pytest.approx((cache["blocks.1.hook_resid_post"][0, 2] @ vector).item())
    assert [KINDS[k] for k in graph.nodes.kind[graph.roots]] == ["direction", "direction"]
    assert graph.unit_tokens[-1] == "mine"
    again = load_graph(save_graph(graph, tmp_path / "g"))
    assert check_edges(model, again, n=8).worst < 1e-12  # all that is needed to read it again was stored


def test_positions_after_a_target_and_appended_tokens_change_nothing() -> None:
    """A direction read at position 2 sees nothing later, and its row is the same when the prompt goes on."""
    model, vector = tiny("llama"), torch.linspace(-1, 1, 32)
    rows = []
    for text in (PROMPT, PROMPT + " is not what"):
        graph = trace(
            model,
            text,
            targets=[Direction(vector, "resid_post.2", 2)],
            config=TraceConfig(max_nodes=4000, first="keep"),
        )
        root = len(graph.nodes) - 1
        edges = graph.incoming(root)
        assert graph.nodes.pos[graph.edges.source].max() <= 2
        assert (graph.nodes.pos[graph.edges.source] <= graph.nodes.pos[graph.edges.target]).all()
        keys = [
            (int(graph.nodes.kind[s]), int(graph.nodes.layer[s]), int(graph.nodes.pos[s]), int(graph.nodes.unit[s]))
            for s in edges.source
        ]
        rows.append(dict(zip(keys, edges.weight, strict=True)))
    assert rows[0].keys() == rows[1].keys()
    assert all(rows[0][k] == pytest.approx(rows[1][k], rel=1e-5, abs=1e-7) for k in rows[0])


def test_edges_never_come_from_later_layers() -> None:
    graph = trace(tiny("gpt2"), PROMPT, config=TraceConfig(max_nodes=300, heads=True, first="keep"))
    source, target, nodes = graph.edges.source, graph.edges.target, graph.nodes
    units = nodes.where("neuron", "head")
    inner = units[source] & units[target]
    assert (nodes.layer[source][inner] <= nodes.layer[target][inner]).all()
    same = inner & (nodes.layer[source] == nodes.layer[target])
    assert nodes.where("head")[source][same].all() and nodes.where("neuron")[target][same].all()
    assert (source < target).all()


def test_merging_the_first_position_only_regroups() -> None:
    model = load_model("toy")
    kept, merged = (trace(model, PROMPT, config=TraceConfig(max_nodes=50, first=f)) for f in ("keep", "merge"))
    # Four layers; what the last one writes at the first position, nobody at a later one reads.
    assert merged.nodes.where("first").sum() == 3 and not kept.nodes.where("first").any()
    assert not (merged.nodes.where("neuron", "rest") & (merged.nodes.pos == 0)).any()
    root = len(merged.nodes) - 1
    early = merged.incoming(root)
    from_first = early.weight[merged.nodes.where("first")[early.source]].sum()
    before = kept.incoming(len(kept.nodes) - 1)
    mine = kept.nodes.where("neuron", "rest")[before.source] & (kept.nodes.pos[before.source] == 0)
    assert from_first == pytest.approx(before.weight[mine].sum(), rel=1e-3)


def test_nan_is_never_a_graph() -> None:
    """Weights that hold NaN, in the model or in a dictionary, stop the trace."""
    broken = transcoder(1)
    broken.W_dec[0, 0] = torch.nan
    with pytest.raises(OpenworkError, match="NaN"):
        trace(tiny("gpt2"), PROMPT, dictionaries=[broken])
    model = load_model("toy")
    weight = model.blocks[1].mlp.W_out
    old = weight[0, 0].item()
    try:
        with torch.no_grad():
            weight[0, 0] = torch.nan
        with pytest.raises(OpenworkError):
            trace(model, PROMPT)
    finally:
        with torch.no_grad():
            weight[0, 0] = old


@pytest.mark.parametrize("model_name", ["gpt2", "gpt_neox", "gemma3"])
def test_the_order_of_targets_and_the_size_of_groups_do_not_matter(model_name) -> None:
    from circuits.attribution.choosing import choose_basis, choose_units
    from circuits.attribution.sweep import edges
    from circuits.attribution.target_tokens import choose_roots
    from circuits.attribution.total import total_attribution
    from circuits.attribution.unit_readers import explain_units
    from circuits.replacement.freeze import freeze

    model = tiny(model_name)
    with torch.no_grad():
        frozen = freeze(model, torch.tensor([[1, 20, 30, 40, 50]]))
        roots = choose_roots(model, frozen)
        totals = total_attribution(frozen, roots.targets, roots.weight)
        sources = choose_units(frozen, totals, choose_basis(3, {}, "neurons", True), 100)
        targets = explain_units(frozen, sources, totals).targets.join(roots.targets)
        plain = edges(frozen, targets, sources).matrix
        order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
        mixed = edges(frozen, targets.take(order), sources, memory=20_000).matrix
    torch.testing.assert_close(mixed, plain[order], rtol=1e-12, atol=1e-14)


def test_heads_and_mlps_behind_dictionaries_hold_their_whole_effect() -> None:
    """Through SAEs in the stream and cross-layer writes too, the value of a component is what all its paths bring the roots."""
    from circuits.validation.predict import change_of, predict_full

    model, dictionaries = tiny("gpt2"), [cross_layer(0, 2), sae("resid_post.1")]
    config = TraceConfig(max_nodes=10**5, first="keep", heads=True, basis="latents")
    graph = trace(model, PROMPT, dictionaries=dictionaries, targets=[5, Difference(5, 7)], config=config)
    largest = np.abs(graph.nodes.value[graph.nodes.where("head")]).max()
    for node in np.flatnonzero(graph.nodes.where("head", "mlp")):
        moved = predict_full(graph, change_of(graph, np.array([node])))
        total = (moved * graph.probability)[graph.roots].sum()
        assert total == pytest.approx(-graph.nodes.value[node], abs=1e-10 * largest)


def test_merged_first_positions_move_what_they_say() -> None:
    """Every `first` node, its dictionary's error included, against the model."""
    from circuits.validation.frozen_run import frozen_run

    model, dictionaries = tiny("gpt2"), [transcoder(1)]
    graph = trace(model, PROMPT, dictionaries=dictionaries, config=TraceConfig(max_nodes=40, first="merge"))
    run = frozen_run(model, graph, dictionaries)
    nodes = np.flatnonzero(graph.nodes.where("first"))
    assert len(nodes) == 2
    for node in nodes:
        moved = run.moved(run.places.writes(int(node))).numpy()
        edges, expected = graph.outgoing(int(node)), np.zeros(len(graph.nodes))
        expected[edges.target] = edges.weight
        np.testing.assert_allclose(
            moved[graph.explained], expected[graph.explained], atol=1e-12 * np.abs(expected).max()
        )


def test_roots_at_earlier_positions_go_with_dictionaries() -> None:
    direction = Direction(torch.linspace(-1, 1, 32), "resid_post.1", 1)
    graph = trace(tiny("gpt2"), PROMPT, dictionaries=[transcoder(1)], targets=[direction])
    assert graph.residual_relative < 1e-12 and graph.nodes.pos.max() == 1


def test_a_skip_that_explains_most_counts_as_explaining() -> None:
    """The share left unexplained is of what the dictionary stands for, skip and bias included."""
    import warnings

    model, skipping = tiny("gpt2"), transcoder(1)
    tokens = torch.tensor([[1, 280, 320, 291, 441]])
    cache = model.run_with_cache(tokens)[1]
    x, y = (cache[name(f"{kind}.1")][0] for kind in ("mlp_in", "mlp_out"))
    for weight in skipping.parameters():
        weight.zero_()
    skipping.b_enc.fill_(-1.0)
    skipping.b_dec.copy_(y.mean(0))
    skipping.W_skip.copy_(torch.linalg.lstsq(x - x.mean(0), y - y.mean(0)).solution.T)
    skipping.b_dec.sub_(skipping.W_skip @ x.mean(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = trace(model, PROMPT, dictionaries=[skipping])
    assert graph.token_ids == tokens[0].tolist() and graph.facts["fvu_by_layer"]["1"] < 1e-10


def test_float64_is_held_to_its_own_tolerance(monkeypatch) -> None:
    """One edge wrong by a millionth is too much in float64, where the model's own code is exact."""
    import circuits.attribution.trace as attribution

    real = attribution.edges

    def off(*args, **kwargs):
        rows = real(*args, **kwargs)
        rows.token[-1, 1] += 1e-6 * rows.matrix[-1].abs().sum()
        return rows

    monkeypatch.setattr(attribution, "edges", off)
    with pytest.raises(OpenworkError, match="do not sum"):
        trace(tiny("gpt2"), PROMPT)


@pytest.mark.parametrize(("share", "holds"), [(5e-7, True), (2e-6, False)])
def test_products_count_for_a_tenth(toy, monkeypatch, share: float, holds: bool) -> None:
    """Where products cancel within the edges, a gap may be a millionth of the products' sum, and no larger."""
    import circuits.attribution.assemble as assembling
    import circuits.attribution.trace as attribution

    real, products = attribution.edges, []

    def off(*args, **kwargs):
        rows = real(*args, **kwargs)
        products.append(1000 * float(rows.matrix[-1].abs().sum()))
        rows.token[-1, 1] += share * products[-1]
        return rows

    monkeypatch.setattr(attribution, "edges", off)
    monkeypatch.setattr(assembling, "_terms", lambda frozen, targets: np.full(len(targets), products[-1]))
    if holds:
        assert trace(toy, PROMPT, config=TraceConfig(max_nodes=10)).residual == pytest.approx(
            share * products[-1], rel=0.1
        )
    else:
        with pytest.raises(OpenworkError, match="do not sum"):
            trace(toy, PROMPT, config=TraceConfig(max_nodes=10))


def test_a_check_needs_the_graphs_own_dictionaries_and_model() -> None:
    graph = trace(tiny("gpt2"), PROMPT, dictionaries=[sae("resid_post.1")], config=TraceConfig(max_nodes=30))
    other = sae("resid_post.1")
    other.W_enc.mul_(2)
    for model, dictionaries, words in (
        (tiny("gpt2"), [], "traced with dictionaries"),
        (tiny("gpt2"), [other], "differ"),
        (tiny("olmo2"), [sae("resid_post.1")], "this model has 48"),
    ):
        with pytest.raises(BadInput, match=words):
            check_edges(model, graph, dictionaries=dictionaries)
    with pytest.raises(BadInput, match="at least 1"):
        check_edges(tiny("gpt2"), graph, dictionaries=[sae("resid_post.1")], n=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.nodes.layer.__setitem__(np.flatnonzero(g.nodes.where("neuron"))[0], -1),
        lambda g: g.nodes.layer.__setitem__(np.flatnonzero(g.nodes.where("neuron"))[0], 3),
        lambda g: g.nodes.unit.__setitem__(np.flatnonzero(g.nodes.where("neuron"))[0], 10**6),
        lambda g: g.nodes.unit.__setitem__(np.flatnonzero(g.nodes.where("logit"))[0], 10**6),
        lambda g: g.token_ids.__setitem__(0, -5),
        lambda g: g.convention.__setitem__("directions", "none"),
        lambda g: g.convention.__setitem__("directions", []),
        lambda g: g.convention["directions"][0].__setitem__("difference", [5, 10**6]),
        lambda g: g.convention["directions"][0].__setitem__("difference", [5]),
    ],
)
def test_a_graph_that_names_what_the_model_lacks_is_refused(change) -> None:
    graph = trace(tiny("gpt2"), PROMPT, targets=[5, Difference(5, 7)], config=TraceConfig(max_nodes=30))
    change(graph)
    with pytest.raises(BadInput):
        check_edges(tiny("gpt2"), graph)


def test_a_gated_dictionary_is_traced_as_the_jumprelu_it_equals() -> None:
    one = gated("mlp_in.1", "mlp_out.1")
    same = with_strengths(one)
    x = torch.randn(200, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    latents = one.encode(x)
    on = latents > 0
    assert on.any() and (one.sparsifier.offset < 0).any() and (one.sparsifier.offset > 0).any()
    torch.testing.assert_close(same.encode(x), latents, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(same.pre_acts(x)[on], latents[on], rtol=1e-12, atol=1e-12)
    assert (
        one.pre_acts(x)[on] - latents[on]
    ).abs().max() > 0.1  # as it was, its encoder columns do not explain its latents
    assert with_strengths(transcoder(1)).W_enc is not None and isinstance(one.sparsifier, Gated)
