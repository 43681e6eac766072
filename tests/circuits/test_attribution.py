"""Attribution graphs add up, on every block shape, and agree with the model under intervention."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import CONFIGS, tiny

from circuits.attribution.trace import TraceConfig, plan_trace, trace
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.replacement.freeze import freeze
from circuits.validation.edges import check_edges
from probe.errors import BadInput, OpenworkError
from probe.model.load import load_model
from probe.model.toy import lookup_model, native, toy_tokenizer

PROMPT = "The capital of France"
EXACT = {"gpt2": 1e-12, "gpt_neox": 1e-12}
ROUNDED = 1e-6  # the other architectures take norms or softmax in float32 even when their weights are float64


class StandIn:
    """The least a transcoder must offer: ReLU latents with a skip, reading and writing one layer's MLP."""

    def __init__(self, layer: int, d_model: int, d_dict: int, dtype: torch.dtype, seed: int = 0, skip: bool = True):
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype) * 0.3

        self.W_enc, self.b_enc, self.W_dec, self.b_dec = (
            draw(d_model, d_dict),
            draw(d_dict),
            draw(d_dict, d_model),
            draw(d_model),
        )
        self.W_skip = draw(d_model, d_model) if skip else None
        self.site_in, self.site_out = f"blocks.{layer}.mlp.hook_in", f"blocks.{layer}.mlp.hook_out"

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"W_enc": self.W_enc, "W_dec": self.W_dec}

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.W_enc + self.b_enc).relu()


def total_in(graph: CircuitGraph) -> np.ndarray:
    return np.bincount(graph.edges.target, graph.edges.weight.astype(np.float64), minlength=len(graph.nodes))


@pytest.mark.parametrize("name", CONFIGS)
def test_edges_sum_to_every_node_in_every_architecture(name):
    model = tiny(name)
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=60))
    explained = graph.explained
    assert explained.sum() >= 60
    gap = np.abs(total_in(graph) + graph.constant - graph.nodes.value)[explained]
    assert gap.max() / np.abs(graph.nodes.value[explained]).max() < EXACT.get(name, ROUNDED)
    assert graph.residual_relative < 10 * EXACT.get(name, ROUNDED)


@pytest.mark.parametrize("name", [n for n in CONFIGS if n != "opt"])
def test_targets_move_by_their_edges_in_the_model_itself(name):
    model = tiny(name)
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=40))
    assert check_edges(model, graph, n=8).worst < 100 * EXACT.get(name, ROUNDED)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "gemma2", "llama"])
def test_dictionary_layers_conserve_too(name):
    model = tiny(name)
    swap = [StandIn(1, 32, 40, torch.float64), StandIn(2, 32, 24, torch.float64, seed=1, skip=False)]
    graph = trace(model, PROMPT, dictionaries=swap, config=TraceConfig(max_nodes=80))
    assert graph.residual_relative < 10 * EXACT.get(name, ROUNDED)
    assert graph.nodes.where("latent").any() and graph.nodes.where("neuron").any() and graph.nodes.where("error").any()
    assert check_edges(model, graph, dictionaries=swap, n=8).worst < 100 * EXACT.get(name, ROUNDED)


def test_a_pattern_that_cannot_be_held_is_said_not_ignored():
    """OPT's attention reports its pattern only after using it, so holding it would silently do nothing."""
    model = tiny("opt")
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=40))
    with pytest.raises(OpenworkError, match="cannot be changed"):
        check_edges(model, graph, n=1)


def test_a_wrong_edge_is_noticed():
    """The control: the intervention test must fail for a graph whose edges are off by one percent."""
    model = tiny("llama")
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=40))
    graph.edges.weight[:] *= 1.01
    assert check_edges(model, graph, n=8).worst > 5e-3


def test_node_values_are_the_models_own_activations():
    model = tiny("gpt2")
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=30))
    logits, cache = model.run_with_cache(torch.tensor([graph.token_ids]))
    nodes = graph.nodes
    for i in np.flatnonzero(nodes.where("neuron")):
        real = cache[f"blocks.{nodes.layer[i]}.mlp.hook_post"][0, nodes.pos[i], nodes.unit[i]]
        assert nodes.value[i] == pytest.approx(real.item(), rel=1e-12)
    for i in np.flatnonzero(nodes.where("logit")):
        last = logits[0, -1]
        assert nodes.value[i] == pytest.approx((last[nodes.unit[i]] - last.mean()).item(), rel=1e-9)
        assert graph.probability[i] == pytest.approx(last.softmax(-1)[nodes.unit[i]].item(), rel=1e-9)


def test_a_hand_wired_circuit_is_found_with_its_exact_weights():
    """token 3 -> neuron 3 -> logit 4: the neuron reads 1 from the token, and writes `gain` to one logit of eight."""
    model = lookup_model(8, gain=3.0)
    frozen = freeze(model, torch.tensor([[1, 3]]))
    from circuits.attribution.choosing import choose_basis, choose_units
    from circuits.attribution.sweep import edges
    from circuits.attribution.target_tokens import choose_roots
    from circuits.attribution.total import total_attribution
    from circuits.attribution.unit_readers import explain_units

    roots = choose_roots(model, frozen, [4])
    totals = total_attribution(frozen, roots.targets, roots.weight)
    units = choose_units(frozen, totals, choose_basis(1, {}), 10)
    assert [(u.slot.tolist(), u.pos.tolist(), u.unit.tolist()) for u in [units]] == [([3], [1], [3])]
    rows = edges(frozen, explain_units(frozen, units, totals).targets.join(roots.targets), units)
    neuron, logit = 0, 1
    assert rows.token[neuron].tolist() == [0.0, 1.0]
    assert rows.unit[logit].tolist() == pytest.approx([3.0 * (1 - 1 / 8)])
    assert rows.token[logit].tolist() == [0.0, 0.0]
    assert rows.rest.abs().max() == 0


def test_edges_equal_autograd_through_the_hooked_model():
    """A second implementation: gradients of a target with patterns, divisors and MLPs detached by hooks."""
    model = tiny("gpt_neox")
    graph = trace(model, PROMPT, config=TraceConfig(max_nodes=30))
    tokens = torch.tensor([graph.token_ids])
    stop = {n: (lambda v, hook: v.detach()) for n in model.hook_dict if n.endswith(("hook_pattern", "hook_scale"))}
    kept: dict[str, torch.Tensor] = {}

    def leaf(name):
        def hook(value, hook):
            kept[name] = value.detach().clone().requires_grad_()
            return kept[name]

        return hook

    hooks = [*stop.items(), *((f"blocks.{i}.mlp.hook_out", leaf(i)) for i in range(3)), ("hook_embed", leaf("embed"))]
    with torch.enable_grad(), model.hooks(fwd_hooks=hooks):
        logits = model(tokens)
        node = int(np.flatnonzero(graph.nodes.where("logit"))[0])
        last = logits[0, -1]
        (last[graph.nodes.unit[node]] - last.mean()).backward()
    e = graph.incoming(node)
    for source, weight in zip(e.source, e.weight, strict=True):
        kind, layer = KINDS[graph.nodes.kind[source]], int(graph.nodes.layer[source])
        pos, unit = int(graph.nodes.pos[source]), int(graph.nodes.unit[source])
        if kind == "token":
            expected = (kept["embed"].grad * kept["embed"])[0, pos].sum()
        elif kind == "neuron":
            expected = graph.nodes.activation[source] * (kept[layer].grad[0, pos] @ model.blocks[layer].mlp.W_out[unit])
        else:
            continue
        assert weight == pytest.approx(float(expected), rel=1e-8, abs=1e-10)


def test_all_active_latents_are_nodes_where_they_fit():
    model, swap = load_model("toy"), StandIn(1, 64, 20, torch.float32)
    many, few = (trace(model, PROMPT, dictionaries=[swap], config=TraceConfig(max_nodes=n)) for n in (400, 20))
    x = model.run_with_cache(torch.tensor([many.token_ids]))[1]["blocks.1.mlp.hook_in"][0]
    assert (
        many.nodes.where("latent").sum() == int((swap.encode(x[1:]) > 0).sum()) > 10
    )  # the first position is one leaf
    assert few.nodes.where("neuron", "latent").sum() == 20 and few.nodes.where("neuron").any()
    assert few.nodes.where("rest").any()


def test_nothing_is_dropped_when_few_units_are_nodes():
    """The smaller the budget, the larger the leftovers; the logit's sum stays the same."""
    model = tiny("llama")
    small, large = (trace(model, PROMPT, config=TraceConfig(max_nodes=n)) for n in (5, 200))
    assert small.nodes.where("neuron").sum() == 5 and large.nodes.where("neuron").sum() == 200
    assert small.scores.replacement < large.scores.replacement
    for graph in (small, large):
        assert graph.residual_relative < 10 * ROUNDED


def test_targets_can_be_named():
    model = load_model("toy")
    graph = trace(model, PROMPT, targets=[" is", 7], config=TraceConfig(max_nodes=20))
    assert sorted(graph.nodes.unit[graph.nodes.where("logit")]) == sorted(
        [7, model.tokenizer.encode(" is", add_special_tokens=False)[0]]
    )


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("", {}, "empty"),
        ("word " * 600, {}, "512"),
        (PROMPT, {"targets": ["two whole words"]}, "one was wanted"),
        (PROMPT, {"targets": [10**6]}, "vocabulary"),
        (PROMPT, {"config": TraceConfig(memory=1000)}, "fewer nodes \\(max_nodes\\)"),
        (PROMPT, {"dictionaries": [StandIn(1, 32, 8, torch.float32)]}, "32"),
        (PROMPT, {"dictionaries": [StandIn(1, 64, 8, torch.float32)] * 2}, "Two dictionaries"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(prompt, options, words):
    with pytest.raises(BadInput, match=words):
        trace(load_model("toy"), prompt, **options)


def test_a_freeze_that_does_not_hold_is_not_traced(monkeypatch):
    """If a pattern is not what the model used, the pieces do not rebuild its output, and no graph is made."""
    import circuits.replacement.freeze as freezing

    real = freezing._attention
    monkeypatch.setattr(freezing, "_attention", lambda m, i, pattern, ln1: real(m, i, pattern.flip(-1), ln1))
    with pytest.raises(OpenworkError, match="attention differ"):
        trace(load_model("toy"), PROMPT)


def test_low_precision_is_refused_rather_than_wrong(monkeypatch):
    """At once, unless a tolerance is accepted; and then held to that."""
    model = native(0, toy_tokenizer(), d_vocab=len(toy_tokenizer()), scale=3.0)
    model.original_model.to(torch.bfloat16)
    with pytest.raises(OpenworkError, match=r"do not sum|does not rebuild"):
        trace(model, PROMPT, config=TraceConfig(tolerance=1e-5))
    monkeypatch.setattr("circuits.attribution.trace.freeze", lambda *_: pytest.fail("the work was begun"))
    with pytest.raises(BadInput, match=r"loaded in bfloat16.*Load it in float32"):
        trace(model, PROMPT)


@pytest.mark.parametrize("options", [{"max_nodes": 0}, {"max_logits": 0}, {"memory": float("nan")}])
def test_sizes_must_be_positive(options):
    with pytest.raises(BadInput, match="must be positive|was wanted"):
        trace(load_model("toy"), PROMPT, config=TraceConfig(**options))


def test_a_graph_says_which_dictionary_it_used(tmp_path):
    from probe.dictionaries import TopK, Transcoder, load_dictionary, save_dictionary

    model, ends = load_model("toy"), {"site_in": "blocks.1.mlp.hook_in", "site_out": "blocks.1.mlp.hook_out"}
    made = Transcoder(64, 96, sparsifier=TopK(4), **ends)
    config = TraceConfig(max_nodes=20)
    assert "unstored" in trace(model, PROMPT, dictionaries=[made], config=config).dictionaries["1"]
    save_dictionary(made, tmp_path / "mine")
    for stored in (made, load_dictionary(tmp_path / "mine")):
        assert trace(model, PROMPT, dictionaries=[stored], config=config).dictionaries == {"1": "mine"}


def test_latents_that_are_not_their_pre_activations_are_refused():
    """Such a dictionary would conserve and still be explained by the wrong vectors."""
    swap = StandIn(1, 64, 40, torch.float32)
    swap.encode = lambda x: 2 * (x @ swap.W_enc + swap.b_enc).relu()
    with pytest.raises(BadInput, match="differ from their pre-activations"):
        trace(load_model("toy"), PROMPT, dictionaries=[swap])


def test_plan_says_what_a_trace_will_need():
    plan = plan_trace(load_model("toy"), 10, TraceConfig(max_nodes=100))
    assert plan.n_units == 100 and plan.n_columns == 100 + 10 * (3 * 4 + 2)
    assert plan.bytes >= 4 * plan.n_targets * plan.n_columns and plan.seconds > 0


@pytest.mark.model
def test_default_model_traces_the_capital_of_france():
    model = load_model()
    graph = trace(model, "The capital of France is", config=TraceConfig(max_nodes=200))
    assert graph.unit_tokens[int(np.flatnonzero(graph.nodes.where("logit"))[0])] == " Paris"
    assert graph.residual_relative <= 1e-5
    assert check_edges(model, graph, n=3).worst < 1e-3


def test_schema_accepts_the_exported_graph(tmp_path):
    schema = (
        Path(os.environ.get("OPENWORK_SHARED", Path(__file__).parents[3] / "shared"))
        / "fixtures/neuronpedia-graph-schema.json"
    )
    if not schema.is_file():
        pytest.skip("the schema of Neuronpedia's graph files is not at hand (set OPENWORK_SHARED)")
    import jsonschema

    from circuits.exchange.write_neuronpedia import to_neuronpedia

    jsonschema.validate(to_neuronpedia(trace(load_model("toy"), PROMPT)), json.loads(schema.read_text()))


@pytest.mark.parametrize("rule", ["topk:4", "batchtopk:4", "jumprelu:4", "gated", "relu", "matryoshka:4"])
def test_a_transcoder_of_any_rule_stands_in_a_graph_that_adds_up(rule: str) -> None:
    from probe.dictionaries import Transcoder
    from probe.training.recipes import parse_rule

    ends = {"site_in": "blocks.1.mlp.hook_in", "site_out": "blocks.1.mlp.hook_out"}
    d = Transcoder(64, 32, sparsifier=parse_rule(rule, 32), skip=True, **ends).eval().requires_grad_(False)
    with torch.no_grad():
        d.W_dec.normal_(generator=torch.Generator().manual_seed(1))
    graph = trace(load_model("toy"), "The capital of France is", dictionaries=[d])
    assert graph.report()["conservation_residual"] <= 1e-5
    assert graph.report()["nodes_by_kind"]["latent"] > 0


def cancelling_model():
    """Dimensions 0 and 1 of the stream are large and always equal; every neuron reads almost their difference alone."""
    tokenizer = toy_tokenizer()
    model = native(0, tokenizer, n_layers=1, d_vocab=len(tokenizer), normalization_type=None)
    with torch.no_grad():
        model.W_E[:, 0] += 1000.0
        for block in model.blocks:
            block.mlp.W_out[:, 0], block.attn.W_O[..., 0] = block.mlp.W_out[:, 0] * 300, block.attn.W_O[..., 0] * 300
        for written in (model.W_E, model.W_pos, *(w for b in model.blocks for w in (b.mlp.W_out, b.attn.W_O))):
            written[..., 1] = written[..., 0]
        for written in (w for b in model.blocks for w in (b.mlp.b_out, b.attn.b_O)):
            written[1] = written[0]
        read = model.blocks[0].mlp.W_in
        read[2:] = 0.0
        read[1] = -read[0] * (1 - 1e-4)
    return model


def test_a_value_of_cancelling_products_is_held_to_their_rounding(monkeypatch):
    """Gaps are large beside the edges and small beside what the neurons add up: that is rounding, and no reason to refuse. What
    is larger than rounding of anything still is."""
    from circuits.attribution import trace as attribution

    model, config = cancelling_model(), TraceConfig(max_nodes=60)
    graph = trace(model, PROMPT, config=config)
    assert graph.residual_relative > 1e-5
    real = attribution.edges

    def off(*args, **kwargs):
        rows = real(*args, **kwargs)
        rows.token[-1, 1] += 1e-4 * rows.matrix[-1].abs().sum()
        return rows

    monkeypatch.setattr(attribution, "edges", off)
    with pytest.raises(OpenworkError, match="do not sum"):
        trace(model, PROMPT, config=config)
