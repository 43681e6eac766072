"""Attention knockouts, held against masks of the transformers model, single knockouts, a hand-wired copying head."""

import numpy as np
import pytest
import torch
from test_patching import copying_model
from tiny import CONFIGS, tiny

import circuits
from circuits.patching.knockout.blocking import plan_knockout
from probe.errors import BadInput, OpenworkError
from probe.interventions.running import intervene
from probe.interventions.values import Knockout
from probe.text.tokens import encode_prompt

PROMPT = "Mary and John went to Rome"
SHOWN = [name for name in sorted(CONFIGS) if name != "opt"]  # its attention tells of patterns after it used them


def knocked(name, sources, **options):
    return circuits.knockout(tiny(name), PROMPT, sources=sources, **{"random": 0, **options})


@pytest.mark.parametrize("name", SHOWN)
@torch.no_grad()
def test_in_every_layer_it_is_a_mask_of_the_transformers_model(name):
    """All earlier positions out of the last token's reach, and two of them, by the mask that plain attention takes."""
    model = tiny(name)
    ids = torch.tensor([encode_prompt(model, PROMPT)])
    n = ids.shape[1]
    every = knocked(name, [f"@0:{n - 1}", "@1:3"], window=2 * int(model.cfg.n_layers) - 1)
    for s, gone in enumerate((range(n - 1), (1, 2))):
        mask = torch.full((n, n), torch.finfo(torch.float64).min, dtype=torch.float64).triu(1)
        mask[-1, list(gone)] = torch.finfo(torch.float64).min
        p = model.original_model(ids, attention_mask=mask[None, None]).logits[0, -1].softmax(-1)
        answer = int(model.original_model(ids).logits[0, -1].argmax())
        assert every.probability[s] == pytest.approx(
            np.full(3, float(p[answer])), rel=1e-5
        )  # some compute norms and softmax in float32
    assert np.abs(every.change).max() > 1e-3


@torch.no_grad()
def test_in_one_layer_it_is_knockouts_one_by_one():
    model, found = tiny("qwen3"), knocked("qwen3", ["@1:3"], window=1, readers="@4:")
    ids = torch.tensor([found.token_ids])
    answer = int(model(ids)[0, -1].argmax())
    for layer in range(3):
        single = [Knockout(layer, q, k) for q in range(4, ids.shape[1]) for k in (1, 2)]
        with intervene(model, single):
            p = float(model(ids)[0, -1].softmax(-1)[answer])
        assert found.probability[0, layer] == pytest.approx(p, rel=1e-9)


def test_a_copying_head_needs_what_it_copies_in_layer_0_alone():
    """The answer is the copied token's own direction: without it the head has none of it; the other layer looks for nothing."""
    model, text = copying_model(), "Mary and John"
    ids = encode_prompt(model, text)
    found = circuits.knockout(model, text, sources=["@2"], target=ids[2], window=1, random=2)
    uniform = 1 / model.cfg.d_vocab
    assert found.clean > 1.1 * uniform
    assert found.probability[0, 0] < uniform and found.probability[0, 1] == pytest.approx(found.clean, rel=1e-6)
    assert (found.random_change[0, :, 0] > 0).all()  # with others out of reach, more is copied of it


def test_random_sets_are_as_large_others_and_of_the_same_layers():
    found = knocked("llama", ["@2:4", "@0:2", "@0"], random=4, seed=3)
    assert found.random.shape == (3, 4, 3) and np.isfinite(found.random[:2]).all() and np.isnan(found.random[2]).all()
    again = knocked("llama", ["@2:4", "@0:2", "@0"], random=4, seed=3, batch=2)
    assert again.probability == pytest.approx(found.probability, rel=1e-12)
    assert found.rows()[0]["random least"] <= found.rows()[0]["random"] <= found.rows()[0]["random most"]
    assert "random positions" in found.summary() or found.strongest()[0]["random"] is None


def test_by_default_each_earlier_token_is_a_set():
    found = circuits.knockout(tiny("llama"), PROMPT)
    assert [one.positions for one in found.sources] == [[i] for i in range(len(found.tokens) - 1)]
    assert found.figure().data[0].type == "heatmap" and found.change.shape == (len(found.tokens) - 1, 3)
    few = knocked("llama", ["@1", "@2"], random=2)
    assert [trace.type for trace in few.figure().data] == ["scatter"] * 4
    plan = plan_knockout(tiny("llama"), PROMPT, random=0)
    assert plan.runs == 3 * (len(found.tokens) - 1)


@pytest.mark.parametrize(
    ("sources", "options", "said"),
    [
        (["@0:"], {}, "nothing left to look at"),
        (["@5"], {"readers": "@3"}, "stands after"),
        (["Paris"], {}, "does not stand"),
        ([], {"readers": "@0"}, "no token to look at"),
        (["@1"], {"layers": "9"}, "no layer 9"),
        (["@1"], {"window": 99}, "A window of 99 layers was asked for; in this model one of 5 holds every layer"),
    ],
)
def test_what_cannot_be_blocked_is_refused(sources, options, said):
    with pytest.raises(BadInput, match=said):
        knocked("llama", sources, **options)


def test_patterns_that_come_too_late_are_refused():
    with pytest.raises(OpenworkError, match="cannot be patched"):
        knocked("opt", ["@1"])


@pytest.mark.parametrize("method", [circuits.knockout, circuits.causal_tracing])
def test_weights_that_are_nan_are_named(method):
    from probe.model.toy import toy_model

    model = toy_model()
    with torch.no_grad():
        model.W_U.fill_(float("nan"))
    subject = {"subject": "France"} if method is circuits.causal_tracing else {}
    with pytest.raises(OpenworkError, match="not a number"):
        method(model, prompt="The capital of France is Paris", **subject)
