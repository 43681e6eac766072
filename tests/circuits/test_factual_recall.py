"""Factual recall re-examined: each planted mechanism is found, and left out it is not; numbers against plain runs of the
model."""

import functools
import itertools
import string

import pytest
import torch
from tiny import tiny
from wired_facts import ASKED, CAPITAL, FILLER, LANGUAGE, A, N, facts, facts_model

from circuits.studies.catalogue import study_named
from circuits.studies.claim import verdict_of
from circuits.studies.factual_recall.claims import STUDY
from circuits.studies.factual_recall.facts_asked import Facts, studied
from circuits.studies.factual_recall.final_layer import LastLayer, suppression, switch, without
from circuits.studies.factual_recall.function_direction import Direction, function_like
from circuits.studies.factual_recall.heads_that_move import Written, gains_of, moving
from circuits.studies.factual_recall.mlp_alone import MLPAlone
from circuits.studies.running import run_study
from circuits.studies.study import Bench, Scale
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.interventions.running import intervene
from probe.model.sites import Site

pytestmark = pytest.mark.slow

SHAPES = ("gpt2", "gpt_neox", "llama", "gemma2")


def bench(model, sets=99):
    return Bench(model, Scale(sets=sets), lambda amount: None)


def words(found):
    """The verdict on every claim that was measured."""
    rules = {claim.name: claim.rule for claim in STUDY.claims}
    return {name: verdict_of(rules[name], one).word for name, one in found.measured.items()}


@pytest.fixture(scope="module")
def model():
    return facts_model()


def test_the_wired_model_says_what_it_is_wired_to_say(model):
    logits = facts(model).logits()
    assert (
        logits[3, A + 3] == pytest.approx(7.0) and logits[3, FILLER] == 8.0 and logits[3, A + 4] == pytest.approx(4.0)
    )
    assert facts(model, LANGUAGE).best_of_answers(facts(model, LANGUAGE).logits()).all()


def test_heads_that_move_the_topic_are_found_where_there_are_some(model):
    found = moving(facts(model), bench(model))
    assert set(words(found).values()) == {"holds"}
    assert found.measured["topic-moved"].interval.mean == pytest.approx(1.0)
    what = {row["head"]: (row["what"], row["gain"]) for row in found.tables[1].rows}
    assert what["L0H0"] == ("amplified", pytest.approx(1.0)) and what["L0H1"] == ("erased", pytest.approx(-1.0))


def test_without_such_heads_none_is_found():
    other = facts_model(moved=False)
    found = moving(facts(other, moved=False), bench(other))
    assert set(words(found).values()) == {"does not hold"}


def test_a_direction_for_the_relation_turns_the_other_question_round_and_single_facts_do_not(model):
    asked, other = facts(model), facts(model, LANGUAGE)
    found = function_like(asked, other, bench(model))
    assert words(found) == {"function-like": "holds"}
    assert found.measured["function-like"].interval.mean == pytest.approx(1.0, abs=1e-5)
    assert Direction.of(asked, other).layer == 1
    apart = facts_model(function=False)
    found = function_like(facts(apart), facts(apart, LANGUAGE), bench(apart))
    assert words(found) == {"function-like": "does not hold"}
    assert found.measured["function-like"].interval.mean < 0.05  # topics it was not made of have neurons of their own


def test_what_suppresses_is_found_and_the_switch_undoes_it(model):
    found = suppression(facts(model), bench(model))
    assert words(found) == dict.fromkeys(("right-suppressed", "switch-confidence", "switch-accuracy"), "holds")
    before, after, _ = found.tables[1].rows
    assert (before["likeliest right"], after["likeliest right"]) == (0.0, 1.0)
    logits = facts(facts_model(suppress=False)).logits()
    assert after["probability right"] == pytest.approx(float(logits.softmax(-1)[3, A + 3]), abs=1e-6)
    assert [row["part"] for row in found.tables[0].rows if row["switched off"]] == ["MLP 2"]
    plain = facts_model(suppress=False)
    assert set(words(suppression(facts(plain), bench(plain))).values()) == {"does not hold"}


def _drawn(name) -> Facts:
    model, draw = tiny(name), torch.Generator().manual_seed(1)
    clean = torch.randint(5, 100, (4, 6), generator=draw)
    corrupted = clean.clone()
    corrupted[:, 2] = torch.randint(100, 200, (4,), generator=draw)
    return Facts("drawn", model, clean, corrupted, [7, 8, 9, 10], [8, 9, 10, 7], [20, 21, 22, 23], 2)


@pytest.mark.parametrize("name", SHAPES)
def test_an_mlp_alone_is_the_models_and_a_gain_is_what_happens_without_the_heads_write(name):
    some = _drawn(name)
    written, parallel = Written.of(some), name == "gpt_neox"
    layer, head = 1, 2
    reading = layer + 1 if parallel else layer
    w, alone = written.heads[layer][:, head], MLPAlone.of(some, reading)
    site = Site("resid_pre" if parallel else "resid_mid", reading)

    class Less:
        at = site

        def change(self, value):
            value = value.clone()
            value[:, -1] -= w
            return value

    with intervene(some.model, [Less()]):
        after = capture(some.model, some.clean, [Site("mlp_write", reading)])[Site("mlp_write", reading)][:, -1]
    change = alone.writes - after
    expected = (change * w).sum(-1) / (w * w).sum(-1)
    assert torch.allclose(alone.gain(w), expected, rtol=1e-5, atol=1e-9)
    assert gains_of(written, [(layer, head)], sets=3, seed=0).rows[0]["read by MLP"] == reading


@pytest.mark.parametrize("name", SHAPES)
def test_the_last_layers_parts_and_what_was_below_are_the_logit(name):
    some = _drawn(name)
    last = LastLayer.of(some)
    held = capture(some.model, some.clean, ["logits"], stop=False)["logits"][:, -1].double()
    own = held[range(4), some.right] - held.mean(-1)
    bias = torch.zeros(4, dtype=torch.double)  # what no part writes: attention's bias, the final norm's
    found = last.adds(some.right).sum(0) + last.given_below()
    attn, W = some.model.blocks[-1].attn, some.toward(some.right)
    bias = bias + (W @ attn.b_O.double() if getattr(attn, "b_O", None) is not None else 0)
    norm = getattr(some.model.ln_final.original_component, "bias", None)
    if norm is not None:
        W_U = some.model.W_U
        bias = bias + norm @ (W_U[:, some.right] - W_U.mean(1, keepdim=True))
    assert torch.allclose(found + bias, own, rtol=1e-6, atol=1e-8)
    parts = last.parts[:1]
    with intervene(some.model, switch(some, parts)):
        expected = some.model(some.clean)[:, -1].float()
    assert torch.equal(without(some, parts), expected)


def test_a_model_that_does_not_know_the_facts_is_refused(toy, monkeypatch):
    with pytest.raises(BadInput, match="toy cannot be asked factual-recall"):
        run_study(toy, STUDY, scale=Scale(sets=2))
    from circuits.studies.factual_recall import facts_asked

    encode = functools.partial(toy.tokenizer.encode, add_special_tokens=False)
    letters = [c for c in string.ascii_letters if len(encode(" " + c)) == 2]
    monkeypatch.setattr(facts_asked, "pairs_listed", lambda name: list(itertools.pairwise(letters)))
    monkeypatch.setattr(facts_asked.Words, "one_token", lambda self, text: True)
    monkeypatch.setattr(facts_asked, "token_id", lambda model, text: encode(text.strip())[0])
    with pytest.raises(BadInput, match=r"right in \d+ of \d+ prompts of capitals"):
        studied(toy)


def test_the_study_is_found_in_its_folder():
    entry = study_named("factual-recall")
    assert entry.study() is STUDY and len(entry.claims) == len(STUDY.claims) and entry.summary
    assert (N, CAPITAL, ASKED) == (12, 12, 14)
