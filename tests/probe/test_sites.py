"""Every spelling of a site leads to one canonical name, and unknown ones to a helpful sentence."""

import pytest
import torch
from tiny import CONFIGS, tiny

from probe.errors import BadInput
from probe.model.sites import GLOSSARY, Site, hook_name, parse_site, sites_of, width


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("resid_post.5", "blocks.5.hook_resid_post"),
        ("blocks.5.hook_resid_post", "blocks.5.hook_resid_post"),
        ("blocks.5.hook_out", "blocks.5.hook_resid_post"),
        ("blocks.5.hook_mlp_in", "blocks.5.hook_resid_mid"),
        ("blocks.5.ln2.hook_out", "blocks.5.mlp.hook_in"),
        ("mlp_out.0", "blocks.0.mlp.hook_out"),
        ("blocks.0.hook_mlp_out", "blocks.0.hook_mlp_out"),
        ("embed", "hook_embed"),
        ("hook_unembed", "unembed.hook_out"),
    ],
)
def test_spellings(text, name):
    assert parse_site(text).name == name
    assert parse_site(parse_site(text).short).name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resid_pst.5", r"Did you mean resid_post\.5"),
        ("blocks.3.mlp.hook_inn", r"Did you mean blocks\.3\.mlp\.hook_in"),
        ("mlp_in", r"say which, like mlp_in\.4"),
        ("", "Sites are named like"),
        ("embed.4.4", "no site"),
    ],
)
def test_unknown_spellings_are_refused_with_a_suggestion(text, words):
    with pytest.raises(BadInput, match=words):
        parse_site(text)


def test_layers_and_sites_the_model_lacks(toy):
    with pytest.raises(BadInput, match="layers 0 to 3"):
        parse_site("resid_post.4", toy)
    with pytest.raises(BadInput, match="no 'pos_embed'"):
        parse_site("pos_embed", toy)
    with pytest.raises(BadInput, match="no 'resid_mid.0'"):
        parse_site("resid_mid.0", tiny("gpt_neox"))  # parallel blocks have no middle


@pytest.mark.parametrize("name", CONFIGS)
def test_axes_are_the_axes_of_real_tensors(name):
    """The glossary says how many axes each site has and how wide the last is; every architecture must agree."""
    from probe.interventions.forward import capture

    model, tokens = tiny(name), torch.tensor([[1, 5, 9, 4], [1, 7, 3, 2]])
    sizes = {"batch": 2, "pos": 4, "q_pos": 4, "k_pos": 4, "head": 4, "d_model": 32, "1": 1}
    sites = [s for s in sites_of(model) if s.layer in (None, 1)]
    found = capture(model, tokens, sites, stop=False)
    for site in sites:
        value = found[site.name]
        assert len(site.axes) == value.ndim, site.short
        for axis, size in zip(site.axes, value.shape, strict=True):
            assert sizes.get(axis, size) == size, (site.short, tuple(value.shape))
        if site.axes[-1] in ("d_model", "d_mlp", "d_head", "d_vocab"):
            assert width(site, model) == value.flatten(2).shape[-1]


def test_sites_come_in_the_order_of_the_forward_pass(toy):
    order: list[str] = []
    sites = sites_of(toy)
    hooks = [
        (str(hook_name(s, toy)), lambda v, hook, s=s: order.append(s.name))
        for s in sites
        if s.kind not in ("scores", "pattern")
    ]
    with toy.hooks(fwd_hooks=hooks):
        toy(torch.tensor([[1, 2, 3]]))
    assert order == [s.name for s in sites if s.kind not in ("scores", "pattern")]


def test_a_pattern_has_no_width(toy):
    with pytest.raises(BadInput, match="no width"):
        width(Site("pattern", 0), toy)


def test_every_kind_says_what_it_is():
    assert all(row.meaning and row.axes.startswith("batch") for row in GLOSSARY.values())
