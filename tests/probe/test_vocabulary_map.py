"""The map of neurons to the vocabulary: explicit products of transformers' own weights, a hand-wired model, chance."""

import numpy as np
import pytest
import torch
from zoo import pair

import probe
from probe.errors import BadInput
from probe.methods import call_of
from probe.model.toy import lookup_model
from probe.neurons import vocabulary_map as module
from probe.neurons import vocabulary_scores, vocabulary_tables
from probe.show.panels import Figure

SORTS = ("out", "in", "gate")


def explicit(name, layer):
    """Scores of every neuron by every token, by hand from the weights that transformers holds."""
    _, model = pair(name)
    if name == "gpt2":
        block, final, E, U = (
            model.transformer.h[layer],
            model.transformer.ln_f,
            model.transformer.wte.weight,
            model.lm_head.weight,
        )
        centred = block.mlp.c_proj.weight - block.mlp.c_proj.weight.mean(-1, keepdim=True)
        x = torch.nn.functional.layer_norm(E, E.shape[-1:], eps=1e-5) * block.ln_2.weight
        return {"out": (centred * final.weight) @ U.T, "in": (x @ block.mlp.c_fc.weight).T}
    block, final, E, U = (
        model.model.layers[layer],
        model.model.norm,
        model.model.embed_tokens.weight,
        model.lm_head.weight,
    )
    offset = 1 if name == "gemma2" else 0
    rows = block.mlp.down_proj.weight.T
    if name == "gemma2":
        rows = rows * (1 + block.post_feedforward_layernorm.weight)
    norm = block.pre_feedforward_layernorm if name == "gemma2" else block.post_attention_layernorm
    E = E * 32**0.5 if name == "gemma2" else E
    x = E / (E.square().mean(-1, keepdim=True) + model.config.rms_norm_eps).sqrt() * (offset + norm.weight)
    return {
        "out": (rows * (offset + final.weight)) @ U.T,
        "in": block.mlp.up_proj.weight @ x.T,
        "gate": block.mlp.gate_proj.weight @ x.T,
    }


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "qwen2"])
def test_scores_are_the_explicit_products_however_they_are_cut(name, monkeypatch):
    for part in (vocabulary_scores, vocabulary_tables):
        monkeypatch.setattr(part, "CELLS", 700)  # several blocks of neurons meet several of the vocabulary
    monkeypatch.setattr(vocabulary_scores, "BLOCK", 7)
    found = probe.vocabulary_map(pair(name)[0], layers=1, k=5, draws=2)
    wanted = explicit(name, 1)
    assert set(found.decoded) == set(wanted)
    for sort, score in wanted.items():
        score = (score - score.mean(-1, keepdim=True)).detach().numpy()
        got, order = found.decoded[sort], np.argsort(-score, -1)
        size = np.abs(score).max()
        np.testing.assert_allclose(got.up_score, np.sort(score)[:, ::-1][:, :5], atol=2e-5 * size)
        np.testing.assert_allclose(got.down_score, np.sort(score)[:, :5], atol=2e-5 * size)
        assert (got.up == order[:, :5]).mean() > 0.99 and (got.down == order[:, ::-1][:, :5]).mean() > 0.99
        variance = score.var(-1)
        np.testing.assert_allclose(got.variance, variance, rtol=1e-4)
        np.testing.assert_allclose(got.kurtosis, (score**4).mean(-1) / variance**2 - 3, atol=1e-3)
        ends = (got.up_score.astype(float) ** 2).sum(-1) + (got.down_score.astype(float) ** 2).sum(-1)
        np.testing.assert_allclose(got.top_mass, ends / (score**2).sum(-1), rtol=1e-4)


def test_a_hand_wired_model_is_read_off():
    """Neuron i reads token i and promotes token i + 1 alone: scores are one-hot, whose kurtosis is that of a rare coin."""
    n, gain = 8, 3.0
    found = probe.vocabulary_map(lookup_model(n, gain), k=2)
    out, read = found.decoded["out"], found.decoded["in"]
    assert out.up[:, 0].tolist() == [(i + 1) % n for i in range(n)] and read.up[:, 0].tolist() == list(range(n))
    assert out.up_score[:, 0] == pytest.approx(gain * (1 - 1 / n))
    p = 1 / n * (1 - 1 / n)
    assert out.kurtosis == pytest.approx((1 - 6 * p) / p) and out.variance == pytest.approx(gain**2 * p)
    assert found.beyond("out").tolist() == [1.0] and "100.0 % write beyond" in found.summary()
    assert found.neuron("L0N3")["promotes"].split()[0] == "4"
    assert found.about("4")[0]["neuron"] == "L0N3"
    with pytest.raises(BadInput, match="L1N3"):
        found.neuron("L1N3")


def test_random_weights_are_no_more_concentrated_than_chance():
    """The null: of a random model about one neuron in a hundred is beyond the control's 99th percentile."""
    bridge, _ = pair("llama")
    for control in ("random", "shuffled"):
        found = probe.vocabulary_map(bridge, control=control, draws=400)
        assert all(found.beyond(sort).mean() < 0.06 for sort in SORTS)
        assert found.controls["out"].kurtosis.shape == found.control_layer.shape == (800,)


def test_controls_have_the_lengths_or_the_numbers_of_neurons():
    rows, rng = torch.arange(1.0, 13).view(3, 4), torch.Generator().manual_seed(0)
    made = module._control(rows, "random", 50, rng)
    lengths = rows.norm(dim=-1)
    assert all(min(abs(float(n) - float(m)) for m in lengths) < 1e-4 for n in made.norm(dim=-1)) and len(made) == 50
    shuffled = module._control(rows, "shuffled", 50, rng).sort(-1).values
    assert all(any(torch.equal(one, row) for row in rows) for one in shuffled)


def test_reads_through_the_unembedding_are_the_papers():
    bridge, model = pair("llama")
    found = probe.vocabulary_map(bridge, layers=0, k=1, reads="unembedding", draws=2)
    score = model.model.layers[0].mlp.up_proj.weight @ model.lm_head.weight.T
    assert (found.decoded["in"].up[:, 0] == score.argmax(-1).numpy()).all() or np.allclose(
        found.decoded["in"].up_score[:, 0], (score - score.mean(-1, keepdim=True)).max(-1).values, rtol=1e-4
    )
    assert "Reads are of the unembedding" in found.verdict()


def test_what_has_no_neurons_is_refused_and_a_plan_says_what_it_takes():
    with pytest.raises(BadInput, match="mixture of experts"):
        probe.vocabulary_map(pair("mixtral")[0])
    bridge, _ = pair("llama")
    plan = module.plan_vocabulary_map(bridge, layers=1)
    alone = probe.vocabulary_map(bridge, layers=1, draws=2)
    figures = [panel for panel in alone.panels() if isinstance(panel, Figure)]
    assert len(figures) == 1 and len(figures[0].draw().data) == 2 * len(alone.decoded)  # all sorts and controls at once
    assert (plan.neurons, plan.vocabulary) == (48, bridge.cfg.d_vocab) and plan.bytes > 0
    assert call_of(probe.vocabulary_map(bridge, layers=1, draws=2)).plan(bridge) == module.plan_vocabulary_map(
        bridge, layers=1, draws=2
    )


def test_the_record_keeps_and_draws(tmp_path):
    found = probe.vocabulary_map(pair("gpt2")[0], k=3, draws=4)
    again = type(found).load(found.save(tmp_path / "map"))
    assert again.rows(k=None) == found.rows(k=None) and again.summary() == found.summary()
    assert len(found.to_pandas()) == len(found.layer) and type(found.figure("in")).__name__ == "Figure"
    assert [row["kurtosis"] for row in found.rows(4)] == sorted(found.decoded["out"].kurtosis, reverse=True)[:4]
    with pytest.raises(BadInput, match="'gate'"):
        found.figure("gate")
