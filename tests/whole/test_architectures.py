"""Every site of every block shape: what `intervene` makes of it is what the model's own equations make of it.

The sample is small; `make architectures` runs all of `tests/support/zoo.py`.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from plain import Plain
from torch import Tensor
from zoo import pair

from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.places import head, neuron
from probe.interventions.running import intervene
from probe.interventions.values import Function, Steer, Zero
from probe.model.anatomy import _known, anatomy
from probe.model.shared_weights import copy_sharing_weights
from probe.model.site_kinds import Site, spellings
from probe.model.sites import sites_of, width

TOKENS = torch.tensor([[1, 40, 300, 77, 12, 300, 9], [1, 9, 8, 7, 301, 22, 3]])
SAMPLE = ("gpt2", "opt", "bloom", "gpt_neox", "gemma2", "olmo2", "granite", "deepseek_v3", "mixtral", "bamba")


def change(value: Tensor) -> Tensor:
    """Another factor for every number of a token, and for every head, so that no mistaken axis goes unnoticed."""
    factors = torch.linspace(0.5, 1.5, value.shape[-1], dtype=value.dtype)
    if value.ndim == 4:
        return value * factors * torch.arange(1, value.shape[2] + 1, dtype=value.dtype)[:, None]
    return value * factors + 0.1


def walked(name: str) -> dict[str, float]:
    """How far every site's change is from the model's own, over the size of its effect."""
    bridge, model = pair(name)
    plain, found = Plain(model, TOKENS), {}
    base = plain.logits()
    for site in sites_of(bridge):
        if site.kind in ("embed", "pos_embed") or not hasattr(plain, f"_set_{site.kind}"):
            continue
        wanted = plain.run(site.short, change)
        with torch.no_grad(), intervene(bridge, [Function(site, change)]):
            got = bridge(TOKENS)
        found[site.short] = float((got - wanted).abs().max() / (wanted - base).abs().max())
    return found


@pytest.mark.parametrize("name", SAMPLE)
def test_setting_a_site_is_what_the_models_own_equations_make_of_it(name):
    found = walked(name)
    assert max(found.values()) < 1e-5, found
    kinds = {site.split(".")[0] for site in found}
    assert {"resid_pre", "resid_post", "attn_out", "z", "mlp_out", "mlp_write", "ln_final"} <= kinds
    assert "resid_mid" in kinds or name == "gpt_neox"


@pytest.mark.parametrize("name", ["gpt2", "bloom", "olmo2", "granite", "gpt_neox"])
def test_every_alias_holds_what_the_canonical_name_holds(name):
    """All hooks of a site that fire report one tensor, but for those the model uses for something else."""
    bridge, _ = pair(name)
    sites, kept = sites_of(bridge), {}

    def reader(name: str):
        return lambda value, hook: kept.__setitem__(name, value)

    hooks = {h for s in sites for h in spellings(s)[1:] if h in bridge.hook_dict and not h.endswith("hook_mlp_in")}
    with torch.no_grad(), bridge.hooks(fwd_hooks=[(h, reader(h)) for h in hooks]):
        bridge(TOKENS)
    found = capture(bridge, TOKENS, sites, stop=False)
    for site in sites:
        at = anatomy(bridge).spots[site]
        for hook in set(spellings(site)[1:]) & set(kept):
            same = torch.allclose(at.read(kept[hook], 2), found[site.name], atol=1e-9)
            elsewhere = at.hook not in spellings(site) or (name, site.kind) == (
                "bloom",
                "embed",
            )  # its embedding is normed
            assert same or elsewhere, (site.short, hook)


def test_the_mlps_input_of_transformer_lens_is_the_stream():
    """`hook_mlp_in` is the stream before the norm there, and the site it names here."""
    bridge, _ = pair("llama")
    bridge.cfg.use_hook_mlp_in = True
    kept = []
    try:
        with (
            torch.no_grad(),
            bridge.hooks(fwd_hooks=[("blocks.1.hook_mlp_in", lambda value, hook: kept.append(value.clone()))]),
        ):
            bridge(TOKENS)
    finally:
        bridge.cfg.use_hook_mlp_in = False
    assert torch.equal(kept[0], capture(bridge, TOKENS, ["blocks.1.hook_mlp_in"])[Site("resid_mid", 1).name])


def test_steering_the_middle_steers_the_stream():
    """What is added there is still there at the end of the layer, beside what the MLP makes of it."""
    bridge, _ = pair("gpt2")
    direction = torch.linspace(-1, 1, 32, dtype=torch.float64)
    with intervene(bridge, [Steer("resid_mid.0", direction)]):
        changed = capture(bridge, TOKENS, ["resid_mid.0", "mlp_write.0", "resid_post.0"])
    plain = capture(bridge, TOKENS, ["resid_mid.0"])["blocks.0.hook_resid_mid"]
    mid, write, post = changed.values()
    assert torch.equal(mid, plain + direction) and torch.allclose(mid + write, post, atol=1e-12)


@pytest.mark.parametrize("name", ["mixtral", "deepseek_v3"])
def test_a_mixture_of_experts_has_no_neurons(name):
    bridge, _ = pair(name)
    with pytest.raises(BadInput, match="mixture of experts.*no neurons"), intervene(bridge, [Zero(neuron(1, 5))]):
        pass


def test_the_neurons_of_a_dense_layer_beside_experts_are_there():
    bridge, _ = pair("deepseek_v3")
    assert width(Site("mlp_post", 0), bridge) == 48


@pytest.mark.parametrize("name", ["gpt_neo", "jamba"])
def test_a_pattern_under_the_name_of_scores_is_refused(name):
    with pytest.raises(BadInput, match="softmax is the pattern"):
        capture(pair(name)[0], TOKENS, ["scores.1"])


@pytest.mark.parametrize("name", ["llama-head_dim", "deepseek_v3"])
def test_heads_are_as_many_and_as_wide_as_the_output_matrix_says(name):
    bridge, model = pair(name)
    o_proj = Plain(model, TOKENS).o_proj(1)
    assert width(Site("z", 1), bridge) == o_proj.in_features
    said = "no head L1H4: this model has layers 0 to .*, heads 0 to 3"
    with pytest.raises(BadInput, match=said), intervene(bridge, [Zero(head(1, 4))]):
        pass


def test_threads_that_ask_at_once_are_told_what_one_is_told(monkeypatch):
    """The dashboard's forms and its worker ask side by side; two passes would read each other's hooks."""
    alone, _ = pair("gpt2")
    shared, passes, forward = copy_sharing_weights(alone), [], type(alone).forward
    wanted, _ = anatomy(alone), _known.pop(shared, None)
    monkeypatch.setattr(type(shared), "forward", lambda *args, **kwargs: passes.append(1) or forward(*args, **kwargs))
    with ThreadPoolExecutor(8) as pool:
        found = [job.result() for job in [pool.submit(anatomy, shared) for _ in range(8)]]
    assert all(one is found[0] for one in found) and found[0].spots == wanted.spots
    assert len(passes) == 2  # one to read, one with the stream changed
