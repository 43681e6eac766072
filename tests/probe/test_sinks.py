"""Massive activations and sinks: planted ones are found, attention is summed by hand, removal is what plain hooks do."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from plain import Plain
from zoo import pair

import probe
from probe.errors import BadInput
from probe.heads.massive.removal import _drawn
from probe.heads.massive.sinks_record import Activation
from probe.methods import call_of
from probe.model.toy import lookup_model, native

IDS = [4, 9, 5, 11, 9, 3]


@pytest.fixture(scope="module")
def planted():
    """A random model whose token 5 holds 2,000 in dimension 7 of its embedding, and nothing writes there."""
    model = native(normalization_type="RMS", final_rms=True)
    with torch.no_grad():
        model.W_E[5, 7] = 2000.0
    return model


@pytest.fixture(scope="module")
def found(planted):
    return probe.sinks(planted, IDS, draws=8)


def test_a_planted_activation_is_found_and_marks_its_token(planted, found):
    (one,) = found.massive
    assert (one.pos, one.dim, one.first, one.last) == (2, 7, -1, 1) and one.value == pytest.approx(2000, rel=0.01)
    assert found.dims == [7] and found.sinks == [2] and found.sink_layers.tolist() == [0, 0, 2, 0, 0, 0]
    stream = probe.capture(planted, torch.tensor([IDS]), "resid_post.1")["resid_post.1"][0].abs()
    assert found.times[2, 2] == pytest.approx(float(stream[2].max() / stream.median()), rel=1e-5)
    assert found.phi[2, 2] == pytest.approx(float(stream[2, 7] / stream[2].square().mean().sqrt()), rel=1e-5)
    assert found.tau == pytest.approx(0.9 * 32**0.5) and found.phi[2, 2] <= 32**0.5
    assert found.rows()[0]["massive"] == "yes" and found.rows()[1]["massive"] == "no"


def test_attention_to_the_sink_is_summed_over_later_ordinary_queries(planted, found):
    pattern = probe.head_patterns(planted, IDS).patterns
    for i, h in np.ndindex(*found.mass.shape):
        assert found.mass[i, h] == pytest.approx(np.mean([pattern[i, h, q, 2] for q in (3, 4, 5)]), rel=1e-5)
    assert found.even == pytest.approx(np.mean([1 / 4, 1 / 5, 1 / 6]))
    assert found.received[1, 4] == pytest.approx(pattern[1, :, 4:, 4].mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "qwen2"])
def test_removal_is_what_plain_hooks_do(name):
    bridge, model = pair(name)
    found = probe.sinks(bridge, IDS, ratio=4, draws=2)
    plain = Plain(model, torch.tensor([IDS]))
    before, since = plain.logits().log_softmax(-1), min(one.pos for one in found.massive)

    def zeroed(layer):
        def change(x):
            x = x.clone()
            for one in found.massive:
                if one.first == layer:
                    x[0, one.pos, one.dim] = 0
            return x

        return change

    with ExitStack() as stack:
        for layer in {one.first for one in found.massive}:
            site = f"resid_post.{layer}" if layer >= 0 else "resid_pre.0"
            stack.enter_context(plain.changed(site, zeroed(layer)))
        after = plain.logits().log_softmax(-1)
    kl = (before.exp() * (before - after)).sum(-1)[0, since:].mean()
    following = torch.tensor(IDS[since + 1 :])
    loss = (before - after)[0, since:-1].gather(-1, following[:, None]).mean()
    assert found.removals[0].kl == pytest.approx(float(kl), rel=1e-4)
    assert found.removals[0].loss == pytest.approx(float(loss), rel=1e-3, abs=1e-6)
    assert len(found.massive) > 1 and kl > 1e-3


def test_what_nothing_reads_is_removed_for_nothing_and_chance_is_not():
    """The null: a massive activation that no weight reads; as large a move of any other dimension ruins the prediction."""
    model = lookup_model()
    with torch.no_grad():
        model.W_E.add_(0.01 * torch.randn(model.W_E.shape, generator=torch.Generator().manual_seed(0)))
        model.W_E[3, 15], model.W_U[15] = 100.0, 0.0
    found = probe.sinks(model, [1, 3, 2], draws=9)
    assert [(one.pos, one.dim) for one in found.massive] == [(1, 15)]
    rows = found.removal_rows()
    assert [row["KL"] for row in rows[:2]] == [0.0, 0.0] and rows[3]["KL"] > 1 and rows[3]["p"] == 1
    assert [row["change"] for row in rows] == [
        "massive, to 0",
        "massive, to the mean",
        "random, to 0",
        "random, as large",
    ]


def test_random_dimensions_are_others_and_different():
    ones = [
        Activation(pos=p, token="", dim=d, first=0, last=0, value=1.0, times=1.0, massive=True)
        for p, d in [(0, 1), (0, 2), (3, 1)]
    ]
    drawn = _drawn(np.random.default_rng(0), ones, 200, 5)
    assert set(drawn[:, :2].ravel()) == {0, 3, 4} and (drawn[:, 0] != drawn[:, 1]).all() and 1 not in drawn[:, 2]


def test_where_nothing_is_massive_it_says_what_is_largest(toy):
    found = probe.sinks(toy, "one two three", ratio=1e6)
    assert not found.massive and found.removals == [] and np.isnan(found.phi).all() and found.sinks == []
    assert "No activation is 1e+06 times" in found.summary() and "smaller ratio" in found.verdict()
    assert len(found.rows()) == 8


def test_the_record_remembers_keeps_and_draws(planted, found, tmp_path):
    call = call_of(found)
    assert call is not None and call.method == "sinks" and call.arguments == {"prompt": IDS, "draws": 8}
    again = type(found).load(found.save(tmp_path / "sinks"))
    assert again.summary() == found.summary() and again.removal_rows() == found.removal_rows()
    assert len({tuple(row) for row in found.removal_rows()}) == 1  # a table: every row has all columns
    for what in ("massive", "sink", "attention", "removal"):
        assert type(found.figure(what)).__name__ == "Figure"
    assert probe.sinks(planted, IDS, draws=8).removal_rows() == found.removal_rows()  # of the same seed
    assert "1 massive activation" in found.summary() and "p = " in found.verdict()
    with pytest.raises(BadInput, match="ratio is 0"):
        probe.sinks(planted, IDS, ratio=0)
