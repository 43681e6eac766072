"""Prompts of unequal length in one batch: each row is what its prompt gives when it is read alone."""

import pytest
import torch
from tiny import tiny
from zoo import pair

import probe
from probe.errors import BadInput
from probe.interventions.running import intervene
from probe.model import padding
from probe.model.toy import native, toy_tokenizer

PROMPTS = [
    "Mary went to",
    "When Mary and John went to the store, John gave a drink to",
    [1, 5],
    "When Mary and John went",
]
MODELS = {
    "gpt2": tiny,  # learned positions
    "llama": tiny,  # rotary, grouped queries
    "gemma2": tiny,  # post-norms, a sliding window
    "olmo2": tiny,  # post-norms only
    "bloom": lambda name: pair(name)[0],  # alibi
    "opt": tiny,  # positions counted from a mask
    "mamba": lambda name: pair(name)[0],  # no attention: a state
}


def sites_of(model) -> list[str]:
    """Some of every sort of axes, as far as the model has them."""
    wanted = ("resid_post.1", "z.1", "pattern.1", "mlp_out.0", "mlp_post.0", "resid_pre.0", "logits")
    has = {site.short for site in probe.sites_of(model)}
    return [one for one in wanted if one in has]


@pytest.mark.parametrize("name", list(MODELS))
def test_a_row_is_its_prompt_alone(name):
    model = MODELS[name](name)
    sites = sites_of(model)
    found = probe.capture(model, PROMPTS, sites)
    assert len(set(found.lengths)) > 1 and {"logits", "resid_post.1"} <= set(sites)
    for row, prompt in enumerate(PROMPTS):
        alone, own = probe.capture(model, prompt, sites), found.alone(row)
        n = found.lengths[row]
        for site in sites:
            assert own[site].shape == alone[site].shape, site
            assert torch.allclose(own[site], alone[site], rtol=1e-5, atol=1e-5), site
            along = 2 if site.startswith("pattern") else 1
            behind = found[site][row].narrow(along - 1, n, max(found.lengths) - n)
            assert behind.isnan().all(), site
        if "pattern.1" in sites:  # what stands behind is not looked at
            assert float(found["pattern.1"][row, :, :n, n:].abs().sum()) == 0


def learned(model):
    torch.manual_seed(0)
    parts = {"sparsifier": probe.TopK(4), "site_in": "mlp_in.1", "site_out": "mlp_out.1"}
    found = probe.Transcoder(model.cfg.d_model, 48, **parts).double()
    torch.nn.init.normal_(found.W_dec)
    return found


def test_unit_values_and_latents_of_unequal_prompts():
    model = tiny("llama")
    for options in ({"layer": 1}, {"dictionary": learned(model)}):
        found = probe.unit_values(model, PROMPTS, **options)
        for row, prompt in enumerate(PROMPTS):
            alone = probe.unit_values(model, prompt, **options)[0]
            assert torch.allclose(found[row, : len(alone)], alone, rtol=1e-5, atol=1e-5)
            assert found[row, len(alone) :].isnan().all()


@pytest.mark.parametrize(
    "change", ["ablate:L1H0@-1", "ablate:mlp_out.1@-2:", "scale=2:L1N5@-1", "clamp=3:L0N7@2", "latent"]
)
def test_changes_count_from_each_prompts_own_end(change):
    model, prompts = tiny("llama"), [p for p in PROMPTS if p != [1, 5]]
    clamped = probe.UnitEdit("clamp", 5, -1, 4.0, dictionary=learned(model))
    changes = [clamped if change == "latent" else change]
    with intervene(model, changes):
        found = probe.capture(model, prompts, "logits")
    plain = probe.capture(model, prompts, "logits")
    for row, prompt in enumerate(prompts):
        with intervene(model, changes):
            alone = probe.capture(model, prompt, "logits")["logits"]
        assert torch.allclose(found.alone(row)["logits"], alone, rtol=1e-5, atol=1e-5)
        assert not torch.allclose(found.alone(row)["logits"], plain.alone(row)["logits"])


def test_positions_that_are_not_equally_many_are_refused(toy):
    with pytest.raises(BadInput, match="not equally many"), intervene(toy, ["ablate:mlp_out.1@1:-1"]):
        probe.capture(toy, PROMPTS, "logits")


def test_rows_of_prompts_are_harvested_without_their_padding(toy, tmp_path):
    rows = probe.prompt_rows(toy, PROMPTS)
    cache = probe.harvest(toy, rows, ["mlp_out.1"], tmp_path / "c", dtype="float32")
    lengths = [len(probe.encode_prompt(toy, p)) for p in PROMPTS]
    assert rows.context == max(lengths) and cache.n_tokens == len(PROMPTS) * max(lengths)
    assert (~rows.special).sum(1).tolist() == [n - 1 for n in lengths]  # all but the first, which is the sink
    alone = probe.capture(toy, PROMPTS[0], "mlp_out.1")["mlp_out.1"][0]
    assert torch.allclose(cache.shard(0)["blocks.1.mlp.hook_out"][: lengths[0]], alone, rtol=1e-4, atol=1e-4)


def test_a_model_whose_rows_do_not_stand_alone_is_refused():
    """Something behind a prompt reaches it: the identity fails, and the batch is refused instead of being read wrongly."""
    model = native(
        0, toy_tokenizer(), n_layers=1, d_model=16, n_heads=2, d_head=8, d_mlp=16, d_vocab=len(toy_tokenizer())
    )
    hook = model.blocks[0].hook_resid_pre if hasattr(model.blocks[0], "hook_resid_pre") else model.blocks[0].hook_in
    hook.add_perma_hook(lambda value, hook: value + value.mean(1, keepdim=True))
    assert not padding.stands_alone(model)
    with pytest.raises(BadInput, match="sees both ways"):
        probe.capture(model, PROMPTS, "resid_post.0")
    assert probe.capture(model, [PROMPTS[0]] * 2, "resid_post.0").lengths == [5, 5]


def test_positions_that_follow_the_length_of_the_pass(monkeypatch):
    """A dynamic rotary turns every position otherwise once a pass is longer than the model was made for."""
    model = tiny("llama")
    config = model.original_model.config
    monkeypatch.setattr(config, "rope_parameters", {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4})
    monkeypatch.setattr(config, "max_position_embeddings", 6)
    with pytest.raises(BadInput, match="in a pass of more than 6"):
        probe.capture(model, PROMPTS, "resid_post.0")
    assert probe.capture(model, [PROMPTS[0], [1, 5]], "resid_post.0").lengths == [5, 2]


def test_the_identity_is_looked_at_once(monkeypatch):
    model, asked = tiny("qwen3"), []
    monkeypatch.setattr(padding, "stands_alone", lambda one: asked.append(one) or True)
    for _ in range(2):
        probe.capture(model, PROMPTS, "resid_post.0")
    probe.capture(model, PROMPTS[0], "resid_post.0")
    assert asked == [model]
    with pytest.raises(BadInput, match="there is no 9"):
        probe.capture(model, PROMPTS, "resid_post.0").alone(9)
