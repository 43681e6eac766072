"""Replaying the layers below a change: the very numbers of the whole pass, on every block shape, and nothing left behind."""

import pytest
import torch
from tiny import CONFIGS, tiny

from probe.interventions.prefix import first_layer, is_exact, recorded, replayed, started_at
from probe.interventions.running import intervene
from probe.interventions.values import Steer
from probe.model.sites import parse_site

IDS = torch.randint(3, 300, (3, 11), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_replayed_pass_equals_the_whole_one(name: str) -> None:
    model = tiny(name)
    assert all(is_exact(model, layer, IDS) for layer in range(model.cfg.n_layers + 1))


@pytest.mark.parametrize("name", ["gpt2", "gemma2"])
def test_with_an_intervention_too(name: str) -> None:
    model, change = tiny(name), Steer("mlp_out.1", torch.ones(32, dtype=torch.float64))
    with recorded(model, 1) as kept:
        clean = model(IDS)
    with intervene(model, [change]):
        whole = model(IDS)
    with replayed(model, 1, kept), intervene(model, [change]):
        short = model(IDS)
    assert torch.equal(short, whole)
    assert not torch.equal(whole, clean)
    assert torch.equal(model(IDS), clean)  # nothing is left behind


def test_skipped_layers_are_not_run(toy) -> None:
    ran = []
    with recorded(toy, 3) as kept:
        toy(IDS)
    hooks = [(f"blocks.{i}.hook_resid_post", lambda value, hook: ran.append(hook.name) or value) for i in range(4)]
    with replayed(toy, 3, kept), toy.hooks(fwd_hooks=hooks):
        toy(IDS)
    assert all("blocks.3" in name for name in ran) and ran
    assert is_exact(toy, 3, IDS)


@pytest.mark.parametrize("name", ["llama", "gpt_neox"])
def test_runs_that_start_at_a_layer_are_whole_runs_of_those_tokens(name: str) -> None:
    model, ran = tiny(name), []
    change = Steer("mlp_out.2", torch.ones(32, dtype=torch.float64))
    with intervene(model, [change]):
        whole = model(IDS)
    with started_at(model, 2, IDS), intervene(model, [change]):
        handle = model.blocks[1].attn.register_forward_hook(lambda *_: ran.append(1))
        assert torch.equal(model(IDS), whole)
        handle.remove()
    assert not ran


def test_first_layer(toy) -> None:
    def at(*names: str) -> int:
        return first_layer([parse_site(n) for n in names], toy)

    assert (at("embed"), at("mlp_out.2", "mlp_out.1"), at("ln_final")) == (0, 1, 4)
