"""The studies of component circuits, on models wired by hand in which every role is known, planted or left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from edge_pairs import pairs_for
from tiny import tiny
from wired_roles import NAMES, ioi_model, without_movers, years_model

from circuits.studies.claim import Rule, verdict_of
from circuits.studies.component_circuits import halves
from circuits.studies.component_circuits.cuts import Cuts, between, out_of
from circuits.studies.component_circuits.halves import Halves
from circuits.studies.component_circuits.head_sets import best, few, others, reading, writing
from circuits.studies.component_circuits.shares import measured_share, share
from circuits.studies.component_circuits.swaps import Swaps
from circuits.studies.greater_than import claims as greater_than
from circuits.studies.greater_than import years
from circuits.studies.greater_than.writes import mlps_write, neurons_of
from circuits.studies.ioi import claims as ioi
from circuits.studies.ioi.heads_by_role import Roles
from circuits.studies.ioi.looks import lead_of, looks_of, writes_of
from circuits.studies.ioi.prompts import exchanged, once, places_of, turned
from circuits.studies.running import plan_study, run_study
from circuits.studies.study import Bench, Scale, Study
from probe.errors import BadInput
from probe.heads.patterns import head_patterns
from probe.lens.direct import direct_logits
from probe.tasks.pairs import task_pairs
from probe.text.targets import Difference

pytestmark = pytest.mark.slow

SMALL = Scale(sets=99, prompts=6)


def refuse(why):
    raise BadInput(why)


def asked(model, study: Study, *parts: str, scale: Scale = SMALL):
    """Verdicts and numbers by claim, of some parts alone."""
    some = [part for part in study.parts if part.name in parts or not parts]
    names = {part.name for part in some}
    result = run_study(
        model, replace(study, parts=some, claims=[c for c in study.claims if c.part in names]), scale=scale
    )
    words = {o.claim.name: o.verdict.word for o in result.outcomes}
    numbers = {o.claim.name: o.measured.interval.mean for o in result.outcomes if o.measured}
    return words, numbers, result


@pytest.fixture(scope="module")
def planted():
    return asked(ioi_model(), ioi.STUDY)


HOLD = (
    "done movers-write movers-attend movers-copy against-write against-attend inhibition-queries inhibition-looks "
    "inhibition-attention inhibition-name duplicate-looks duplicate-feeds previous-looks circuit-faithful edges-in-roles"
)
NOT = "backup inhibition-place induction-looks induction-feeds previous-feeds"


def test_roles_that_were_planted_are_found_and_those_that_were_not_are_not(planted):
    words, numbers, _ = planted
    assert {name: words[name] for name in HOLD.split()} == dict.fromkeys(HOLD.split(), "holds")
    assert {name: words[name] for name in NOT.split()} == dict.fromkeys(NOT.split(), "does not hold")
    assert numbers["movers-write"] == pytest.approx(4 / 3, rel=0.05)  # 4 of a lead of 4 - 1
    assert numbers["against-write"] == pytest.approx(1 / 3, rel=0.05)
    assert numbers["inhibition-queries"] == pytest.approx(16 / 9, rel=0.05)
    assert numbers["inhibition-name"] == pytest.approx(1.0, abs=0.05)
    assert numbers["inhibition-place"] == pytest.approx(0.0, abs=0.05)
    assert numbers["backup"] == pytest.approx(
        0.0, abs=0.05
    )  # without a norm and a backup the lead falls by just what is missing


def test_its_heads_are_named_by_their_roles(planted):
    tables = {table.title: table.rows for table in planted[2].tables}
    assert [row["head"] for row in tables["Heads that write names at the last token"]] == ["L2H0", "L2H1"]
    (inhibition,) = tables["Inhibition heads"]
    assert inhibition["head"] == "L1H0"  # and two ways of patching its path agree, there being no MLP between
    assert inhibition["directly"] == pytest.approx(inhibition["lost through the movers' queries, MLPs too"], abs=1e-4)
    assert tables["Heads that notice the repetition"][0]["head"] == "L0H0"


def test_a_model_that_does_ioi_without_movers_has_none():
    words, numbers, _ = asked(without_movers(), ioi.STUDY, "task", "movers")
    assert words["done"] == "holds" and words["movers-attend"] == words["movers-copy"] == "does not hold"
    assert numbers["movers-write"] == pytest.approx(1.0, abs=0.01) and numbers["movers-attend"] < -0.9


def test_a_model_at_chance_is_refused_in_a_sentence():
    with pytest.raises(BadInput, match=r"cannot be asked ioi: .* is right in 0 of 36 prompts of ioi"):
        asked(ioi_model(0.0), ioi.STUDY)
    with pytest.raises(BadInput, match=r"cannot be asked ioi: .* is right in 0 of 24 prompts of ioi"):
        plan_study(ioi_model(0.0), "ioi", quick=True)
    assert "A few prompts say that this model can be asked it" in plan_study(ioi_model(), "ioi", quick=True).summary()
    with pytest.raises(BadInput, match="cannot be asked greater-than"):
        asked(ioi_model(), greater_than.STUDY)


def test_prompts_with_names_in_other_places():
    model = ioi_model()
    pairs = task_pairs(model, "ioi", 3, templates=("store",))
    at, names = (
        places_of(pairs),
        {i for i, w in enumerate(model.tokenizer.convert_ids_to_tokens(range(200))) if w in NAMES},
    )
    told = [
        [[t for t in ids if t in names] for ids in some]
        for some in (exchanged(pairs), turned(pairs, at), once(pairs, at))
    ]
    for i, ids in enumerate(pairs.clean):
        a, b, s = [t for t in ids if t in names]
        io, third = pairs.right[i][0], pairs.corrupted[i][at.s2[i]]
        assert [a, b].index(io) == (0 if at.io[i] < at.s1[i] else 1) and s == pairs.wrong[i][0]
        assert told[0][i] == [b, a, io] and told[1][i] == [b, a, s]
        assert told[2][i] == [third if t == s else t for t in (a, b)] + [s]
    with pytest.raises(BadInput, match="once and twice"):
        places_of(replace(pairs, clean=pairs.corrupted))


def test_a_cut_is_an_exact_change_of_one_receivers_input():
    model = ioi_model()
    pairs = task_pairs(model, "ioi", 4, templates=("store",))
    cuts = Cuts(model, pairs)
    layout = cuts.layout
    inhibition, mover = writing(layout, [(1, 0)]), reading(layout, [(2, 0)], "q")
    # the mover then looks at the subject twice as much, and the head that takes back goes on: from 4 - 1 to -4 / 3 - 1
    assert share(cuts.lost(between(layout, inhibition, mover)), cuts.way) == pytest.approx(16 / 9, rel=0.05)
    assert cuts.lost(between(layout, inhibition, reading(layout, [(2, 0)], "v"))) == pytest.approx(0.0, abs=1e-3)
    assert cuts.lost(layout.edges) == pytest.approx(cuts.way) and cuts.left(layout.edges) == pytest.approx(cuts.way)
    assert share(cuts.lost(out_of(layout, inhibition)), cuts.way) == pytest.approx(4 / 3, rel=0.05)


def test_swapping_every_head_of_every_layer_is_plain_patching():
    from probe.interventions.running import intervene
    from probe.interventions.values import Patch

    model = ioi_model()
    pairs = task_pairs(model, "ioi", 4, templates=("store",))
    swaps = Swaps(model, pairs, pairs.corrupted)
    for heads in ([(1, 0)], [(2, 0), (1, 2)], [(0, 0), (2, 1)]):
        found = swaps.metric(heads)
        ids, other = (torch.tensor(side) for side in (pairs.clean, pairs.corrupted))
        donor = {layer: model.run_with_cache(other)[1][f"blocks.{layer}.attn.hook_z"] for layer, _ in heads}
        patches = [Patch(f"L{layer}H{i}@-1", donor[layer][:, -1:, i]) for layer, i in heads]
        with torch.no_grad(), intervene(model, patches):
            wanted = pairs.metric(model(ids)[:, -1], [0, 1, 2, 3])
        assert found == pytest.approx(wanted.numpy(), abs=1e-5)


def test_other_heads_are_of_the_same_layers_as_far_as_there_are_any():
    layout = Cuts(ioi_model(), task_pairs(ioi_model(), "ioi", 2, templates=("store",))).layout
    draw = np.random.default_rng(0)
    for _ in range(20):
        found = others([(0, 0), (0, 1), (2, 1)], layout, draw)
        assert (0, 2) in found and len(set(found)) == 3 and sum(layer == 0 for layer, _ in found) == 1
    assert few(layout) == 1 and best(np.array([[0.0, np.nan], [2.0, 1.0]]), 3) == [(1, 0), (1, 1), (0, 0)]


def test_halves_share_no_pair_and_part_of_a_study_are_made_once():
    bench = Bench(ioi_model(), SMALL, lambda amount: None)
    two = Halves.of(bench, "ioi")
    both = [tuple(ids) for half in (two.found, two.tested) for ids in half.clean]
    assert len(set(both)) == 12 and len(two.found) == len(two.tested) == 6
    assert Roles.of(bench) is Roles.of(bench)
    tries = []
    for _ in range(2):  # what could not be made is not tried again by the next part
        with pytest.raises(BadInput, match="no task for it"):
            bench.once("x", lambda: tries.append(1) or refuse("no task for it"))
    assert tries == [1]


def named_pairs(model):
    """Two rows of token ids in which 7 is the indirect object and 9 the subject."""
    clean = [[5, 7, 6, 9, 11, 9, 12], [5, 9, 8, 7, 11, 9, 13]]
    return pairs_for(model, clean, [[*ids[:5], 20, ids[6]] for ids in clean])


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "olmo2"])
def test_what_heads_write_for_names_is_direct_logit_attribution(name):
    """On every block shape: by head, beside `direct_logits`; and attention beside the model's own patterns."""
    model = tiny(name)
    pairs = named_pairs(model)
    at = places_of(pairs)
    assert (at.io.tolist(), at.s1.tolist(), at.s2.tolist()) == ([1, 3], [3, 1], [5, 5])
    writes, looks = writes_of(model, pairs), looks_of(model, pairs, pairs.clean, at)
    moved = lead_of(model, pairs, pairs.clean)
    for i, ids in enumerate(pairs.clean):
        wanted = direct_logits(model, ids, Difference(7, 9)).heads[..., -1]
        assert writes.lead[i] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
        assert moved[i] == pytest.approx(wanted, rel=1e-4, abs=1e-5)
        assert writes.for_io[i] == pytest.approx(direct_logits(model, ids, 7).heads[..., -1], rel=1e-4, abs=1e-5)
        patterns = head_patterns(model, ids).patterns
        assert looks.to_io[i] == pytest.approx(patterns[:, :, -1, at.io[i]], abs=1e-5)
        assert looks.to_s[i] == pytest.approx(patterns[:, :, -1, at.s1[i]] + patterns[:, :, -1, at.s2[i]], abs=1e-5)
        assert looks.duplicate[i] == pytest.approx(patterns[:, :, at.s2[i], at.s1[i]], abs=1e-5)
        assert looks.induction[i] == pytest.approx(patterns[:, :, at.s2[i], at.s1[i] + 1], abs=1e-5)
        assert looks.previous[i] == pytest.approx(patterns[:, :, at.s1[i] + 1, at.s1[i]], abs=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "gpt_neox"])
def test_what_mlps_and_neurons_write_for_values_is_direct_logit_attribution(name):
    model, values = tiny(name), [21, 22, 23, 24]
    asked_of = years.Years(model, named_pairs(model), values)
    mlps = mlps_write(model, asked_of)
    kept = neurons_of(model, asked_of, [0, 2])
    for i, ids in enumerate(asked_of.pairs.clean):
        each = np.stack([direct_logits(model, ids, one).mlps[:, -1] for one in values], 1)
        assert mlps[i] == pytest.approx(each - each.mean(1, keepdims=True), rel=1e-4, abs=1e-5)
    for place, layer in enumerate([0, 2]):
        written = kept.written([(place, u) for u in range(kept.active[place].shape[1])])
        gap = written - mlps[:, layer]  # what the MLP's bias adds, at each prompt's divisor
        if name == "gemma2":
            assert gap == pytest.approx(0.0, abs=1e-5)
        else:
            assert np.abs(np.linalg.matrix_rank(gap, tol=1e-5)) <= 1
    weights = np.array([[0.5, 0.5, -1.0, 0.0], [1.0, 0.0, 0.0, -1.0]])
    leads = kept.leads(weights)
    for place, unit in ((0, 3), (1, 5)):
        assert leads[place][unit] == pytest.approx((kept.written([(place, unit)]) * weights).sum(1).mean())


def many_named(model, n, seed):
    """n pairs of other tokens each, in which somebody is named twice, or nobody."""
    draw, clean = np.random.default_rng(seed), []
    for i in range(n):
        first, second = (7, 9) if i % 2 else (9, 7)
        filler = draw.integers(20, 60, 4).tolist()
        clean.append([filler[0], first, filler[1], second, filler[2], 9, filler[3]])
    return pairs_for(model, clean, [[*ids[:5], 70, ids[6]] for ids in clean])


@pytest.mark.parametrize(("name", "study"), [("llama", ioi.STUDY), ("gemma2", greater_than.STUDY)])
def test_every_claim_has_a_number_where_heads_share_keys_and_norms_follow(name, study, monkeypatch):
    model = tiny(name, "float32")
    monkeypatch.setattr(halves, "require_done", lambda *args: None)
    if study is ioi.STUDY:
        both = halves.Halves(many_named(model, 4, 0), many_named(model, 4, 1))
        monkeypatch.setattr(halves.Halves, "of", lambda *args, **settings: both)
    found = run_study(model, study, scale=Scale(sets=5, prompts=4))
    for one in found.outcomes:
        assert np.isfinite([one.measured.interval.mean, *one.measured.draws]).all() and len(one.measured.draws) == 5
    assert found.markdown() and all(table.rows for table in found.tables)


# -- greater-than ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def later():
    return asked(years_model(), greater_than.STUDY)


def test_heads_mlp_and_neurons_of_greater_than_are_found(later):
    words, numbers, result = later
    wanted = (
        "done sharp heads-look heads-carry heads-rather mlps-write mlps-lead mlps-sharp mlps-needed neurons-together "
        "neurons-lead circuit-faithful edges-in-roles"
    )
    assert {name: words[name] for name in wanted.split()} == dict.fromkeys(wanted.split(), "holds")
    assert words["neurons-alone"] == "does not hold"  # each is of one start digit
    assert numbers["mlps-lead"] == pytest.approx(1.0, abs=1e-3) and numbers["neurons-lead"] == pytest.approx(
        1.0, abs=1e-3
    )
    assert numbers["heads-carry"] == pytest.approx(1.0, abs=0.02)
    tables = {table.title: table.rows for table in result.tables}
    assert [row["head"] for row in tables["Heads that carry the start year"]] == ["L0H0"]
    assert [row["MLP"] for row in tables["Late MLPs"]] == [1]


def test_shares_are_of_the_same_pairs_and_of_nothing_that_may_be_0():
    part, whole = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 4.0, 6.0, 12.0])
    found = measured_share(part, whole, [0.0], 0)
    assert (found.interval.mean, found.interval.low, found.interval.high) == pytest.approx((0.5, 0.5, 0.5))
    unsure = measured_share(part, np.array([5.0, -4.0, 5.0, -4.0]), [0.0] * 19, 0)
    assert np.isnan(unsure.interval.low)
    said = verdict_of(Rule(holds=0.5, in_part=0.2, alpha=0.05), unsure)
    assert said.word == "cannot be told" and "cannot be told from 0" in said.why


def test_agreement_and_step_of_tables():
    start = np.array([2, 3, 5, 7, 4])
    way = years.order(start, 10)
    constant = np.arange(10.0)[None] * np.ones((5, 1))
    assert years.agreement(way + 5 * constant, start) == pytest.approx(1.0)
    assert years.agreement(-way, start) == pytest.approx(-1.0) and years.agreement(constant, start) == 0.0
    assert years.lead(way, start).tolist() == [2.0] * 5 and years.step(way, start).tolist() == [2.0] * 5
    ramp = np.arange(10.0)[None] - start[:, None]
    assert (years.step(ramp, start) / years.lead(ramp, start)).max() < 0.5  # what `mlps-sharp` says of a ramp
