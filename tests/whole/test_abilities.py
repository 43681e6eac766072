"""Each ability beside plain hooks on a few block shapes, as `make architectures` does on all; and what used to be wrong."""

import pytest
import torch
from abilities import ABILITIES, Case, gap
from plain import Plain, leaving
from zoo import pair, toy

import circuits
from probe.dictionaries import SAE, TopK
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.heads.patterns import head_patterns
from probe.heads.reading import read_head
from probe.heads.weights import qk_scores, score_scale
from probe.interventions.forward import capture
from probe.lens.direct import direct_logits
from probe.lens.logit import logit_lens
from probe.model.anatomy import anatomy
from probe.model.sites import Site
from probe.neurons.strongest import top_units
from probe.text.tokens import display_tokens

TOKENS = torch.tensor([[1, 40, 300, 77, 12, 300, 9], [1, 9, 8, 7, 301, 22, 3]])
PROMPT = "The capital of France is"
REFUSED = {
    "gptj": {"knockout"},
    "deepseek_v3": {"trace", "connections"},
    "mixtral": {"units", "edit", "trace", "connections"},
    "bamba": {"heads", "trace"},
}
"""What is refused; all else is right."""


@pytest.mark.parametrize("name", ["gpt2", "gptj", "bloom", "gemma2", "granite", "deepseek_v3", "mixtral", "bamba"])
def test_every_ability_is_right_or_refused(name):
    case, found = Case(name), {}
    for ability, check in ABILITIES.items():
        try:
            found[ability] = check(case)
        except OpenworkError:
            found[ability] = -1.0
    assert {a for a, value in found.items() if value == -1} == REFUSED.get(name, set()), found
    assert max(found.values()) < 1e-4, found


@pytest.mark.parametrize("name", ["cohere", "granite", "gemma2"])
def test_the_site_logits_is_the_models_output(name):
    """With the multiplier of Cohere and Granite, before Gemma's soft-cap."""
    bridge, model = pair(name)
    out = Plain(model, TOKENS).logits()
    cap = getattr(model.config, "final_logit_softcapping", None)
    logits = capture(bridge, TOKENS, ["logits"])["logits"]
    assert gap(cap * torch.tanh(logits / cap) if cap else logits, out) < 1e-6


def test_latents_of_the_stream_pass_no_post_norm():
    """What an SAE of the stream writes is its decoder row, whatever norms the block has; a transcoder's passes the MLP's."""
    bridge, _ = pair("gemma2")
    for site, factor in (("resid_post.1", None), ("mlp_write.1", None), ("mlp_out.1", "ln2_post")):
        sae = SAE(32, 6, sparsifier=TopK(2), site=Site(*_named(site)).name, seed=1)
        row = next(r for r in top_units(bridge, PROMPT, [sae], k=1).units if r.kind == "latent" and r.pos == 3)
        write = row.activation * sae.W_dec[row.unit].detach()
        if factor:
            scale = capture(bridge, torch.tensor([Case("gemma2").ids]), [f"{factor}_scale.1"])[f"{factor}_scale.1"][
                0, 3
            ]
            write = write * (1 + bridge.blocks[1].ln2_post.weight) / scale
        assert row.write_norm == pytest.approx(float(write.norm()), rel=1e-4), site


def _named(short: str) -> tuple[str, int]:
    kind, layer = short.split(".")
    return kind, int(layer)


def test_latents_of_heads_write_through_the_output_matrix():
    bridge, model = pair("llama")
    sae = SAE(32, 6, sparsifier=TopK(2), site=Site("z", 1).name, seed=1)
    row = next(r for r in top_units(bridge, PROMPT, [sae], k=1).units if r.kind == "latent")
    write = model.model.layers[1].self_attn.o_proj.weight.float() @ sae.W_dec[row.unit].detach() * row.activation
    assert row.write_norm == pytest.approx(float(write.norm()), rel=1e-4)


def test_a_negative_neuron_promotes_what_its_weights_suppress():
    bridge, model = pair("gpt2")
    rows = [r for r in top_units(bridge, PROMPT, k=96).units if r.activation < 0]
    assert rows
    for row in rows[:5]:
        write = row.activation * model.transformer.h[row.layer].mlp.c_proj.weight[row.unit]
        effect = ((write - write.mean()) * model.transformer.ln_f.weight) @ model.lm_head.weight.T
        assert display_tokens(bridge, [int(effect.argmax())])[0] == row.promoted[0]


@pytest.mark.parametrize("name", ["gpt_neo", "llama-yarn", "llama", "cohere-norms", "stablelm-norms", "olmo2"])
def test_query_key_scores_have_the_models_own_scale(name):
    """A prompt of one token in the first layer: its score with itself, by weights alone and in the model's softmax."""
    bridge, model = pair(name)
    seen: list[torch.Tensor] = []
    real = torch.nn.functional.softmax

    def softmax(x: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        seen.append(x)
        return real(x, *args, **kwargs)

    torch.nn.functional.softmax = softmax
    try:
        Plain(model, torch.tensor([[40]])).logits()
    finally:
        torch.nn.functional.softmax = real
    if name == "gpt_neo":  # learned positions are not part of the weights' reading, so the scale alone is compared
        assert score_scale(bridge, 0) == 1.0
        return
    own = torch.stack([qk_scores(bridge, 0, h, [40])[0, 40] for h in range(4)])
    assert gap(own, seen[0].flatten()) < 1e-5


@pytest.mark.parametrize("name", ["cohere-norms", "stablelm-norms"])
def test_heads_with_norms_of_their_own_are_read(name):
    found = read_head(pair(name)[0], PROMPT, 1, 2)
    assert gap(torch.tensor(found.by_key.sum(1)), torch.tensor(found.direct)) < 1e-5


def test_heads_of_a_hybrid_are_read_where_there_is_attention():
    found = head_patterns(pair("bamba")[0], PROMPT)
    assert found.patterns.shape[:2] == (2, 4)
    sums = torch.tensor(found.patterns).sum(-1)
    assert sums[0].isnan().all() and torch.allclose(sums[1], torch.ones_like(sums[1]), atol=1e-5)
    with pytest.raises(BadInput, match="no attention"):
        head_patterns(pair("mamba")[0], PROMPT)


def test_overflow_is_said_in_a_sentence():
    bridge, _ = pair("llama-tied", "float16")
    logit_lens(bridge, PROMPT)
    for read in (logit_lens, top_units, direct_logits):
        broken = bridge.hooks(fwd_hooks=[("blocks.1.hook_out", lambda value, hook: value * torch.inf)])
        with broken, pytest.raises(OpenworkError, match=r"infinite.*float16.*bfloat16"):
            read(bridge, PROMPT)


def test_models_of_attention_alone():
    bridge = toy("toy-attention-only")
    assert direct_logits(bridge, PROMPT).gap < 1e-4
    with pytest.raises(BadInput, match="no MLP"):
        top_units(bridge, PROMPT)
    with pytest.raises(BadInput, match=r"no MLP|cannot be traced"):
        circuits.trace(bridge, PROMPT)


@pytest.mark.parametrize("name", ["toy-solu", "toy-solu_ln"])
def test_nonlinearities_across_neurons_are_refused(name):
    with pytest.raises(OpenworkError, match=r"each neuron alone|does not turn|no neurons|differ"):
        circuits.trace(toy(name), PROMPT)


def test_the_nearest_nonlinearity_is_the_models():
    """Bloom's own GELU is the tanh form, whatever the configuration says; OPT's is ReLU."""
    assert anatomy(pair("bloom")[0]).act_fn[0] in ("gelu_new", "gelu_pytorch_tanh")
    assert anatomy(pair("opt")[0]).act_fn[1] == "relu" and anatomy(pair("mpt")[0]).act_fn[0] == "gelu"


def test_a_model_that_does_not_run_says_so():
    with pytest.raises(Unavailable, match="CodeGenForCausalLM does not run"):
        logit_lens(pair("codegen")[0], PROMPT)


def test_a_dictionary_in_the_middle_is_judged_in_the_stream(tmp_path):
    """Zero at resid_mid leaves the stream what the MLP writes to zeros, not what the MLP adds to an untouched stream."""
    from harvests import token_set

    from probe.activations.harvest import harvest
    from probe.evaluation.evaluate import evaluate

    bridge, model = pair("gpt2", "float32")
    tokens = token_set(8)
    cache = harvest(bridge, tokens, ["resid_mid.1"], tmp_path / "cache", dtype="float32", held_out=0.4)
    sae = SAE(32, 6, sparsifier=TopK(2), site=Site("resid_mid", 1).name).eval()
    found = evaluate(bridge, sae, cache)
    apart = cache.manifest.facts["held_out_documents"]
    rows = torch.isin(tokens.doc, torch.tensor(apart))
    ids, special = tokens.tokens[rows], tokens.special[rows]
    plain = Plain(model, ids)
    zeroed = plain.run("resid_mid.1", lambda v: torch.where(special[..., None], v, torch.zeros_like(v)))
    loss = -zeroed.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    counted = ~(special[:, :-1] | special[:, 1:])
    assert found.ce_zero == pytest.approx(float(loss[counted].mean()), rel=1e-4)


def test_connections_of_parallel_blocks_pass_their_one_norm():
    """A neuron of layer 0 against one of layer 1, by hand."""
    bridge, model = pair("gptj")
    blocks = model.transformer.h
    write = blocks[0].mlp.fc_out.weight[:, 7]
    read = (write - write.mean()) * blocks[1].ln_1.weight
    wanted = float(blocks[1].mlp.fc_in.weight[3] @ read)
    found = circuits.connections(bridge, "L1N3", through="direct", k=48)
    assert next(c.strength for c in found.units if str(c.source) == "L0N7") == pytest.approx(wanted, rel=1e-6)


def test_a_cache_that_a_hybrid_does_not_take_up_is_not_used():
    from probe.model.key_value_cache import keeps_right

    assert not keeps_right(pair("qwen3_next")[0])


def test_the_plain_models_own_hooks_are_what_is_compared_with():
    """A comparison that could not fail would be worth nothing: another change is seen as a large difference."""
    case = Case("gpt2")
    with leaving(case.plain.blocks[0], lambda y: 1.001 * y + torch.arange(y.shape[-1]) / 1e3):
        wrong = case.plain.logits()
    assert gap(case.edited([]), wrong) > 1e-6


@pytest.mark.parametrize("name", ["falcon-7b", "cohere", "granite"])
def test_graphs_of_shared_norms_and_multipliers_are_autograds(name):
    """Every edge into a few targets beside the gradient of the model itself, held where the graph holds it."""
    bridge, _ = pair(name)
    graph = circuits.trace(bridge, PROMPT, config=circuits.TraceConfig(max_nodes=30))
    targets = [int(i) for i in graph.explained.nonzero()[0][:4]]
    rows = torch.tensor(circuits.oracle_rows(bridge, graph, targets))
    edges = torch.zeros(len(graph.nodes), len(graph.nodes), dtype=rows.dtype)
    edges[graph.edges.target, graph.edges.source] = torch.tensor(graph.edges.weight).to(rows)
    assert gap(edges[targets], rows) < 1e-5


def test_a_dictionary_of_heads_goes_all_the_way(tmp_path):
    """Harvested, judged, tabulated, edited, exported and imported: as wide as all heads together."""
    from harvests import token_set

    from probe import build_features, edited_run, export_dictionary, import_dictionary
    from probe.activations.harvest import harvest
    from probe.evaluation.evaluate import evaluate
    from probe.features.on_text import on_text
    from probe.interventions.unit_edits import UnitEdit

    bridge, model = pair("llama", "float32")
    cache = harvest(bridge, token_set(8), ["z.1"], tmp_path / "cache", dtype="float32", held_out=0.4)
    sae = SAE(cache.width("z.1"), 12, sparsifier=TopK(3), site=Site("z", 1).name).eval()
    assert sae.W_enc.shape[0] == 32 and evaluate(bridge, sae, cache).l0 == 3
    assert build_features(bridge, sae, cache, tmp_path / "features").n_units == 12
    values = on_text(bridge, PROMPT, 3, dictionary=sae).values
    (z,) = Plain(model, torch.tensor([Case("llama", "float32").ids])).read(
        (model.model.layers[1].self_attn.o_proj, "in")
    )
    assert gap(torch.tensor(values), sae.encode(z[0])[:, 3].detach()) < 1e-5
    assert edited_run(bridge, PROMPT, [UnitEdit("scale", 3, dictionary=sae, amount=2.0)]).kl.max() >= 0
    export_dictionary(sae, tmp_path / "out", "saelens")
    assert import_dictionary(tmp_path / "out", model=bridge).site_in == sae.site_in
