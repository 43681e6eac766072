"""Activation patching against known answers, against passes that run everything, and against transformer-lens's own sweeps."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny import CONFIGS, tiny
from transformer_lens import patching as theirs

import circuits
import probe
from circuits.patching.control import control_ids
from circuits.patching.kinds import DIRECTIONS, KINDS, METRICS
from circuits.patching.sides import Pair, Side
from probe.errors import BadInput, OpenworkError, Unavailable
from probe.interventions.places import Place
from probe.interventions.running import intervene
from probe.interventions.values import Function, Patch
from probe.methods.catalogue import method_named
from probe.model.sites import Site, hook_name
from probe.model.toy import native, toy_tokenizer
from probe.show.grid import levels, picture_url, png
from probe.show.html import shown
from probe.show.panels import Rows
from probe.tasks.examples import EXAMPLES
from probe.text.tokens import encode_prompt

CLEAN, CORRUPTED = "Mary and John went to Rome", "Mary and Mary went to Rome"
ANSWERS = (70, 75)
ARCHITECTURES = list(CONFIGS)


def sweep(name: str, over: str, **options):
    return circuits.patch_sweep(tiny(name), CLEAN, CORRUPTED, over=over, **{"answers": ANSWERS, **options})


def one_by_one(model, over: str, cells, *, donor: list[int], base: list[int]) -> np.ndarray:
    """The logit difference with each cell patched, each in a whole pass of its own through `intervene`."""
    kind = KINDS[over]
    tokens = torch.tensor([base])
    found = []
    for cell in cells:
        at = dict(zip(kind.axes, cell, strict=True))
        site = Site(kind.site, at["layer"])
        name = str(hook_name(site, model))
        held = model.run_with_cache(torch.tensor([donor]), names_filter=[name])[1][name]
        given = held.view(1, len(base), *held.shape[-(2 if kind.site == "z" else 1) :])

        def put(value, given=given, at=at):
            out = value.clone()
            pos = at.get("pos", slice(None))
            index = (0, pos, at["head"]) if "head" in at else (0, pos)
            out[index] = given[index].to(out)
            return out

        with torch.no_grad(), intervene(model, [Function(Place(site), put)]):
            logits = model(tokens)[0, -1].double()
        found.append(float(logits[ANSWERS[0]] - logits[ANSWERS[1]]))
    return np.array(found)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("over", ["resid_pre", "attn_out", "mlp_out", "heads", "head_z_by_pos"])
def test_batched_sweeps_equal_whole_passes_one_by_one(name, over):
    """Rows that start at the patched layer and share a batch give what separate passes through the whole model give."""
    found = sweep(name, over, exact=True, batch=7)
    rng = np.random.default_rng(0)
    every = list(np.ndindex(*found.raw.shape))
    cells = [tuple(int(i) for i in every[k]) for k in rng.permutation(len(every))[:6]]
    pair = found.pair
    alone = one_by_one(tiny(name), over, cells, donor=pair.clean.token_ids, base=pair.corrupted.token_ids)
    assert np.allclose([found.raw[c] for c in cells], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize(
    ("over", "function"),
    [
        ("resid_pre", theirs.get_act_patch_resid_pre),
        ("attn_out", theirs.get_act_patch_attn_out),
        ("mlp_out", theirs.get_act_patch_mlp_out),
        ("heads", theirs.get_act_patch_attn_head_out_all_pos),
        ("head_q", theirs.get_act_patch_attn_head_q_all_pos),
        ("head_k", theirs.get_act_patch_attn_head_k_all_pos),
        ("head_v", theirs.get_act_patch_attn_head_v_all_pos),
        ("head_pattern", theirs.get_act_patch_attn_head_pattern_all_pos),
    ],
)
def test_parity_with_transformer_lens(over, function, direction):
    model = tiny("llama")
    found = sweep("llama", over, direction=direction)
    pair = found.pair
    donor, base = (pair.clean, pair.corrupted) if direction == "denoise" else (pair.corrupted, pair.clean)
    _, cache = model.run_with_cache(torch.tensor([donor.token_ids]))
    right, wrong = pair.answer_ids
    other = function(model, torch.tensor([base.token_ids]), cache, lambda x: x[0, -1, right] - x[0, -1, wrong])
    assert np.allclose(found.raw, other.double().numpy(), atol=1e-5)  # theirs is kept in float32
    assert np.abs(found.effect).max() > 1e-3


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_whole_stream_restores_the_clean_run_and_nothing_restores_nothing(name):
    """The last position of the last stream is all the prediction depends on; the metric there is the clean run's, exactly 1."""
    for direction, whole, untouched in (("denoise", 1.0, 0.0), ("noise", 0.0, 1.0)):
        found = sweep(name, "resid_post", exact=True, direction=direction)
        assert found.values[-1, -1] == pytest.approx(whole, abs=1e-9)
        assert found.values[-1, :-1] == pytest.approx(np.full(found.values.shape[1] - 1, untouched), abs=1e-9)
        assert found.effect[-1, -1] == pytest.approx(whole - untouched, abs=1e-9)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_positions_before_the_first_difference_change_nothing(name):
    for over in ("resid_pre", "mlp_out", "head_z_by_pos"):
        full, quick = sweep(name, over, exact=True), sweep(name, over)
        first = full.pair.differs[0]
        assert first >= 2 and not quick.computed[..., :first].any() and quick.computed[..., first:].all()
        assert np.abs(full.effect[..., :first]).max() < 1e-9
        assert np.allclose(full.raw, quick.raw, atol=1e-9)
        assert np.allclose(full.top_probs, quick.top_probs, atol=1e-9) and (full.top_ids == quick.top_ids).all()


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "gpt_neox"])
def test_the_stream_between_attention_and_mlp_is_really_replaced(name):
    """Where one token differs, the last layer's resid_mid at the last position fixes the prediction; others say nothing."""
    found = sweep(name, "resid_mid", exact=True)
    assert found.values[-1, -1] == pytest.approx(1.0, abs=1e-8)
    assert np.abs(found.effect[-1, :-1]).max() < 1e-8


def test_parallel_blocks_have_no_stream_in_between():
    with pytest.raises(BadInput, match="resid_mid"):
        sweep("gpt_neox", "resid_mid")


def test_patterns_that_come_too_late_are_refused():
    with pytest.raises(OpenworkError, match="cannot be patched"):
        sweep("opt", "head_pattern")


@pytest.mark.parametrize("over", ["heads", "resid_mid", "head_pattern_by_pos"])
def test_batch_size_changes_nothing(over):
    one, seven, all_ = (sweep("gemma2", over, batch=b) for b in (1, 7, 1000))
    for other in (seven, all_):
        assert np.allclose(one.raw, other.raw, rtol=1e-12, atol=1e-12)
        assert np.allclose(one.answer_probs, other.answer_probs, atol=1e-12)


@cache
def plain_model():
    """No norms: what the last MLP writes reaches the logits linearly."""
    tokenizer = toy_tokenizer()
    model = native(3, tokenizer, scale=2.0, n_layers=2, d_vocab=len(tokenizer), normalization_type=None)
    return model.to(torch.float64)


def test_noising_is_minus_denoising_where_all_is_linear():
    """m is linear in the last MLP's output and in the last stream: restoring a piece and breaking it are opposite."""
    for over in ("mlp_out", "resid_post"):
        there, back = (
            circuits.patch_sweep(plain_model(), CLEAN, CORRUPTED, answers=ANSWERS, over=over, direction=d)
            for d in ("denoise", "noise")
        )
        assert there.effect[-1] == pytest.approx(-back.effect[-1], abs=1e-9)
    earlier = [
        circuits.patch_sweep(plain_model(), CLEAN, CORRUPTED, answers=ANSWERS, over="mlp_out", direction=d).effect[0]
        for d in ("denoise", "noise")
    ]
    assert np.abs(earlier[0] + earlier[1]).max() > 1e-6  # below a nonlinearity the two are different questions


def copying_model(n: int = 0):
    """Hand-wired, no norm, no MLP: head 2 of layer 0 looks at all tokens alike and adds their own directions, which the
    unembedding reads; the other heads and layer 1 write nothing."""
    n = n or len(toy_tokenizer())
    model = native(
        0, toy_tokenizer(), n_layers=2, d_model=2 * n, n_heads=4, d_head=n, d_mlp=4, d_vocab=n, normalization_type=None
    )
    with torch.no_grad():
        for weight in model.original_model.parameters():
            weight.zero_()
        eye, none = torch.eye(n), torch.zeros(n, n)
        model.W_E.copy_(torch.cat([eye, none], 1))
        model.W_U.copy_(torch.cat([none, eye], 0))
        attention = model.blocks[0].attn
        attention.W_V[2].copy_(torch.cat([eye, none], 0))
        attention.W_O[2].copy_(torch.cat([none, eye], 1))
    return model


def test_the_one_head_that_does_it_is_found():
    """The pattern is uniform, so the head copies 1/n of each token: the whole effect is in this head and no other."""
    model, texts = copying_model(), ("Mary and John", "Mary and Rome")
    ids = [encode_prompt(model, text) for text in texts]
    at = next(i for i, (a, b) in enumerate(zip(*ids, strict=True)) if a != b)
    answers = (ids[0][at], ids[1][at])
    found = circuits.patch_sweep(model, *texts, answers=answers, over="heads")
    share = 1 / len(ids[0])  # of the attention, on the token that differs
    assert (found.pair.clean.value, found.pair.corrupted.value) == pytest.approx((share, -share), abs=1e-5)
    expected = np.zeros((2, 4))
    expected[0, 2] = 1
    assert found.values == pytest.approx(expected, abs=1e-5)
    assert found.rows()[0]["name"] == "L0H2"
    broken = circuits.patch_sweep(model, *texts, answers=answers, over="heads", direction="noise")
    assert broken.effect == pytest.approx(-expected, abs=1e-5)


def test_metrics_are_normalised_between_the_runs():
    for metric in ("logit_diff", "log_prob", "kl"):
        found = sweep("llama", "resid_post", metric=metric)
        assert found.values[-1, -1] == pytest.approx(1.0, abs=1e-8)
        assert found.normalised(found.pair.corrupted.value) == 0
    assert sweep("llama", "resid_pre", metric="kl").pair.clean.value == pytest.approx(0.0, abs=1e-12)
    twice = sweep("llama", "heads", metric=lambda logits: 2 * (logits[:, ANSWERS[0]] - logits[:, ANSWERS[1]]))
    once = sweep("llama", "heads")
    assert twice.raw == pytest.approx(2 * once.raw) and twice.values == pytest.approx(once.values)


def test_the_divergence_is_from_the_clean_prediction():
    model, found = tiny("llama"), sweep("llama", "heads", metric="kl")
    with torch.no_grad():
        clean, corrupted = (model(torch.tensor([encode_prompt(model, t)]))[0, -1].double() for t in (CLEAN, CORRUPTED))
    p, q = clean.softmax(-1), corrupted.softmax(-1)
    wanted, other = float((p * (p / q).log()).sum()), float((q * (q / p).log()).sum())
    assert abs(wanted / other - 1) > 1e-3  # else this could not tell one direction from the other
    assert found.pair.corrupted.value == pytest.approx(wanted, rel=1e-6)


def test_log_prob_is_the_log_of_the_kept_probability():
    found = sweep("gpt2", "heads", metric="log_prob")
    assert np.exp(found.raw) == pytest.approx(found.answer_probs[..., 0], rel=1e-9)
    assert found.pair.answers == [found.pair.answers[0]]


def test_answers_by_default_are_what_each_run_says():
    pair = circuits.read_pair(tiny("qwen3"), CLEAN, CORRUPTED)
    assert [pair.clean.top[0][0], pair.corrupted.top[0][0]] == pair.answers or pair.problem
    assert not pair.answers_given


def test_controls_have_an_error_bar_and_no_part_in_the_result():
    plain, with_control = sweep("llama", "heads"), sweep("llama", "heads", control=4, seed=1)
    assert np.array_equal(plain.raw, with_control.raw) or np.allclose(plain.raw, with_control.raw)
    assert with_control.control.raw.shape == (4, 3, 4)
    assert (with_control.control_spread > 0).any() and np.isfinite(with_control.control_effect).all()
    again = sweep("llama", "heads", control=4, seed=1)
    assert np.array_equal(with_control.control.raw, again.control.raw)
    row = with_control.rows()[0]
    cell = (row["layer"], row["head"])
    drawn = with_control.normalised(with_control.control.raw[(slice(None), *cell)])
    assert row["control"] == pytest.approx(drawn.mean()) and row["control sd"] == pytest.approx(drawn.std(ddof=1))


def test_no_control_is_the_real_donor_again():
    donor, base = (Side("x", ids, [], [], [], 0.0) for ids in ([1, 5, 6, 7, 5], [1, 5, 6, 8, 5]))
    drawn = [tuple(ids) for ids in control_ids(tiny("llama"), donor, base, 200, 0)]
    # 7 and 8 are what the prompts are about; elsewhere another shared word than the donor's own stands
    assert set(drawn) == {(1, 6, 5, 5, 6), (1, 6, 5, 6, 6)} and 60 < drawn.count((1, 6, 5, 5, 6)) < 140
    with pytest.raises(BadInput, match="Give control prompts"):
        control_ids(tiny("llama"), *(replace(donor, token_ids=ids) for ids in ([1, 7], [1, 8])), 1, 0)


def test_a_control_never_holds_what_the_question_is_about():
    """Also where a prompt repeats the word elsewhere, and where prompts without BOS differ in their first token."""
    donor, base = (Side("x", ids, [], [], [], 0.0) for ids in ([7, 5, 6, 7, 9], [8, 5, 6, 8, 9]))
    drawn = control_ids(tiny("llama"), donor, base, 50, 0)
    assert all({7, 8}.isdisjoint(ids) and len(ids) == 5 for ids in drawn)


def test_a_control_donor_equal_to_the_real_one_gives_the_real_effect():
    found = sweep("llama", "heads", control=[CLEAN])
    assert found.control_effect == pytest.approx(found.effect, abs=1e-9) and np.isnan(found.control_spread).all()
    with pytest.raises(BadInput, match="tokens and the others"):
        sweep("llama", "heads", control=["one"])


@pytest.mark.parametrize(
    ("clean", "corrupted", "options", "said"),
    [
        (CLEAN, CLEAN, {}, "nothing to patch"),
        (CLEAN, CLEAN + " and on", {}, "tokens and the corrupted one"),
        (CLEAN, CORRUPTED, {"answers": (70, 70)}, "Both answers are"),
        (CLEAN, CORRUPTED, {"answers": (70,)}, "needs two answers"),
        (CLEAN, CORRUPTED, {"answers": ("photosynthesis", 70)}, "is .* tokens"),
        (CLEAN, CORRUPTED, {"answers": ("", 70)}, "empty"),
        (CLEAN, CORRUPTED, {"answers": (9999, 70)}, "no token 9999"),
        (CLEAN, CORRUPTED, {"metric": "accuracy", "answers": None}, "metric is 'accuracy'; one of"),
        (CLEAN, CORRUPTED, {"metric": lambda logits: logits[:, 0] * 0}, "no difference to restore"),
        (CLEAN, CORRUPTED, {"over": "everything", "answers": None}, "over is 'everything'; one of"),
        (CLEAN, CORRUPTED, {"direction": "sideways", "answers": None}, "direction is 'sideways'; one of"),
        ("", CORRUPTED, {}, "empty"),
    ],
)
def test_what_cannot_be_patched_says_why(clean, corrupted, options, said):
    with pytest.raises(BadInput, match=said):
        circuits.patch_sweep(tiny("llama"), clean, corrupted, **{"answers": ANSWERS, **options})


def test_unequal_lengths_name_the_place():
    pair = circuits.read_pair(tiny("llama"), "Mary went to Rome", "Mary drank to Rome", answers=ANSWERS)
    n, m = len(pair.clean.tokens), len(pair.corrupted.tokens)
    assert n != m and f"{n} tokens and the corrupted one {m}" in pair.problem
    assert f"position {pair.differs[0]}: {pair.clean.tokens[pair.differs[0]]!r}" in pair.problem


def test_equal_runs_are_refused():
    """No attention and no positions: the last token alone decides, and it is the same."""
    model = native(
        0, toy_tokenizer(), n_layers=1, d_model=16, n_heads=1, d_head=4, d_mlp=4, d_vocab=len(toy_tokenizer())
    )
    with torch.no_grad():
        model.blocks[0].attn.W_O.zero_()
    with pytest.raises(BadInput, match="predict exactly the same"):
        circuits.patch_sweep(model, "Mary went to Rome", "John went to Rome", answers=ANSWERS)


def test_plan_bounds_the_memory():
    model = tiny("llama")
    pair = circuits.read_pair(model, CLEAN, CORRUPTED, answers=ANSWERS)
    wide = circuits.plan_patching(model, pair, "head_z_by_pos")
    tight = circuits.plan_patching(model, pair, "head_z_by_pos", memory=1)
    assert tight.batch == 1 and tight.passes == tight.run == wide.run > wide.passes
    assert tight.bytes < wide.bytes and wide.cells == 3 * 4 * len(pair.clean.tokens)
    assert (
        circuits.plan_patching(model, pair, "heads", control=3).passes
        == 4 * circuits.plan_patching(model, pair, "heads").passes
    )


def test_record_is_stored_and_loaded(home):
    found = sweep("llama", "head_z_by_pos", control=2)
    folder = circuits.save_patching(found, "one")
    again = circuits.load_patching("one")
    assert isinstance(again.pair, Pair) and again.pair == found.pair and again.words == found.words
    for name in ("raw", "answer_probs", "top_ids", "top_probs", "computed", "values", "control_effect"):
        assert np.array_equal(getattr(again, name), getattr(found, name), equal_nan=True), name
    assert str(again.rows(5)) == str(found.rows(5))  # as text: what was not run has no control
    with pytest.raises(BadInput, match="exists already"):
        circuits.save_patching(found, "one")
    (folder / "report.json").write_text("{")
    with pytest.raises(Unavailable, match="damaged"):
        circuits.load_patching("one")


def test_rows_figure_and_dict():
    import json

    found = sweep("llama", "head_z_by_pos")
    rows = found.rows()
    sizes = [abs(r["effect"]) for r in rows]
    assert len(rows) == found.raw.size and all(a >= b for a, b in pairwise(sizes))
    figure = found.figure()
    assert np.array(figure.data[0].z).shape == (3 * 4, found.raw.shape[-1])
    assert figure.data[0].zmin == -figure.data[0].zmax and figure.data[0].zmid == 0
    json.dumps(found.to_dict(), allow_nan=False)
    assert "L0H0" in str(figure.data[0].customdata) and "<table" in found._repr_html_()
    with pytest.raises(BadInput, match="no cell"):
        found.candidates((0, 0, 99))


@pytest.mark.model
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_examples_fit_the_default_model_and_it_answers_them(default_model, example):
    """Equal token counts, answers of one token, and each run prefers its own."""
    pair = circuits.read_pair(default_model, example.clean, example.corrupted, answers=(example.right, example.wrong))
    assert not pair.problem and not pair.note
    assert pair.clean.value > 0 > pair.corrupted.value


def test_direction_of_the_base_is_what_is_shown():
    assert sweep("llama", "heads").base.prompt == CORRUPTED
    assert sweep("llama", "heads", direction="noise").base.prompt == CLEAN
    assert len({e.name for e in EXAMPLES}) == len(EXAMPLES)


def test_no_other_models_patterns_stand_beside_a_stored_sweep(home, tmp_path):
    from app.pages.patching.callbacks import patterns_fit, sweep_of
    from app.pages.patching.page import _stored

    found = sweep("llama", "heads")
    for name, fits in (("toy", True), (str(tmp_path / "gone"), False)):  # a folder that is no longer there
        pair = replace(found.pair, model=replace(found.pair.model, name=name))
        stored = f"of-{fits}"
        circuits.save_patching(replace(found, pair=pair), stored)
        key = _stored(stored)[1]
        assert (key is not None) is fits and patterns_fit(sweep_of(key or stored)) is fits


def test_one_patch_says_what_it_does_and_what_is_predicted_then():
    found = sweep("llama", "head_z_by_pos", control=3, seed=1)
    cell = found.order()[0]
    look, row = found.look(cell), found.cell(cell)
    assert look.effect == pytest.approx(row["effect"], rel=1e-5) and look.raw == row["logit_diff"]
    assert (look.control, look.control_sd, look.donors) == (row["control"], row["control sd"], 3)
    likely = {one["token"]: one for one in look.predicted}
    assert likely[found.candidates(cell)[0].token]["patched"] == max(one["patched"] for one in look.predicted)
    for i, token in enumerate(found.pair.answers):  # in all three runs
        sides = [found.answer_probs[cell][i], found.pair.clean.answer_probs[i], found.pair.corrupted.answer_probs[i]]
        assert [likely[token][name] for name in ("patched", "clean", "corrupted")] == pytest.approx(sides)
    before = next(c for c in found.order() if not found.computed[c])
    assert "so not run" in found.look(before).summary() and found.look(before).effect == 0
    strongest = next(p for p in found.panels(3) if isinstance(p, Rows) and p.title.startswith("Strongest"))
    assert found.chosen(strongest.picks[1]) == found.order()[1] and found.chosen({}) == found.order()[0]
    assert strongest.rows[0]["patch"] == f"L{cell[0]}H{cell[1]} @{cell[2]}" and len(strongest.rows) == 3


def test_what_is_offered_is_what_there_is():
    about = method_named("patch")
    assert list(about.parameter("over").kind.options) == list(KINDS)
    assert set(about.parameter("direction").kind.options) == set(DIRECTIONS)
    assert set(about.parameter("metric").kind.options) == set(METRICS)


def test_a_picture_keeps_the_sign_and_names_both_prompts_tokens():
    found = sweep("llama", "resid_pre")
    p = found.pair.differs[0]
    clean, corrupted = found.pair.clean.tokens[p], found.pair.corrupted.tokens[p]
    assert found.tokens_at(p) == (clean, corrupted) and len(found.tokens_at(0)) == 1
    axis = found.figure().layout.xaxis
    assert axis.ticktext[p] == f"{shown(clean)} / {shown(corrupted)}" and "clean / corrupted" in axis.title.text
    side = np.arange(found.raw.size).reshape(found.raw.shape) % 2
    both = replace(found, raw=np.where(side, found.raw.max() + 1, found.raw.min() - 1))
    assert both.effect.min() < 0 < both.effect.max()
    pixels = levels(both.effect, -np.abs(both.effect).max(), np.abs(both.effect).max())
    assert picture_url(pixels[::-1], signed=True) in both._repr_html_()  # not the sizes alone
    assert f"{shown(clean)}/{shown(corrupted)}" in both._repr_html_()
    zero = np.frombuffer(
        png(np.full((1, 1), 127, np.uint8), signed=True).split(b"PLTE")[1][: 255 * 3], np.uint8
    ).reshape(-1, 3)
    assert zero[127].tolist() == [247] * 3 and zero[0, 0] > zero[0, 2] and zero[254, 2] > zero[254, 0]


def test_no_two_columns_are_the_same():
    frame = sweep("llama", "resid_pre").to_pandas().select_dtypes("number")
    names = list(frame.columns)
    assert not [(a, b) for i, a in enumerate(names) for b in names[:i] if frame[a].equals(frame[b])]


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_neurons_of_a_layer_are_patched_one_by_one(name):
    """Each neuron alone, as `intervene` does it; layers that nobody asked for are unknown and nowhere told."""
    found = sweep(name, "neurons", layers=1, batch=20)
    model = tiny(name)
    donor, base = (torch.tensor([side.token_ids]) for side in (found.pair.clean, found.pair.corrupted))
    held = probe.capture(model, donor, "mlp_post.1")["mlp_post.1"]
    assert found.raw.shape == (3, held.shape[-1]) and np.isnan(found.raw[[0, 2]]).all()
    for unit in (0, 7, 31):
        with torch.no_grad(), intervene(model, [Patch(f"L1N{unit}", held[..., unit])]):
            logits = model(base)[0, -1].double()
        assert found.raw[1, unit] == pytest.approx(float(logits[ANSWERS[0]] - logits[ANSWERS[1]]), rel=1e-9)
    assert len(found.rows()) == held.shape[-1] and found.name((1, 7)) == "L1N7"
    assert found.figure().data[0].z.shape == found.raw.shape and found.look((1, 7)).name == "L1N7"
    with pytest.raises(BadInput, match="no layer 9"):
        sweep(name, "neurons", layers=9)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_positions_are_patched_together(direction):
    """Three from each on: as wide as the prompt from its start on, the first layer's stream is the whole other run."""
    n = len(sweep("llama", "resid_pre").pair.clean.tokens)
    whole = sweep("llama", "resid_pre", positions=n, direction=direction)
    assert whole.values[:, 0] == pytest.approx(np.full(3, 1.0 if direction == "denoise" else 0.0), abs=1e-9)
    three = sweep("llama", "mlp_out", positions=3, direction=direction, exact=True)
    quick = sweep("llama", "mlp_out", positions=3, direction=direction)
    assert np.allclose(three.raw, quick.raw, atol=1e-9) and not quick.computed[:, 0].any()
    donor, base = (
        (three.pair.clean, three.pair.corrupted) if direction == "denoise" else (three.pair.corrupted, three.pair.clean)
    )
    model = tiny("llama")
    given = probe.capture(model, torch.tensor([donor.token_ids]), "mlp_write.1")["mlp_write.1"][:, 3:6]
    with torch.no_grad(), intervene(model, [Patch(Place(Site("mlp_write", 1), slice(3, 6)), given)]):
        logits = model(torch.tensor([base.token_ids]))[0, -1].double()
    assert three.raw[1, 3] == pytest.approx(float(logits[ANSWERS[0]] - logits[ANSWERS[1]]), rel=1e-9)
    assert three.name((1, 3)).startswith("mlp_out.1 at 3 to 5 ") and three.name((1, n - 1)).startswith(
        f"mlp_out.1 at {n - 1} "
    )
