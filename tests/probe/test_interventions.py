"""Interventions do what they say, where they say, in the forward pass and in generation, and never silently nothing."""

import pytest
import torch
from tiny import tiny

from probe import (
    Clamp,
    Freeze,
    Knockout,
    Mean,
    Patch,
    Scale,
    Steer,
    Zero,
    capture,
    head,
    intervene,
    neuron,
    place,
    resid_post,
)
from probe.errors import BadInput, OpenworkError
from probe.interventions.values import Splice
from probe.model.toy import lookup_model


@pytest.fixture
def tokens(toy) -> torch.Tensor:
    return torch.tensor([toy.tokenizer.encode("The capital of France is")])


def test_the_empty_list_is_an_exact_no_op(toy, tokens):
    with intervene(toy, []):
        inside = toy(tokens)
    assert torch.equal(inside, toy(tokens))


def test_nothing_is_left_behind(toy, tokens):
    before = toy(tokens)
    with intervene(toy, [Zero(head(1, 2))]):
        assert not torch.equal(toy(tokens), before)
    assert torch.equal(toy(tokens), before)
    with pytest.raises(ZeroDivisionError), intervene(toy, [Zero(head(1, 2))]):
        raise ZeroDivisionError
    assert torch.equal(toy(tokens), before)


def test_zero_touches_one_head_at_one_position(toy, tokens):
    with intervene(toy, [Zero(head(1, 2, pos=3))]):
        z = capture(toy, tokens, ["z.1"])["blocks.1.attn.hook_z"]
    clean = capture(toy, tokens, ["z.1"])["blocks.1.attn.hook_z"].clone()
    clean[:, 3, 2] = 0
    assert torch.equal(z, clean)


def test_known_effect_on_a_hand_wired_model():
    model, tokens = lookup_model(8, gain=3.0), torch.tensor([[1, 3]])
    with intervene(model, [Zero(neuron(0, 3))]):
        assert model(tokens)[0, 1].abs().max() == 0  # only neuron 3 predicts after token 3
    with intervene(model, [Scale(neuron(0, 3), 2.0)]):
        assert model(tokens)[0, 1, 4] == 6.0
    with intervene(model, [Clamp(neuron(0, 5, pos=0), 4.0)]):
        logits = model(tokens)
    assert logits[0, 0, 6] == 12.0 and logits[0, 1, 6] == 0.0


def test_patching_every_residual_stream_gives_the_other_run(toy, tokens):
    a, b = tokens, tokens.flip(1)
    other = capture(toy, b, ["resid_post.2"])["blocks.2.hook_resid_post"]
    with intervene(toy, [Patch(resid_post(2), other)]):
        assert torch.allclose(toy(a), toy(b), atol=1e-5)


def test_steer_mean_and_order(toy, tokens):
    direction = torch.randn(64)
    with intervene(toy, [Steer(resid_post(1), direction, scale=2.0), Scale(resid_post(1), 3.0)]):
        changed = capture(toy, tokens, ["resid_post.1"])["blocks.1.hook_resid_post"]
    clean = capture(toy, tokens, ["resid_post.1"])["blocks.1.hook_resid_post"]
    assert torch.allclose(changed, 3 * (clean + 2 * direction), atol=1e-4)
    with intervene(toy, [Mean(place("mlp_out.1"), torch.arange(64.0))]):
        out = capture(toy, tokens, ["mlp_out.1"])["blocks.1.mlp.hook_out"]
    assert torch.equal(out, torch.arange(64.0).expand_as(out))


def test_knockout_renormalises_the_rest(toy, tokens):
    with intervene(toy, [Knockout(2, query=4, key=1, head=0)]):
        changed = capture(toy, tokens, ["pattern.2"])["blocks.2.attn.hook_pattern"]
    clean = capture(toy, tokens, ["pattern.2"])["blocks.2.attn.hook_pattern"]
    assert changed[0, 0, 4, 1] == 0 and changed[0, 0, 4].sum() == pytest.approx(1.0, abs=1e-6)
    assert torch.equal(changed[0, 1:], clean[0, 1:]) and torch.equal(changed[0, 0, :4], clean[0, 0, :4])


def test_freezing_a_pattern_holds_on_real_tensors(toy, tokens):
    pattern = capture(toy, tokens, ["pattern.3"])["blocks.3.attn.hook_pattern"]
    with intervene(toy, [Steer(resid_post(0), torch.randn(64), 5.0), Freeze("pattern.3", pattern)]):
        held = capture(toy, tokens, ["pattern.3", "z.3", "v.3"])
    v = held["blocks.3.attn.hook_v"].repeat_interleave(2, 2)
    assert torch.allclose(torch.einsum("bhqk,bkhe->bqhe", pattern, v), held["blocks.3.attn.hook_z"], atol=1e-4)


def test_interventions_hold_in_generation_at_absolute_positions(toy, tokens):
    """Cached generation feeds one token at a time; the change must land on the same text positions as without a cache."""
    n, edits = tokens.shape[1], [Steer(resid_post(1), 40 * torch.ones(64))]
    at = [Steer(place(resid_post(1), pos=n + 1), 40 * torch.randn(64, generator=torch.Generator().manual_seed(1)))]
    for some in (edits, at):
        runs = []
        for cached in (True, False):
            with intervene(toy, some):
                runs.append(
                    toy.generate(
                        tokens,
                        max_new_tokens=6,
                        do_sample=False,
                        use_past_kv_cache=cached,
                        verbose=False,
                        stop_at_eos=False,
                    )
                )
        assert torch.equal(*(torch.as_tensor(r) for r in runs))


@pytest.mark.parametrize("change", [Zero(neuron(2, 1)), Freeze("pattern.1", torch.zeros(1))])
def test_what_never_fired_raises(toy, change):
    with pytest.raises(OpenworkError, match="never fired"), intervene(toy, [change]):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Zero(head(9, 0)), "layers 0 to 3"),
        (Zero(head(0, 7)), "heads 0 to 3"),
        (Zero(neuron(0, 999)), "neurons 0 to 127"),
    ],
)
def test_places_the_model_lacks_are_refused(toy, change, words):
    with pytest.raises(BadInput, match=words), intervene(toy, [change]):
        pass


@pytest.mark.parametrize("pos", [100, -100, slice(50, 60)])
def test_positions_no_pass_had_are_not_silently_nothing(toy, tokens, pos):
    with (
        pytest.raises(OpenworkError, match="no pass had position"),
        intervene(toy, [Zero(place("resid_post.1", pos=pos))]),
    ):
        toy(tokens)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Zero(place("resid_post.1", pos=slice(0, None, 2))), "have a step"),
        (Zero(place("pattern.1", pos=2)), "no single position"),
        (Zero(place("resid_post.1", unit=999)), "units 0 to 63"),
        (Knockout(1, query=3, key=1, head=99), "heads 0 to 3"),
        (Knockout(1, query=3, key=1, head=-1), "heads 0 to 3"),
        (Knockout(1, query=99, key=1), "queries 0 to"),
        (Knockout(1, query=1, key=3), "earlier keys"),
    ],
)
def test_places_that_are_not_what_they_seem_are_refused(toy, tokens, change, words):
    with pytest.raises(BadInput, match=words), intervene(toy, [change]):
        toy(tokens)


def test_values_of_the_wrong_shape_are_refused(toy, tokens):
    with pytest.raises(BadInput, match="does not fit"), intervene(toy, [Patch(resid_post(1), torch.zeros(3, 9, 64))]):
        toy(tokens)
    with pytest.raises(BadInput, match="same length"), intervene(toy, [Freeze("pattern.1", torch.zeros(1, 4, 2, 2))]):
        toy(tokens)


def test_interventions_reach_models_that_flatten_positions():
    model = tiny("opt")
    tokens = torch.tensor([[1, 5, 9], [1, 7, 3]])
    clean = capture(model, tokens, ["mlp_post.1"])["blocks.1.mlp.hook_post"]
    assert clean.shape == (2, 3, 48)
    with intervene(model, [Zero(neuron(1, 4, pos=2))]):
        changed = capture(model, tokens, ["mlp_post.1"])["blocks.1.mlp.hook_post"]
    expected = clean.clone()
    expected[:, 2, 4] = 0
    assert torch.equal(changed, expected)


class Identity:
    """A dictionary that reconstructs its target perfectly when it is spliced at a site onto itself."""

    site_in = site_out = "blocks.1.mlp.hook_out"
    W_enc = torch.zeros(1)

    def __call__(self, x):
        from types import SimpleNamespace

        return SimpleNamespace(recons=x)


def test_splicing_a_perfect_dictionary_changes_nothing(toy, tokens):
    with intervene(toy, [Splice(Identity())]):
        assert torch.equal(toy(tokens), toy(tokens))


def test_capture_stops_after_the_last_site(toy, tokens):
    fired = []
    with toy.hooks(
        fwd_hooks=[
            ("blocks.2.hook_resid_pre", lambda v, hook: fired.append(1)),
            ("unembed.hook_in", lambda v, hook: fired.append(2)),
        ]
    ):
        capture(toy, tokens, ["resid_mid.1", "mlp_in.0"])
    assert fired == []
