"""What weights say of units: effective embeddings are what the model computes without attention, on every shape of block."""

import numpy as np
import pytest
import torch
from harvests import token_set
from tiny import CONFIGS, tiny

from probe.activations.harvest import harvest
from probe.dictionaries import SAE, TopK, Transcoder
from probe.errors import BadInput
from probe.features import FeatureConfig, build_features
from probe.features.effects import effective_embedding, logit_ranks
from probe.features.measuring.sources import Units, through_post_norm
from probe.features.measuring.unit_activations import units_of
from probe.interventions.forward import capture
from probe.interventions.running import intervene
from probe.interventions.values import Zero
from probe.model.sites import Site, hook_name, parse_site
from probe.neurons.unit_writes import logit_effects

SMALL = FeatureConfig(top=3, pool=6, bins=2, per_bin=2, window=4, before=2, tokens=4, neighbours=2)
ALONE = [name for name in CONFIGS if name != "opt"]
"Models whose MLPs can be run alone."


def without_attention(model, site: Site, layers: int) -> torch.Tensor:
    """The site for every token of the vocabulary, one token a row, attention (and MLPs between) writing nothing."""
    ids = torch.arange(model.W_E.shape[0])[:, None]
    silent = [Zero(Site("attn_out", i)) for i in range(layers)]
    silent += [Zero(Site("mlp_write", i)) for i in range(1, site.layer or 0)]
    if hook_name(Site("pos_embed"), model):
        silent.append(Zero(Site("pos_embed")))
    with intervene(model, silent):
        found = capture(model, ids, [site], stop=False)[site.name][:, 0]
    return found - found.mean(0)


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("text", ["mlp_in.0", "mlp_in.2", "mlp_out.2", "resid_pre.2", "mlp_write.1"])
def test_effective_embedding_is_what_the_model_computes_without_attention(name: str, text: str) -> None:
    model = tiny(name)
    site = parse_site(text, model)
    found = effective_embedding(model, site)
    assert found is not None
    assert torch.allclose(found, without_attention(model, site, model.cfg.n_layers).float(), atol=1e-4)


def test_sites_without_a_meaning_have_no_embedding() -> None:
    assert effective_embedding(tiny("llama"), Site("z", 1)) is None
    assert effective_embedding(tiny("opt"), Site("mlp_in", 1)) is None
    assert effective_embedding(tiny("opt"), Site("resid_pre", 0)) is not None


@pytest.mark.parametrize("name", list(CONFIGS))
def test_written_directions_and_their_tokens_on_every_shape_of_block(name: str) -> None:
    """A neuron's logit effect is the change of the logits when it writes a little more, before the final divisor."""
    model = tiny(name)
    writers = through_post_norm(model, Site("mlp_out", 1), model.blocks[1].mlp.W_out.detach().float())
    up, down = logit_ranks(model, writers, 3)
    words = logit_effects(model, writers, 3)
    every = logit_effects(model, writers, 2**62)  # more than there are is all of them
    assert [up[:3] for up, _ in every] == [up for up, _ in words] and len(every[0][0]) == model.cfg.d_vocab
    from probe.text.tokens import display_tokens

    for unit in range(0, len(writers), 9):
        assert (display_tokens(model, up.which[unit]), display_tokens(model, down.which[unit])) == words[unit]
    assert (np.diff(up.score) <= 0).all() and (np.diff(down.score) >= 0).all()


def test_logits_do_not_depend_on_blocks_and_are_demeaned(monkeypatch: pytest.MonkeyPatch, toy) -> None:
    writers = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    whole = logit_ranks(toy, writers, toy.W_U.shape[1])
    assert np.allclose(whole[0].score.mean(1), 0, atol=1e-4)
    monkeypatch.setattr("probe.features.effects.CELLS", 3 * toy.W_U.shape[1])
    parts = logit_ranks(toy, writers, toy.W_U.shape[1])
    assert np.array_equal(whole[0].which, parts[0].which) and np.allclose(whole[1].score, parts[1].score, atol=1e-5)


def small_cache(model, sites, folder):
    return harvest(model, token_set(8), sites, folder, dtype="float32")


@pytest.mark.parametrize("name", ["gemma2", "olmo2"])
def test_post_norms_are_named_in_the_convention(name: str, tmp_path) -> None:
    model = tiny(name, "float32")
    cache = small_cache(model, ["mlp_in.1", "mlp_out.1"], tmp_path / "c")
    ends = {"site_in": "blocks.1.mlp.hook_in", "site_out": "blocks.1.mlp.hook_out"}
    units: Units = units_of(model, Transcoder(32, 8, sparsifier=TopK(2), **ends), cache)
    assert "post-norm" in units.convention["writes"]
    assert "post-norm" in units_of(model, 1, cache).convention["writes"]
    assert build_features(model, 1, cache, tmp_path / "n", SMALL).unit(0).promoted


def test_mlps_that_cannot_be_run_alone_say_what_to_harvest(tmp_path) -> None:
    model = tiny("opt", "float32")
    with pytest.raises(BadInput, match=r"harvest mlp_post\.1"):
        build_features(model, 1, small_cache(model, ["mlp_in.1"], tmp_path / "c"), tmp_path / "n", SMALL)
    stored = build_features(model, 1, small_cache(model, ["mlp_post.1"], tmp_path / "d"), tmp_path / "m", SMALL)
    assert stored.n_units == 48 and not stored.unit(0).inputs


@pytest.mark.parametrize("name", ALONE)
def test_neurons_run_from_their_input_equal_the_models(name: str, tmp_path) -> None:
    model = tiny(name, "float32")
    cache = small_cache(model, ["mlp_in.2", "mlp_post.2"], tmp_path / "both")
    given = small_cache(model, ["mlp_in.2"], tmp_path / "one")
    x = (given.rows("mlp_in.2", [3, 4, 5]),)
    found = units_of(model, 2, given).fire(x)
    dense = torch.zeros(3, units_of(model, 2, given).n)
    dense[found.rows, found.latents] = found.values
    assert torch.allclose(dense, cache.rows("mlp_post.2", [3, 4, 5]), atol=1e-4)


def test_an_sae_of_the_stream_reads_the_stream(toy, tmp_path) -> None:
    cache = small_cache(toy, ["resid_post.1"], tmp_path / "c")
    d = SAE(64, 6, sparsifier=TopK(2), site="blocks.1.hook_resid_post").eval()
    unit = build_features(toy, d, cache, tmp_path / "f", SMALL).unit(2)
    table = effective_embedding(toy, Site("resid_post", 1))
    assert table is not None
    scores = table @ d.W_enc[:, 2].detach()
    assert [t.id for t in unit.inputs] == scores.topk(4).indices.tolist()
    assert np.allclose([t.score for t in unit.inputs], scores.topk(4).values, atol=1e-4)
