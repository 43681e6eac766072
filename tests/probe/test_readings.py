"""Lens, heads and top units against the model's own numbers and hand-made patterns."""

import numpy as np
import pytest
import torch
from tiny import tiny

from probe.errors import BadInput
from probe.heads.pattern_scores import head_metrics
from probe.heads.patterns import head_patterns
from probe.lens.logit import logit_lens, plan_lens
from probe.neurons.strongest import top_units
from probe.neurons.unit_writes import logit_effects

PROMPT = "The capital of France is"


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "llama", "olmo2"])
def test_the_last_lens_row_is_the_models_own_prediction(name):
    model = tiny(name, "float32")
    lens = logit_lens(model, PROMPT, top_k=3)
    real = model(torch.tensor([lens.token_ids]))[0].softmax(-1).topk(3, -1)
    np.testing.assert_allclose(lens.top_probs[-1], real.values, atol=1e-5)
    assert (lens.rank_of_final[-1] == 0).all() and np.abs(lens.kl[-1]).max() < 1e-5
    assert lens.layers == ["embed", "0", "1", "2"] and (lens.kl >= -1e-5).all()


def test_lens_by_a_second_computation(toy):
    lens = logit_lens(toy, PROMPT)
    tokens = torch.tensor([lens.token_ids])
    _, cache = toy.run_with_cache(tokens)
    p = toy.unembed(toy.ln_final(cache["blocks.1.hook_resid_post"]))[0].softmax(-1)
    np.testing.assert_allclose(lens.entropy[2], -(p * p.log()).sum(-1), atol=1e-4)
    assert lens.top_ids[2, :, 0].tolist() == p.argmax(-1).tolist()
    own = torch.nn.functional.cross_entropy(toy(tokens)[0, :-1], tokens[0, 1:], reduction="none")
    np.testing.assert_allclose(lens.loss[1:], own, atol=1e-5)
    assert np.isnan(lens.loss[0])


def test_lens_does_not_depend_on_its_chunks(toy, monkeypatch):
    import probe.lens.logit as module

    whole = logit_lens(toy, PROMPT)
    real = module._read
    monkeypatch.setattr(module, "_read", lambda m, r, k, p: (x for part in r.split(1, 1) for x in real(m, part, k, p)))
    parts = logit_lens(toy, PROMPT)
    np.testing.assert_allclose(whole.top_probs, parts.top_probs, atol=1e-6)
    assert (whole.rank_of_final == parts.rank_of_final).all()


def test_a_lens_reads_the_positions_that_are_asked_for_and_no_others(toy, monkeypatch):
    import probe.lens.logit as module

    whole = logit_lens(toy, PROMPT)
    n = len(whole.tokens)
    monkeypatch.setattr(module, "_CHUNK", 1)  # a position at a time
    real, seen = module._read, []
    monkeypatch.setattr(module, "_read", lambda m, r, k, p: (seen.append(r.shape), real(m, r, k, p))[1])
    part = logit_lens(toy, PROMPT, positions=[-1, 0, 2])
    assert seen[0][1] == 3 and part.positions == [n - 1, 0, 2] and part.tokens == whole.tokens
    for name in ("top_ids", "top_probs", "entropy", "kl", "rank_of_final", "resid_norm"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[:, part.positions], atol=1e-5)
    np.testing.assert_allclose(part.loss, whole.loss[part.positions], atol=1e-5)
    assert part.rows(2)[3]["prediction"] == whole.rows(2)[3]["prediction"]
    assert part.rows(-1)[3]["rank of final"] == whole.rows(-1)[3]["rank of final"]
    assert part.next_tokens(0)[0]["token"] == whole.next_tokens(0)[0]["token"]
    assert part._repr_html_() and part.figure() and part.summary()
    with pytest.raises(BadInput, match="Position 1 was not read"):
        part.rows(1)
    for outside in (n, -n - 1):
        with pytest.raises(BadInput, match=f"tokens 0 to {n - 1}; there is no position {outside}"):
            logit_lens(toy, PROMPT, positions=[outside])


def test_a_lens_says_what_it_takes_and_asks_for_memory_first(toy, monkeypatch, capsys):
    from app.cli import run

    all_of_it, one = plan_lens(toy, 400), plan_lens(toy, 400, 1)
    assert one.seconds < all_of_it.seconds and one.bytes < all_of_it.bytes
    assert run(["lens", "--model", "toy", "--prompt", PROMPT, "--position", "-1", "--dry-run"]) == 0
    assert "1 position" in capsys.readouterr().out
    monkeypatch.setattr("probe.memory.available", lambda *_: 1000)
    monkeypatch.setattr("probe.memory.SMALL", 0)
    with pytest.raises(BadInput, match="needs .* of memory"):
        logit_lens(toy, PROMPT)


def test_one_token_prompts_work(toy):
    lens = logit_lens(toy, "a")
    assert len(lens.tokens) == 2
    assert np.isnan(lens.loss[0]) and lens.loss[1] > 0
    assert head_patterns(toy, "a").patterns.shape[-1] == 2


@pytest.mark.parametrize(("prompt", "options", "words"), [("", {}, "empty"), ("a", {"top_k": 0}, "at least 1")])
def test_lens_refuses(toy, prompt, options, words):
    with pytest.raises(BadInput, match=words):
        logit_lens(toy, prompt, **options)


def pattern(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)[None, None]


def test_head_metrics_of_hand_made_patterns():
    ids = [7, 8, 9, 8]  # the last token repeats the second: an induction head looks at position 2
    before = pattern([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    found = {k: float(v[0, 0]) for k, v in head_metrics(before, ids).items()}
    assert found == pytest.approx({"entropy": 0, "first_token": 1 / 3, "previous_token": 1, "self": 0, "induction": 1})
    even = pattern([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 1, 0], [0.25, 0.25, 0.25, 0.25]])
    found = {k: float(v[0, 0]) for k, v in head_metrics(even, ids).items()}
    assert found["entropy"] == pytest.approx((np.log(2) + 0 + np.log(4)) / 3)
    assert found["self"] == pytest.approx((0.5 + 1 + 0.25) / 3) and found["induction"] == pytest.approx(0.25)
    assert np.isnan(head_metrics(before, [1, 2, 3, 4])["induction"]).all()


def test_patterns_too_large_for_the_memory_are_refused(toy, monkeypatch):
    monkeypatch.setattr("probe.heads.patterns.LARGEST", 4 * 16 * 5**2)
    with pytest.raises(BadInput, match="Shorten the prompt to 5 tokens"):
        head_patterns(toy, PROMPT)


def test_patterns_are_the_models_and_sum_to_one(toy):
    heads = head_patterns(toy, PROMPT)
    _, cache = toy.run_with_cache(torch.tensor([heads.token_ids]))
    np.testing.assert_allclose(heads.patterns[2], cache["blocks.2.attn.hook_pattern"][0], atol=1e-6)
    np.testing.assert_allclose(heads.patterns.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_top_units_are_the_strongest_writers(name):
    """The length of each unit's write where it reaches the stream: behind Gemma's post-norm, else behind W_out."""
    model = tiny(name, "float32")
    found = top_units(model, PROMPT, k=4)
    _, cache = model.run_with_cache(torch.tensor([found.token_ids]))
    size = {}
    for i in range(3):
        writes = cache[f"blocks.{i}.mlp.hook_post"][0, :, :, None] * model.blocks[i].mlp.W_out
        if name == "gemma2":
            scale = cache[f"blocks.{i}.ln2_post.hook_scale"][0, :, None]
            writes = writes / scale * (1 + model.blocks[i].ln2_post.weight)
        for (pos, unit), length in np.ndenumerate(writes.norm(dim=-1)):
            size[pos, i, unit] = length
    for pos in range(len(found.tokens)):
        best = sorted((key for key in size if key[0] == pos), key=size.get, reverse=True)[:4]
        assert [(pos, r.layer, r.unit) for r in found.at(pos)] == best


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "olmo2"])
def test_direct_effect_is_what_ablation_does_with_norms_frozen(name):
    """Removing a last-layer unit's write changes the likeliest logit by `direct`, post-norms and soft-caps included."""
    from probe import Freeze, Zero, capture, intervene, neuron
    from probe.model.sites import Site, hook_name

    model = tiny(name)
    found = top_units(model, PROMPT, k=12)
    row, tokens = next(r for r in found.at(-1) if r.layer == 2), torch.tensor([found.token_ids])
    sites = [s for s in (Site("final_scale"), Site("ln2_post_scale", 2)) if hook_name(s, model)]
    held = [Freeze(s, capture(model, tokens, [s])[s.name]) for s in sites]
    logits = capture(model, tokens, ["logits"])["unembed.hook_out"][0, -1]
    with intervene(model, [Zero(neuron(2, row.unit, pos=row.pos)), *held]):
        without = capture(model, tokens, ["logits"])["unembed.hook_out"][0, -1]
    moved = (logits - logits.mean() - (without - without.mean()))[int(logits.argmax())]
    assert row.direct == pytest.approx(float(moved), rel=1e-3)


def test_promoted_tokens_are_those_whose_logits_rise(toy):
    write = toy.W_U[:, 9] - toy.W_U.mean(1)
    weight = toy.ln_final.original_component.weight.detach()
    up, down = logit_effects(toy, (write / weight)[None], k=3)[0]
    effect = (toy.W_U.T @ write).topk(3).indices.tolist()
    from probe.text.tokens import display_tokens

    assert up == display_tokens(toy, effect) and not set(up) & set(down)


def test_records_draw_themselves_and_escape(toy):
    lens, heads, units = logit_lens(toy, "<b>&amp;"), head_patterns(toy, "<b>&amp;"), top_units(toy, "<b>&amp;")
    for figure in (lens.figure(), lens.figure(colour="rank"), heads.figure(0, 1)):
        texts = [t for trace in figure.data for row in (trace.text if trace.text is not None else []) for t in row]
        ticks = [*figure.layout.xaxis.ticktext, *figure.layout.yaxis.ticktext]
        assert not any("<b>" in t for t in [*texts, *ticks]) and any("&lt;" in t for t in ticks)
    for record in (lens, heads, units):
        html = record._repr_html_()
        assert "<table" in html and "<b>" not in html and "&amp;amp;" in html
