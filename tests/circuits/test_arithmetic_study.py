"""Arithmetic in a few heads: planted heads are found, transfer is told from no transfer, trained heads are changed weights."""

import numpy as np
import pytest
import torch
from edge_pairs import drawn
from tiny import tiny
from wired_sums import APART, COPY, EQUALS, MINUS, PLUS, VOCABULARY, N, sums, sums_model

import probe
from circuits.studies.arithmetic import sums_asked, trained_heads
from circuits.studies.arithmetic.claims import STUDY
from circuits.studies.arithmetic.head_effects import HeadEffects, strongest
from circuits.studies.arithmetic.heads_that_matter import carrying, transferred
from circuits.studies.arithmetic.sums_asked import Asked
from circuits.studies.arithmetic.trained_heads import HeadWeights, Lesson, Trainer
from circuits.studies.arithmetic.training_alone import trained
from circuits.studies.catalogue import study_named
from circuits.studies.claim import verdict_of
from circuits.studies.running import run_study
from circuits.studies.study import Bench, Scale
from probe.errors import BadInput
from probe.interventions.places import head
from probe.interventions.running import intervene
from probe.interventions.values import Patch

pytestmark = pytest.mark.slow

THIRDS = [slice(i, None, 3) for i in range(3)]


def bench(model, sets=99):
    return Bench(model, Scale(sets=sets), lambda amount: None)


def words(found):
    """The verdict on every claim that was measured."""
    rules = {claim.name: claim.rule for claim in STUDY.claims}
    return {name: verdict_of(rules[name], one).word for name, one in found.measured.items()}


def task(model, name, operator=PLUS, last=EQUALS):
    return Asked(*(sums(model, name, operator, last, part) for part in THIRDS[:2]))


@pytest.fixture(scope="module")
def model():
    return sums_model()


def test_the_wired_model_adds_and_subtracts(model):
    for operator, last in ((PLUS, EQUALS), (MINUS, EQUALS), (PLUS, APART), (PLUS, COPY)):
        pairs = sums(model, "x", operator, last)
        logits = model(torch.tensor(pairs.clean))[:, -1]
        assert logits.argmax(-1).tolist() == [right[0] for right in pairs.right]


def test_heads_that_bring_the_numbers_are_found_and_what_they_look_at(model):
    asked = task(model, "+")
    found = carrying(asked, [[0, 1, 2]] * len(asked.left), bench(model))
    assert words(found) == {"few-heads": "holds", "heads-attend": "holds"}
    first = found.tables[0].rows[0]
    assert first["head"] == "L1H0" and first["path patching, measured"] == pytest.approx(1.0)
    elsewhere = carrying(asked, [[3]] * len(asked.left), bench(model))
    assert words(elsewhere)["heads-attend"] == "does not hold"


def test_where_all_heads_share_the_work_a_few_do_not_carry_it():
    spread = sums_model(spread=True)
    asked = task(spread, "+")
    assert words(carrying(asked, [[0, 1, 2]] * len(asked.left), bench(spread)))["few-heads"] == "does not hold"


def test_transfer_is_told_from_no_transfer(model):
    tasks = {"+": task(model, "+"), "-": task(model, "-", MINUS), "story": task(model, "story", last=APART)}
    tasks["capitals"] = task(model, "capitals", last=COPY)
    found = transferred(tasks, {"*": "It does not multiply."}, bench(model))
    assert words(found) == {"other-operators": "holds", "other-tasks": "does not hold", "own-to-arithmetic": "holds"}
    rows = {row["heads of"]: row for row in found.tables[0].rows}
    assert rows["+"]["-"] == pytest.approx(1.0) and rows["+"]["story"] == rows["story"]["+"] == 0.0
    assert found.tables[1].rows == [{"task": "*", "why not": "It does not multiply."}]


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "gemma2", "qwen3"])
def test_the_estimate_is_the_slope_of_path_patching_in_every_shape_of_block(name):
    """A head moved a small step towards the corrupted run, all later heads frozen: plain interventions."""
    model, pairs = drawn(name)
    run = HeadEffects(model, pairs)
    one = strongest(np.abs(run.estimated), 1)[0]
    step, (clean, corrupted) = 1e-3, run.z
    ends = []
    for sign in (step, -step):
        moved = HeadEffects(model, pairs)
        moved.__dict__["z"] = (clean, [z + sign * (c - z) for z, c in zip(clean, corrupted, strict=True)])
        ends.append(moved.path(one).mean())
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(run.estimated[one], rel=2e-2)
    with intervene(model, [Patch(head(*one), corrupted[one[0]][:, :, one[1]])]):
        logits = model(torch.tensor(pairs.clean))[:, -1]
    start, end = (model(torch.tensor(ids))[:, -1] for ids in (pairs.clean, pairs.corrupted))
    metric = [pairs.metric(x, [0, 1]) for x in (start, logits, end)]
    expected = (metric[1] - metric[0]) / (metric[2] - metric[0]).mean()
    assert run.patched([one]) == pytest.approx(expected.detach().numpy(), rel=1e-5)


def test_pairs_whose_corrupted_prompts_change_nothing_are_refused(model):
    pairs = sums(model, "+")
    same = HeadEffects(model, pairs.some(range(2)))
    same.__dict__["corrupted"] = same.clean
    with pytest.raises(BadInput, match="change nothing"):
        _ = same.ends


# -- training ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3"])
def test_what_is_added_in_hooks_is_a_change_of_the_heads_own_matrices(name):
    """The same numbers added to the weights of a transformers model of its own."""
    model, some = tiny(name), [(1, 0), (1, 2), (2, 3)]
    weights, draw = HeadWeights.zeros(model, some), torch.Generator().manual_seed(0)
    for one in weights.parameters():
        one.data.copy_(0.1 * torch.randn(one.shape, generator=draw))
    tokens = torch.randint(5, 100, (2, 6), generator=draw)
    with torch.no_grad(), weights.added(2):
        found = model(tokens)
    plain = model.original_model
    before = {key: value.clone() for key, value in plain.state_dict().items()}
    try:
        with torch.no_grad():
            for layer, heads in weights.heads.items():
                for i, one in enumerate(heads):
                    _add(plain, name, layer, one, weights.query[layer][i].detach(), weights.output[layer][i].detach())
            expected = plain(tokens).logits
    finally:
        plain.load_state_dict(before)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        assert not torch.allclose(found, model(tokens), atol=1e-2)


def _add(plain, name, layer, one, query, output):
    at = slice(8 * one, 8 * one + 8)
    if name == "gpt2":  # its matrices are stored the other way round, queries first
        attn = plain.transformer.h[layer].attn
        attn.c_attn.weight[:, at] += query
        attn.c_proj.weight[at] += output
        return
    attn = plain.model.layers[layer].self_attn
    attn.q_proj.weight[at] += query.T
    attn.o_proj.weight[:, at] += output.T


def test_trained_alone_the_heads_that_bring_numbers_help_and_others_do_not(monkeypatch):
    weak = sums_model(strength=0.3)
    monkeypatch.setattr(trained_heads, "RATE", 0.05)  # its weights are large
    text = torch.randint(N, 2 * N, (4, 6), generator=torch.Generator().manual_seed(0))
    every = sums(weak, "+", part=slice(None))
    lesson = Lesson(every, every, text)
    before = [weight.clone() for weight in weak.parameters()]
    found = trained(lesson, [(1, 0), (0, 0)], bench(weak, sets=9))
    assert words(found) == {"trained-alone": "holds", "text-spared": "holds"}
    assert all(torch.equal(a, b) for a, b in zip(before, weak.parameters(), strict=True))
    idle = trained(lesson, [(1, 7), (0, 7)], bench(weak, sets=9))  # heads that read nothing
    assert words(idle)["trained-alone"] == "does not hold"


def test_training_from_the_lowest_trained_layer_is_training_the_whole(model):
    lesson = Lesson(sums(model, "+"), sums(model, "+", part=THIRDS[1]), torch.zeros(1, 3, dtype=torch.long))
    heads = [(1, 0), (2, 1)]
    one, whole = (Trainer(model, lesson, first).train(heads).parameters() for first in (1, 0))
    assert all(torch.equal(a, b) for a, b in zip(one, whole, strict=True)) and any(bool(a.any()) for a in one)


def test_norms_after_attention_are_refused():
    with pytest.raises(BadInput, match="normalises what attention returns"):
        HeadWeights.zeros(tiny("gemma2"), [(0, 0)])


# -- the sums ----------------------------------------------------------------------------------------------------------------


def test_every_form_of_sum_is_right_and_its_numbers_are_where_it_says(toy):
    for name, settings in (
        ("arithmetic", {"form": form, "shots": 1}) for form in ("signs", "words", "question", "story")
    ):
        pairs = probe.task_pairs(toy, name, n=4, **settings)
        for example in pairs.examples:
            start, stop = example.segments["question"]
            a, b = (int(c) for c in example.clean[start:stop] if c.isdigit())
            assert example.right[0].strip() == str(a + b), example.clean
    with pytest.raises(BadInput, match="no form 'verse'"):
        probe.task_pairs(toy, "arithmetic", n=1, form="verse")


def test_questions_that_are_tested_are_not_trained_on(toy, monkeypatch):
    train, test = sums_asked.for_training(toy)
    asked = [{sums_asked._question(pairs, i) for i in range(len(pairs))} for pairs in (train, test)]
    assert asked[0] and asked[1] and not asked[0] & asked[1]


def test_a_model_that_does_no_sums_is_refused(toy):
    with pytest.raises(BadInput, match=r"toy cannot be asked arithmetic: toy is right in \d+ of \d+"):
        run_study(toy, STUDY, scale=Scale(sets=2))


def test_the_study_is_found_in_its_folder():
    entry = study_named("arithmetic")
    assert entry.study() is STUDY and VOCABULARY == 15
