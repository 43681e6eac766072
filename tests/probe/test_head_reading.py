"""One head read from both ends, against hooks that run the head alone, brute force over the vocabulary, and transformer-lens."""

import json

import numpy as np
import pytest
import torch
from tiny import CONFIGS, tiny

from probe import Freeze, Patch, Zero, capture, head, intervene
from probe.errors import BadInput, OpenworkError
from probe.heads.first_chosen import first_head
from probe.heads.patterns import head_patterns
from probe.heads.reading import read_head
from probe.heads.scores import SCORES, head_table, picked
from probe.heads.weights import copying_scores, embedding_scale, logits_of, ov_directions, ov_writes, qk_scores
from probe.lens.direct import direct_logits
from probe.model.norms import norm_parts
from probe.model.sites import Site, hook_name, resid_pre
from probe.show.panels import Chosen
from probe.text.targets import Difference
from probe.words import figures

PROMPT = "The capital of France is"
LAYER, HEAD = (
    1,
    2,
)  # of the tiny models; where heads share, head 2 has the second key-value head (an interleaved order: the first)


def exact_logits(model, ids: list[int]) -> torch.Tensor:
    """Logits before any soft-cap, in float64 throughout: some models make their last norm in float32 whatever their weights."""
    found = capture(
        model, torch.tensor([ids]), [Site("resid_post", model.cfg.n_layers - 1), Site("final_scale")], stop=False
    )
    stream, scale = (found[s][0] for s in (f"blocks.{model.cfg.n_layers - 1}.hook_resid_post", "ln_final.hook_scale"))
    parts = norm_parts(model.ln_final, stream)
    return (parts.scaled(stream) / scale + parts.bias) @ model.W_U + model.b_U


@pytest.mark.parametrize("name", CONFIGS)
def test_heads_mlps_and_embedding_sum_to_the_logit(name):
    model = tiny(name)
    found = direct_logits(model, PROMPT)
    logits = exact_logits(model, found.token_ids)
    wanted = logits.gather(1, torch.tensor(found.targets)[:, None])[:, 0] - logits.mean(-1)
    post = name in ("gemma2", "gemma3", "olmo2")  # their post-norms are made in float32 whatever their weights
    np.testing.assert_allclose(found.total(), wanted, atol=1e-5 if post else 1e-9, rtol=0)
    np.testing.assert_allclose(found.logit, wanted, rtol=1e-5)
    assert found.targets == logits.argmax(-1).tolist()
    if name in ("gpt2", "gpt_neox", "opt"):
        assert found.gap < 1e-12


@pytest.mark.parametrize("name", CONFIGS)
def test_a_heads_share_is_what_its_absence_changes_with_norms_frozen(name):
    """The head is removed, everything between it and the logits held: each MLP's and later attention's write, each divisor."""
    model = tiny(name)
    found = direct_logits(model, PROMPT, target=11)
    tokens, n = torch.tensor([found.token_ids]), model.cfg.n_layers
    held = [Site(k, i) for i in range(n) for k in ("mlp_write", "ln1_post_scale")]
    held += [Site("attn_out", i) for i in range(LAYER + 1, n)] + [Site("final_scale")]
    sites = [s for s in held if hook_name(s, model)]
    values = capture(model, tokens, sites, stop=False)
    fixed = [Freeze(s, values[s.name].clone()) for s in sites]
    last = [Site("logits")]
    with intervene(model, fixed):
        whole = capture(model, tokens, last)["unembed.hook_out"][0]
    with intervene(model, [Zero(head(LAYER, HEAD)), *fixed]):
        without = capture(model, tokens, last)["unembed.hook_out"][0]
    moved = (whole - whole.mean(-1, keepdim=True) - without + without.mean(-1, keepdim=True))[:, 11]
    np.testing.assert_allclose(found.heads[LAYER, HEAD], moved, rtol=2e-3, atol=1e-6)
    assert np.abs(found.heads[LAYER, HEAD]).max() > 1e-3


def test_shares_are_those_of_transformer_lens():
    """Its direct_logit_attribution, on a model whose norms it has folded into the weights itself."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformer_lens.tools.analysis import direct_logit_attribution

    from probe.model.toy import toy_model

    ours, theirs = toy_model(), toy_model()
    assert isinstance(theirs, TransformerBridge)
    for model in (ours, theirs):  # it moves value biases out of the heads
        for name, weight in model.original_model.named_parameters():
            if name.endswith("bias"):
                weight.data.zero_()
    found = direct_logits(ours, PROMPT, target=17)
    theirs.enable_compatibility_mode()
    made = direct_logit_attribution(theirs, torch.tensor([found.token_ids]), answer_tokens=17, unit="head", pos=-1)
    shares = made.attribution.flatten()[:16].view(4, 4)
    np.testing.assert_allclose(found.heads[..., -1], shares.detach(), atol=2e-3)


def test_parts_that_do_not_sum_are_refused(toy, monkeypatch):
    import probe.lens.direct as module

    monkeypatch.setattr(module, "_constant", lambda model, targets, others: torch.full(targets.shape, 5.0))
    with pytest.raises(OpenworkError, match="do not sum"):
        direct_logits(toy, PROMPT)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_each_look_adds_sums_to_the_heads_share(name):
    model = tiny(name)
    found = read_head(model, PROMPT, LAYER, HEAD)
    np.testing.assert_allclose(found.by_key.sum(1), found.direct, atol=1e-12)
    assert (np.triu(found.by_key, 1) == 0).all() and found.received[0] > 0
    by_hand = [[found.pattern[q, s] for q in range(s, len(found.tokens))] for s in range(len(found.tokens))]
    np.testing.assert_allclose(found.received, [np.mean(x) for x in by_hand])


def alone(model, layer: int, token: int, kind: str) -> torch.Tensor:
    """What the layer's attention makes of a token's embedding that stands at position 0, where rotations are the identity."""
    embedding = embedding_scale(model) * model.W_E[token]
    with intervene(model, [Patch(resid_pre(layer), embedding)]):
        return capture(model, torch.tensor([[token]]), [Site(kind, layer)])[Site(kind, layer).name][0]


@pytest.mark.parametrize("name", CONFIGS)
def test_ov_is_the_head_run_on_one_embedding(name):
    model = tiny(name)
    written = ov_writes(model, LAYER, HEAD, [9, 40])
    for row, token in zip(written, (9, 40), strict=True):
        z = alone(model, LAYER, token, "z")[0, HEAD]  # one key: attention is 1
        np.testing.assert_allclose(row, z @ model.blocks[LAYER].attn.W_O[HEAD], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_qk_is_the_models_score_without_rotation(name):
    """Queries and keys of two tokens, each alone at position 0, caught by hooks."""
    model = tiny(name)
    scores = qk_scores(model, LAYER, HEAD, [9, 40])
    assert scores.shape == (2, model.cfg.d_vocab)
    rotary = name != "gpt_neox" and "blocks.1.attn.hook_rot_q" in model.hook_dict  # GPT-NeoX does not report them
    inner = model.blocks[LAYER].attn.original_component
    scale = getattr(inner, "scaling", model.blocks[LAYER].attn.W_Q.shape[-1] ** -0.5)
    q, k = (after_norm(model, token, side, rotary) for token, side in ((9, "q"), (40, "k")))
    wanted = scale * float(q[HEAD] @ k[HEAD // (len(q) // len(k))])
    cap = getattr(inner, "attn_logit_softcapping", None)
    wanted = cap * np.tanh(wanted / cap) if cap else wanted
    assert float(scores[0, 40]) == pytest.approx(wanted, rel=1e-4)


def after_norm(model, token: int, side: str, rotary: bool) -> torch.Tensor:
    """Query or key of an embedding at position 0, as it meets the other: by a hook behind norms and (there) idle rotation."""
    kept = {}
    name = f"blocks.{LAYER}.attn.hook_rot_{side}" if rotary else hook_name(Site(side, LAYER), model)
    embedding = embedding_scale(model) * model.W_E[token]
    with (
        intervene(model, [Patch(resid_pre(LAYER), embedding)]),
        model.hooks(fwd_hooks=[(name, lambda v, hook: kept.update(v=v))]),
    ):
        model(torch.tensor([[token]]))
    return kept["v"][0, 0]


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "olmo2"])
def test_copying_score_by_brute_force_over_the_vocabulary(name):
    """Eigenvalues of the whole (d_vocab, d_vocab) matrix, built token by token from embeddings to demeaned logits."""
    model = tiny(name)
    norm = getattr(model.blocks[LAYER], "ln1", None)
    reads = model.W_E if norm is None else norm_parts(norm, model.W_E).scaled(model.W_E)
    attn = model.blocks[LAYER].attn
    value = attn.W_V[HEAD // (len(attn.W_O) // len(attn.W_V))]
    roots = torch.linalg.eigvals(logits_of(model, LAYER, reads @ value @ attn.W_O[HEAD]))
    wanted = float(roots.real.sum() / roots.abs().sum())
    assert float(copying_scores(model)[LAYER, HEAD]) == pytest.approx(wanted, abs=1e-4)
    assert float(copying_scores(model).abs().max()) <= 1


def test_a_head_that_copies_by_construction_scores_one(toy):
    """OV is made the identity on a few dimensions that W_U reads back as W_E wrote them."""
    from probe.model.toy import native

    model = native(0, n_layers=1, d_model=16, n_heads=1, d_head=16, d_vocab=16, normalization_type=None)
    with torch.no_grad():
        model.W_E.copy_(torch.eye(16))
        model.W_U.copy_(torch.eye(16))
        model.blocks[0].attn.W_V.copy_(torch.eye(16)[None])
        model.blocks[0].attn.W_O.copy_(torch.eye(16)[None])
        assert float(copying_scores(model)[0, 0]) == pytest.approx(1, abs=1e-6)
        model.blocks[0].attn.W_O.copy_(-torch.eye(16)[None])
        assert float(copying_scores(model)[0, 0]) == pytest.approx(-1, abs=1e-6)


def test_directions_are_singular_vectors_of_the_whole_map():
    model = tiny("llama")
    reads = ov_writes(model, LAYER, HEAD, list(range(model.cfg.d_vocab)))
    bias = model.blocks[LAYER].attn.b_V[HEAD // 2] @ model.blocks[LAYER].attn.W_O[HEAD]
    U, S, Vh = torch.linalg.svd(logits_of(model, LAYER, reads - bias))
    share, into, out = ov_directions(model, LAYER, HEAD, 2)
    np.testing.assert_allclose(share, (S**2 / (S**2).sum())[:2], rtol=1e-4)
    for i in range(2):
        assert abs(float(into[i] @ U[:, i])) == pytest.approx(1, abs=1e-4)
        assert abs(float(out[i] @ Vh[i])) == pytest.approx(1, abs=1e-4)
        assert float(into[i] @ U[:, i]) * float(out[i] @ Vh[i]) > 0


def test_top_tokens_are_those_whose_demeaned_logits_move_most(toy):
    found = read_head(toy, PROMPT, 1, 2, k=4)
    token = found.token_ids[2]
    effect = logits_of(toy, 1, ov_writes(toy, 1, 2, [token]))[0]
    assert found.by_embedding[token].up_ids == effect.topk(4).indices.tolist()
    assert found.by_embedding[token].down_ids == effect.topk(4, largest=False).indices.tolist()
    assert found.qk[token].up_ids == qk_scores(toy, 1, 2, [token])[0].topk(4).indices.tolist()
    assert abs(float(effect.mean())) < 1e-4


def test_the_table_puts_the_scores_together(toy):
    found = head_table(toy, PROMPT, pos=2, target=9)
    assert set(found.scores) == set(SCORES)
    direct = direct_logits(toy, PROMPT, 9)
    np.testing.assert_allclose(found.scores["direct"], direct.heads[..., 2])
    assert list(found.rows("direct", 1)[0]) == [
        *("head", "direct effect at 2", "write at 2", "entropy, mean", "first token, mean", "previous token, mean"),
        *("itself, mean", "induction, mean", "copying, by weights"),
    ]
    sizes = [abs(r["direct effect at 2"]) for r in found.rows("direct", None)]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 16
    assert found.target == direct.target_tokens[2]


def test_what_is_told_follows_the_query_and_the_key(toy):
    found = read_head(toy, PROMPT, 1, 2)
    sentence, looked, _, of_key = found.told()[0].at({"token": 2})
    assert sentence.text == found.adds(2) and looked.rows == found.attended(2, 12)
    assert [row["source"] for row in looked.picks] == [row["position"] for row in looked.rows]
    assert of_key.places({"source": 1}) == {"source": 1}
    assert of_key.places({"source": 5}) == {"source": int(found.pattern[2, :3].argmax())}  # what lies ahead is not seen
    here, alone = of_key.at({"source": 1})
    reach = float(found.pattern[2, 1] * found.reach[2])
    assert here.rows[0]["promotes, by"] == pytest.approx(found.in_prompt[1].up_scores[0] * reach)
    assert alone.rows[0]["promotes"] == found.by_embedding[found.token_ids[1]].up[0]


def test_where_any_head_looks_follows_head_query_and_key(toy):
    found = head_patterns(toy, PROMPT)
    back = found.metrics["previous_token"]
    assert back[first_head(found.metrics)] == back.max()
    (chosen,) = [p for p in found.panels() if isinstance(p, Chosen)]
    said, figure, looks = chosen.at({"head": "2.1"})
    assert said.text.startswith("L2H1 pays") and figure.axes == ("source", "token")
    keys, of_key = looks.at({"token": 3})
    (queries,) = of_key.at({"source": 1})
    pattern = found.patterns[2, 1]
    np.testing.assert_allclose(keys.values, pattern[3])
    np.testing.assert_allclose(queries.values, pattern[:, 1])
    np.testing.assert_allclose(keys.others[2], pattern[2])
    np.testing.assert_allclose(queries.others[2], pattern[:, 2])


def test_the_table_of_another_token_is_that_of_its_own_call(toy):
    found, other = head_table(toy, PROMPT, pos=2), head_table(toy, PROMPT, pos=4)
    for name, values in found.at(4).scores.items():
        np.testing.assert_allclose(values, other.scores[name], rtol=1e-5)
    grid, heads, parts = found.panels()[0].at({"token": 4})
    assert found.at(4).target == other.target and len(heads.rows) == 16 and set(grid.choices["metric"]) == set(SCORES)
    adds = [row["adds to the logit"] for row in parts.rows]
    assert adds[-1] == pytest.approx(sum(adds[:-1]), abs=1e-4) and parts.sums == 3
    assert parts.picks[-1] == {} and all(p == picked(r["head"]) for p, r in zip(heads.picks, heads.rows, strict=True))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: read_head(m, PROMPT, 9, 0), "this model has layers 0 to 3"),
        (lambda m: read_head(m, PROMPT, 0, 4), "heads 0 to 3"),
        (lambda m: read_head(m, PROMPT, 0, 0, k=0), "at least|between 1"),
        (lambda m: direct_logits(m, PROMPT, 10**6), "no token"),
        (lambda m: head_table(m, PROMPT, pos=99), "no position 99"),
        (lambda m: head_table(m, PROMPT).rows("mood"), "no score 'mood'"),
        (lambda m: read_head(m, "", 0, 0), "empty"),
    ],
)
def test_refusals(toy, call, words):
    with pytest.raises(BadInput, match=words):
        call(toy)


def test_records_are_json_and_escape(toy):
    for record in (read_head(toy, "<b>&amp;", 0, 1), head_table(toy, "<b>&amp;"), direct_logits(toy, "<b>&amp;")):
        json.dumps(record.to_dict(), allow_nan=False)
        html = record._repr_html_()
        assert "<table" in html and "<b>" not in html
        text = record.figure().to_json()
        assert "<b>\\u0026" not in text and "<b>&" not in text


def test_a_head_is_taken_away_by_zero_or_by_its_mean(toy):
    from probe.heads.reading import ablate_head

    tokens = torch.tensor([read_head(toy, PROMPT, 1, 2).token_ids])
    site = Site("z", 1)
    before = capture(toy, tokens, [site])[site.name]
    for how, wanted in (("zero", torch.zeros_like(before[0, :, 2])), ("mean", before[:, :, 2].mean(1).expand(6, -1))):
        with intervene(toy, ablate_head(toy, PROMPT, 1, 2, how)):
            after = capture(toy, tokens, [site])[site.name]
        np.testing.assert_allclose(after[0, :, 2], wanted[: after.shape[1]], atol=1e-6)
        assert torch.equal(after[0, :, 1], before[0, :, 1])
    with intervene(toy, ablate_head(toy, PROMPT, 1, 2, "zero", pos=2)):
        after = capture(toy, tokens, [site])[site.name]
    assert not after[0, 2, 2].any() and torch.equal(after[0, 3], before[0, 3])
    with pytest.raises(BadInput, match="not by 'noise'"):
        ablate_head(toy, PROMPT, 1, 2, "noise")


def test_one_token_prompts_work(toy):
    found = read_head(toy, "a", 0, 0)
    assert found.pattern.shape == (2, 2) and len(found.attended()) == 2


def test_a_difference_is_not_said_to_lie_above_the_mean(toy):
    """What is split of two tokens is their difference; of one, its distance from the mean logit, on the side where it is."""
    two = direct_logits(toy, PROMPT, Difference(" to", " the"))
    gap = figures(float(two.logit[-1]))
    assert f"({gap}) after" in two.summary() and "mean" not in two.summary()
    told = read_head(toy, PROMPT, "L1H2", target=Difference(" to", " the")).adds(-1)
    assert f", which is {gap}; copying" in told
    ids = exact_logits(toy, two.token_ids)[-1].sort().indices[[0, -1]].tolist()
    for token, side in zip(ids, ("below", "above"), strict=True):
        one = direct_logits(toy, PROMPT, token)
        assert f"({figures(abs(float(one.logit[-1])))} {side} the mean logit)" in one.summary()
