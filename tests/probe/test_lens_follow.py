"""Following tokens through the layers, against the full softmax of every layer, and against the lens."""

import numpy as np
import pytest
import torch
from tiny import CONFIGS, tiny

from probe.errors import BadInput
from probe.lens.figures import follow_map
from probe.lens.follow import follow_token
from probe.lens.logit import logit_lens
from probe.lens.token_facts import token_facts
from probe.lens.windows import in_blocks, positions

PROMPT = "The capital of France is"


def full_logits(model, ids: list[int]) -> torch.Tensor:
    """Every layer's logits, by hooks on every layer's output and the model's own modules; (layer, pos, d_vocab)."""
    _, cache = model.run_with_cache(torch.tensor([ids]))
    n = model.cfg.n_layers
    streams = [cache["blocks.0.hook_resid_pre"], *(cache[f"blocks.{i}.hook_resid_post"] for i in range(n))]
    found = torch.stack([model.unembed(model.ln_final(x))[0] for x in streams]).double()
    cap = getattr(model.cfg, "output_logits_soft_cap", -1.0) or -1.0
    return cap * torch.tanh(found / cap) if cap > 0 else found


@pytest.mark.parametrize("name", CONFIGS)
def test_numbers_are_those_of_the_full_softmax(name):
    model = tiny(name)
    found = follow_token(model, PROMPT, [9, "final", "next", 300])
    logits = full_logits(model, found.token_ids)
    logp = logits.log_softmax(-1)
    n = len(found.token_ids)
    assert found.ids[0].tolist() == [9] * n and found.ids[3].tolist() == [300] * n
    assert found.ids[1].tolist() == logits[-1].argmax(-1).tolist()
    assert found.ids[2].tolist() == [*found.token_ids[1:], -1]
    for i in range(4):
        for p in range(n):
            token = int(found.ids[i, p])
            if token < 0:
                assert np.isnan(found.log_probs[i, :, p]).all() and (found.ranks[i, :, p] == -1).all()
                continue
            np.testing.assert_allclose(found.log_probs[i, :, p], logp[:, p, token], atol=1e-5)
            np.testing.assert_allclose(found.logits[i, :, p], logits[:, p, token], atol=1e-5)
            by_sorting = [(-logits[layer, p]).argsort().tolist().index(token) for layer in range(len(logits))]
            assert found.ranks[i, :, p].tolist() == by_sorting


def test_the_final_prediction_has_the_ranks_of_the_lens(toy):
    lens, found = logit_lens(toy, PROMPT), follow_token(toy, PROMPT, ["final", "next"])
    assert (found.ranks[0] == lens.rank_of_final).all()
    np.testing.assert_allclose(-found.log_probs[1, -1, :-1], lens.loss[1:], atol=1e-4)
    assert found.layers == lens.layers and found.tokens == lens.tokens


def test_chunks_change_nothing(toy, monkeypatch):
    whole = follow_token(toy, PROMPT, [7, "next"])
    monkeypatch.setattr("probe.lens.follow.TABLE", 1)  # one position at a time
    parts = follow_token(toy, PROMPT, [7, "next"])
    np.testing.assert_allclose(whole.log_probs, parts.log_probs, atol=1e-6)
    assert (whole.ranks == parts.ranks).all() and (whole.ids == parts.ids).all()


@pytest.mark.parametrize("wanted", [[], [-1], [10**6], ["last"]])
def test_what_is_no_token_is_refused(toy, wanted):
    with pytest.raises(BadInput, match="token"):
        follow_token(toy, PROMPT, wanted)


def test_record_is_json_and_draws_itself_escaped(toy):
    import json

    found = follow_token(toy, "<b>&amp; a", ["next", 5])
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_dict()["log_probs"][0][0][-1] is None
    for quantity in ("probability", "rank", "logit"):
        figure = found.figure(0, quantity)
        assert not any("<b>" in trace.name for trace in figure.data)
        assert follow_map(found, 1, quantity).data[0].z.shape == (len(found.layers), len(found.tokens))
    assert "<b>" not in found._repr_html_()
    with pytest.raises(BadInput, match="probability, rank, logit"):
        found.figure(0, "colour")


def test_blocks_keep_the_extreme_and_the_positions():
    values = np.array([[1.0, 5.0, 2.0, np.nan, 9.0]])
    assert in_blocks(values, 2).tolist() == [[5.0, 2.0, 9.0]]
    assert in_blocks(values, 2, smallest=True).tolist() == [[1.0, 2.0, 9.0]]
    assert positions(slice(10, 15), 2) == [10.5, 12.5, 14.0]
    assert np.isnan(in_blocks(np.array([[np.nan, np.nan]]), 2)).all()


def test_what_is_said_of_the_end_is_never_rounded_to_nothing_and_names_the_embedding(toy):
    one = follow_token(toy, PROMPT, 300)
    rare = int(full_logits(toy, one.token_ids)[-1, -1].argmin())
    chance = float(full_logits(toy, one.token_ids)[-1, -1].softmax(-1)[rare])
    assert f"probability {chance:.3g}" in follow_token(toy, PROMPT, rare).summary().replace("−", "-")
    lens = logit_lens(toy, PROMPT)
    lens.rank_of_final[:] = 0
    assert "first in every layer from the embedding on" in lens.summary()
    assert {name: value for name, value, _ in token_facts(lens, -1)}["prediction settles at"] == "the embedding"
