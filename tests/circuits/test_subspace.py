"""Distributed alignment search against a planted direction, its controls, and null spaces known by construction."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from edge_pairs import answered, pairs_for
from test_patching import copying_model
from tiny import tiny

import circuits
from circuits.patching.subspace.das import plan_das
from circuits.patching.subspace.dormant import moved, read_part
from circuits.patching.subspace.interchanges import answers, interchanges_of, split
from circuits.patching.subspace.record import NAMES
from circuits.patching.subspace.untrained import untrained
from probe.errors import BadInput
from probe.model.sites import Site

RIGHT, WRONG, VOCABULARY = 7, 9, 40


@cache
def copied():
    """Pairs that differ in one token, which the hand-wired head copies to the end: its direction there is the answer."""
    model, draw = copying_model(VOCABULARY), np.random.default_rng(0)
    n = len(model.W_E)
    rows = [[1, *draw.choice([i for i in range(5, n) if i not in (RIGHT, WRONG)], 3).tolist()] for _ in range(32)]
    sides = [[[*row[:2], token, *row[2:]][: 4 + i % 2] for i, row in enumerate(rows)] for token in (RIGHT, WRONG)]
    return model, pairs_for(model, *sides, right=RIGHT, wrong=WRONG)


@cache
def searched():
    model, pairs = copied()
    return circuits.das(model, pairs, site="resid_post", layer=0, epochs=20, lr=0.1, batch=16, random=4)


def test_a_planted_direction_is_found_and_the_controls_find_nothing():
    found, (model, _) = searched(), copied()
    n = len(model.W_E)
    planted = np.zeros(model.cfg.d_model)
    planted[n + RIGHT], planted[n + WRONG] = 1, -1  # where copies are written
    assert abs(found.basis[:, 0] @ planted) / np.linalg.norm(planted) > 0.95
    assert 0.85 < found.accuracy().low < found.accuracy().high == pytest.approx(1.0)  # 32 of 32
    assert found.accuracy().mean == 1.0 and found.accuracy("whole").mean == 1.0 and found.accuracy("means").mean == 1.0
    assert found.random.max() < 0.2 and found.accuracy("arbitrary").mean < 0.8
    assert found.losses[-1] < found.losses[0] and len(found.right["learned"]) == 32
    assert found.moved == pytest.approx(model.cfg.d_model, rel=0.2)  # all that prompts differ in there


def test_in_a_model_of_random_weights_the_search_finds_what_chance_does():
    """What was planted is gone there: half of its answers are those of the source whatever is interchanged."""
    found = searched()
    assert found.accuracy("untrained_still").mean == pytest.approx(0.5, abs=0.2)
    assert found.accuracy("untrained").high < 0.9 < found.accuracy().mean
    assert len(found.right["untrained"]) == 32 and "in a model of random weights" in found.summary()
    assert {NAMES[name] for name in ("untrained", "untrained_still")} <= {row["subspace"] for row in found.rows()}


def test_random_weights_are_as_large_as_the_models_which_stays_as_it_is():
    model = tiny("llama")
    before = [weight.clone() for weight in model.parameters()]
    one, same, other = untrained(model, 0), untrained(model, 0), untrained(model, 1)
    for i, (was, weight) in enumerate(zip(before, model.parameters(), strict=True)):
        drawn = [list(m.parameters())[i] for m in (one, same, other)]
        assert (was == weight).all() and (drawn[0] == drawn[1]).all() and drawn[0].shape == was.shape
        if was.std() > 0 and was.numel() > 500:
            assert not (drawn[0] == was).any() and not (drawn[0] == drawn[2]).all()
            assert float(drawn[0].std()) == pytest.approx(float(was.std()), rel=0.1)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert not torch.allclose(one(ids), model(ids)) and torch.allclose(one(ids), same(ids))


def test_an_interchange_is_the_sources_coordinates_within_the_subspace():
    """The whole site interchanged is activation patching; by hand, with plain hooks."""
    model, pairs = copied()
    every = interchanges_of(pairs, -1, 0)
    run = answers(model, pairs)
    with torch.no_grad():
        own = run(every.base)
        rows = [pairs.clean[i] for i in range(4)]
        for i, ids in enumerate(rows):
            assert own[i].tolist() == pytest.approx(
                model(torch.tensor([ids]))[0, -1, [RIGHT, WRONG]].tolist(), abs=1e-6
            )
    assert every.wanted[: len(pairs)].tolist() == [1] * len(pairs) and every.at_base[0] == len(pairs.clean[0]) - 1
    train, test = split(model, pairs, -1, 0.5, 8)
    assert not set(train.pair.tolist()) & set(test.pair.tolist()) and len(train) + len(test) == 2 * len(pairs)


def test_what_lies_in_the_null_space_of_the_output_matrix_is_told():
    """d_mlp 48 over d_model 32: directions that nothing reads, that all is read of, and half of each."""
    model, site = tiny("llama"), Site("mlp_post", 1)
    U, _, _ = torch.linalg.svd(model.blocks[1].mlp.W_out.double())  # d_mlp d_mlp
    read, null = U[:, :1], U[:, 40:41]
    for basis, unread in ((read, 0.0), (null, 1.0), ((read + null) / 2**0.5, 0.5)):
        share, kept = read_part(model, site, basis)
        assert share == pytest.approx(unread, abs=1e-9)
        assert unread == 1.0 or float((kept.T @ read).abs()) == pytest.approx(1.0)
    assert read_part(model, Site("resid_post", 1), read) is None
    apart = torch.randn(500, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert moved(read, apart) == pytest.approx(1.0, abs=0.3) and moved(
        read, apart - apart @ read @ read.T
    ) == pytest.approx(0, abs=1e-9)


def test_neurons_of_a_random_model_are_searched_with_the_check():
    """Random weights, answers as they come: what is learned there is told beside what nothing reads."""
    model = tiny("llama")
    pairs = answered(model)
    found = circuits.das(model, pairs, site="mlp_post", layer=1, epochs=2, random=1, rank=2)
    assert 0 <= found.unread <= 1 and "read" in found.right and "output matrix reads nothing" in found.dormancy()
    assert found.basis.T @ found.basis == pytest.approx(np.eye(2), abs=1e-5)
    assert {row["subspace"] for row in found.rows()} >= {"learned", "random, as large", "random, moved as far"}
    assert not any(p.requires_grad for p in model.parameters())


def test_what_cannot_be_searched_is_refused():
    model = tiny("llama")
    pairs = answered(model)
    with pytest.raises(BadInput, match="answers 0 as they call for it"):
        circuits.das(model, replace(pairs, clean=pairs.corrupted, corrupted=pairs.clean))
    with pytest.raises(BadInput, match="name no wrong answer"):
        circuits.das(model, replace(pairs, wrong=[[]] * len(pairs)))
    with pytest.raises(BadInput, match="32 dimensions"):
        circuits.das(model, pairs, rank=33)
    with pytest.raises(BadInput, match="no position 9"):
        circuits.das(model, pairs, position=9)


def test_the_plan_and_the_sentences():
    model, pairs = copied()
    plan, found = plan_das(model, pairs, layer=0, epochs=2, random=1), searched()
    assert plan.runs == 3 * 2 * 32 * 3 + 10 * 32 and plan.bytes > 0
    alone = plan_das(model, pairs, layer=0, epochs=2, random=1, untrained=False)
    assert alone.runs == 2 * 2 * 32 * 3 + 7 * 32
    assert plan.bytes - alone.bytes == sum(4 * weight.numel() for weight in model.parameters())
    assert "held-out interchange" in found.summary() and "no null space" in found.dormancy()
    assert len(found.figure().data[0].x) == len(found.rows())
