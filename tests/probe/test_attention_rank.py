"""Ranks of maps made by hand, ranks and skips of small models against plain hooks of transformers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain import Plain, leaving
from zoo import pair

import probe
from probe.errors import BadInput
from probe.heads.attention_rank import map_ranks
from probe.methods import call_of
from probe.model.toy import native

IDS = [4, 9, 5, 11, 9, 3, 7, 8]


def test_maps_of_known_rank():
    n = 6
    first, previous, itself, even = (torch.zeros(n, n) for _ in range(4))
    first[:, 0] = 1
    previous[torch.arange(1, n), torch.arange(n - 1)] = 1
    itself[torch.arange(n), torch.arange(n)] = 1
    even[:] = torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]
    rank, effective = map_ranks(torch.stack([first, previous, itself, even]), 1e-6)
    assert rank.tolist() == [1, n - 1, 0, n - 1]
    assert effective[:3] == pytest.approx([1, n - 1, 0]) and 1 < effective[3] < n - 1
    nearly = first + 1e-4 * previous
    assert [map_ranks(nearly[None], t)[0][0] for t in (1e-6, 1e-2)] == [n - 1, 1]


def test_heads_wired_to_look_at_one_token_have_rank_one():
    """No positions, all queries alike, keys that only token 5 moves: every query looks at it wherever it can be seen."""
    model = native(normalization_type=None, n_heads=2, d_head=4)
    with torch.no_grad():
        model.pos_embed.W_pos.zero_()
        model.W_E[:, 31], model.W_E[:, 30] = 1.0, 0.0
        model.W_E[5, 30] = 1.0
        for block in model.blocks:
            block.attn.W_Q.zero_()
            block.attn.W_K.zero_()
            block.attn.b_Q.zero_()
            block.attn.b_K.zero_()
        model.blocks[0].attn.W_Q[:, 31, 0], model.blocks[0].attn.W_K[:, 30, 0] = 100.0, 100.0
    found = probe.attention_rank(model, [5, *IDS[:2], 7, 8], tolerance=1e-3)
    assert found.rank[0].tolist() == [1, 1] and found.rank[1].tolist() == [4, 4]  # even attention below it
    assert found.arank.tolist() == [1, 4]


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "qwen2"])
def test_ranks_and_skips_are_those_of_plain_hooks(name):
    bridge, model = pair(name)
    found = probe.attention_rank(bridge, IDS)
    ids = torch.tensor([IDS])
    with torch.no_grad():
        maps = model(input_ids=ids, use_cache=False, output_attentions=True).attentions
    for i, pattern in enumerate(maps):
        below = pattern[0].tril(-1).double()
        wanted = torch.linalg.matrix_rank(below, rtol=len(IDS) * torch.finfo(torch.float32).eps)
        assert found.arank[i] == pytest.approx(wanted.double().mean().item())
    plain = Plain(model, ids)
    before, best = plain.logits(), int(plain.logits()[0, -1].argmax())
    for i in found.layers:
        entered = plain.stream(i)[0]
        for what, owner, change in (
            ("attention", plain.attention(i), torch.zeros_like),
            ("block", plain.blocks[i], lambda y, x=entered: x.reshape(y.shape)),
        ):
            with leaving(owner, change):
                after = plain.logits()
            old, new = before.log_softmax(-1), after.log_softmax(-1)
            loss = (old - new)[0, :-1].gather(-1, ids[0, 1:, None]).mean()
            moved = (after - before)[0, -1]
            cost = {n: float(v[i]) for n, v in found.cost[what].items()}
            assert cost["KL"] == pytest.approx(float((old.exp() * (old - new)).sum(-1).mean()), rel=1e-3, abs=1e-6)
            assert cost["loss"] == pytest.approx(float(loss), rel=1e-3, abs=1e-6)
            assert cost["logit"] == pytest.approx(float(moved[best] - moved.mean()), rel=1e-3, abs=1e-5)
            assert cost["KL"] > 1e-4


def test_what_writes_nothing_costs_nothing():
    """The null: attention whose output is 0 can be skipped for nothing, and a constant cost has no correlation."""
    model = native(normalization_type="RMS", n_layers=4)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.W_O.zero_()
            block.attn.b_O.zero_()
    found = probe.attention_rank(model, IDS)
    assert (found.cost["attention"]["KL"] == 0).all() and (found.cost["block"]["KL"] > 0).all()
    assert np.isnan(found.correlations["arank attention"].rho) and "unknown" in found.summary()


def test_the_record_remembers_keeps_and_draws(toy, tmp_path):
    found = probe.attention_rank(toy, "one two three four", layers="0,2-3", target=7, tolerance=0.01)
    assert found.layers == [0, 2, 3] and [row["layer"] for row in found.rows()] == [0, 2, 3]
    call = call_of(found)
    assert call is not None and call.arguments["layers"] == "0,2-3" and call.arguments["target"] == 7
    again = type(found).load(found.save(tmp_path / "rank"))
    assert again.summary() == found.summary() and again.correlation_rows() == found.correlation_rows()
    for what in ("layers", "against", "heads"):
        assert type(found.figure(what)).__name__ == "Figure"
    assert found.figure("layers").layout.xaxis.dtick == 1  # no ticks between layers
    ranks = found.figure("heads")  # layers run to the right also where there are fewer of them than heads
    assert ranks.layout.xaxis.ticktext == ("L0", "L2", "L3") and ranks.data[0].z.shape == (4, 3)
    assert np.array(ranks.data[0].customdata)[1, 2] == "L3H1"
    with pytest.raises(BadInput, match="2 tokens"):
        probe.attention_rank(toy, [3, 4])
    with pytest.raises(BadInput, match="no layer 9"):
        probe.attention_rank(toy, IDS, layers=9)


def test_layers_of_one_rank_are_said_to_have_it_all(toy):
    one = probe.attention_rank(toy, "The capital of France is")
    same = replace(one, rank=np.full_like(one.rank, 3.0))
    assert f"ARank of {len(one.tokens)} tokens is 3 in every layer;" in same.summary()
