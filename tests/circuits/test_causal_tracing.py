"""Causal tracing, held against the clean run, plain hooks on the transformers model, a hand-wired copying head."""

from functools import cache

import numpy as np
import pytest
import torch
from test_patching import copying_model
from tiny import CONFIGS, tiny

import circuits
from circuits.patching.causal_tracing.noise import embedding_sd, noisy_streams
from circuits.patching.causal_tracing.trace import plan_tracing
from circuits.patching.rows.run import run_rows
from circuits.patching.rows.windows import a_fifth, layers_around
from probe.errors import BadInput
from probe.text.display import decoded
from probe.text.positions import positions_of
from probe.text.tokens import encode_prompt

PROMPT, SUBJECT = "Mary and John went to Rome", "@3"


@cache
def moved(name):
    """The token that loses most of its probability by noise on the subject: random models hardly move their likeliest."""
    model, ids = tiny(name), encode_prompt(tiny(name), PROMPT)
    streams = noisy_streams(model, ids, [3], 10.0 * embedding_sd(model), 3, 0)
    tokens = torch.tensor([ids])
    noisy = torch.cat([run_rows(model, tokens, 1, {}, start=one[None]) for one in streams]).softmax(-1).amax(0)
    return int((noisy / model(tokens)[0, -1].softmax(-1)).argmin())


def trace(name, **options):
    asked = {"subject": SUBJECT, "draws": 3, "noise": 10.0, "target": moved(name)}
    return circuits.causal_tracing(tiny(name), PROMPT, **{**asked, **options})


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_the_subject_before_layer_0_and_the_end_of_the_last_layer_are_the_clean_run(name):
    start, end = trace(name, over="resid_pre"), trace(name, over="resid_post")
    assert start.restored[:, 0, start.subject[0]] == pytest.approx(np.full(3, start.clean), rel=1e-9)
    assert end.restored[:, -1, -1] == pytest.approx(np.full(3, end.clean), rel=1e-9)
    assert end.restored[:, -1, :-1] == pytest.approx(
        np.repeat(end.noisy[:, None], end.restored.shape[2] - 1, 1), rel=1e-9
    )
    assert start.total.mean == pytest.approx(start.clean - start.noisy.mean()) and start.total.mean > 0
    assert start.indirect[0, start.subject[0]] == pytest.approx(start.total.mean, rel=1e-9)
    assert not end.computed[:, : end.subject[0]].any() and end.computed[:, end.subject[0] :].all()


def first(out):
    return out[0] if isinstance(out, tuple) else out


def plain(name, found, layers, pos, kind):
    """The answer's probability of every draw with plain hooks on the transformers model: noise on what the embedding returns,
    clean outputs of MLPs or attention put back."""
    model = tiny(name)
    theirs, ids = model.original_model, torch.tensor([found.token_ids])
    blocks = theirs.transformer.h if name == "gpt2" else theirs.model.layers
    embed = theirs.transformer.wte if name == "gpt2" else theirs.model.embed_tokens
    modules = [getattr(b, {"attn": "attn" if name == "gpt2" else "self_attn"}.get(kind, kind)) for b in blocks]
    own, answer = {}, moved(name)
    taps = [
        m.register_forward_hook(lambda m, a, out, i=i: own.__setitem__(i, first(out).clone()))
        for i, m in enumerate(modules)
    ]
    theirs(ids)
    for tap in taps:
        tap.remove()
    noise = np.random.default_rng(found.seed).standard_normal((len(found.noisy), len(found.subject), model.cfg.d_model))
    values = []
    for one in noise:

        def noisy(module, args, out, one=one):
            out = out.clone()
            out[0, found.subject] += found.sd * torch.tensor(one)
            return out

        def back(i):
            def hook(module, args, out):
                value = first(out).clone()
                value[0, pos] = own[i][0, pos]
                return (value, *out[1:]) if isinstance(out, tuple) else value

            return hook

        handles = [embed.register_forward_hook(noisy), *(modules[i].register_forward_hook(back(i)) for i in layers)]
        values.append(float(theirs(ids).logits[0, -1].softmax(-1)[answer]))
        for handle in handles:
            handle.remove()
    return values


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize(("over", "kind"), [("mlp_out", "mlp"), ("attn_out", "attn")])
@torch.no_grad()
def test_parity_with_plain_hooks(name, over, kind):
    """A window of two layers around layer 1: layers 0 and 1."""
    found = trace(name, over=over, window=2)
    assert found.noisy == pytest.approx(plain(name, found, [], 0, kind), rel=1e-9)
    for pos in (3, 5):
        assert found.restored[:, 1, pos] == pytest.approx(plain(name, found, [0, 1], pos, kind), rel=1e-9)


def test_noise_is_measured_where_embeddings_enter_the_stream():
    """Scaled embeddings are measured scaled, and learned positions are none of it."""
    for name in ("llama", "gpt2", "gemma2"):
        model = tiny(name)
        own = float(model.W_E.std()) * (np.sqrt(model.cfg.d_model) if name == "gemma2" else 1.0)
        assert embedding_sd(model) == pytest.approx(own, rel=0.03)


def test_a_copying_head_is_seen_to_move_the_subject_in_layer_0():
    """Before layer 0 the subject's own place holds it, after it the last position, and nothing else does."""
    model, text = copying_model(), "Mary and John"
    ids = encode_prompt(model, text)
    at, n = len(ids) - 1, len(model.W_E)
    lost = int(np.random.default_rng(0).standard_normal(model.cfg.d_model)[:n].argmin())  # the noise takes most from it
    found = circuits.causal_tracing(model, text, subject="@2", target=lost, over="resid_pre", draws=1, noise=20.0)
    whole = found.total.mean
    assert found.indirect[0, 2] == pytest.approx(whole, rel=1e-4) and found.indirect[1, at] == pytest.approx(
        whole, rel=1e-4
    )
    others = found.indirect.copy()
    others[0, 2] = others[1, at] = 0.0
    assert np.abs(others).max() < 1e-6 * whole
    heads = circuits.causal_tracing(model, text, subject="@2", target=lost, over="attn_out", draws=1, noise=20.0)
    assert heads.indirect[0, at] == pytest.approx(whole, rel=1e-4) and abs(heads.indirect[1, at]) < 1e-6 * whole


def test_what_cannot_be_traced_is_refused():
    with pytest.raises(BadInput, match="nothing to give back"):
        trace("llama", noise=0.0)
    with pytest.raises(BadInput, match="A window of 99 layers"):
        trace("llama", window=99)
    with pytest.raises(BadInput, match="does not stand in the prompt"):
        trace("llama", subject="Paris")
    with pytest.raises(BadInput, match="resid_mid"):
        trace("gpt_neox", over="resid_mid")


def test_positions_are_named_by_words_or_numbers():
    model = tiny("llama")
    ids = encode_prompt(model, "Mary and John and Mary")
    assert decoded(model, [ids[i] for i in positions_of(model, ids, "John and")]).strip() == "John and"
    assert positions_of(model, ids, "@-1") == [len(ids) - 1] and positions_of(model, ids, "@2:4") == [2, 3]
    for wrong, said in (
        ("Mary", "more than once"),
        ("@99", "no position"),
        (" ", "named by the words"),
        ("@x", "no position"),
    ):
        with pytest.raises(BadInput, match=said):
            positions_of(model, ids, wrong)


def test_windows_and_the_plan():
    assert list(layers_around(1, 2, 3)) == [0, 1] and list(layers_around(5, 10, 48)) == list(range(10))
    assert list(layers_around(2, 5, 3)) == [0, 1, 2] and (a_fifth(48), a_fifth(30), a_fifth(2)) == (10, 6, 1)
    plan = plan_tracing(tiny("llama"), PROMPT, subject=SUBJECT, draws=2)
    n = len(encode_prompt(tiny("llama"), PROMPT))
    assert plan.runs == 2 * 3 * (n - 3) and plan.seconds > 0
    found = trace("llama")
    low, high = found.interval
    assert (low <= found.indirect + 1e-12).all() and (found.indirect <= high + 1e-12).all() and (low < high).any()
    assert found.rows(1)[0]["indirect effect"] == pytest.approx(found.indirect.max())
    assert found.figure(what="low").data[0].z.shape == found.computed.shape and "total effect" in found.summary()
