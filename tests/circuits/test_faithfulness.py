"""Faithfulness of circuits of every kind: ablations by hand, compiled programs, plain hooks, null controls."""

import itertools
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from edge_pairs import drawn, pairs_for
from plain_circuit import PlainEdges, PlainNodes
from sklearn.metrics import roc_auc_score
from tracr import FIXTURES, compiled, expected

import circuits
import probe
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.runs import Comparison
from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.completeness import Shares, incompleteness, minimality
from circuits.faithfulness.curve import CurveConfig, curve_on
from circuits.faithfulness.metrics import SHARES, auroc
from circuits.faithfulness.parts.edges import EdgeParts
from circuits.faithfulness.parts.implied_edges import ImpliedEdges
from circuits.faithfulness.parts.nodes import NodeParts
from circuits.faithfulness.ranked import Ranked, jaccard
from circuits.faithfulness.report import ReportConfig, report_on
from circuits.faithfulness.subgraph_report import plan_subgraph_report
from probe.dictionaries import SAE, TopK, Transcoder
from probe.errors import BadInput
from probe.interventions.ablations import ABLATIONS
from probe.interventions.forward import capture
from probe.methods.call import Call
from probe.methods.catalogue import method_named
from probe.model.sites import Site
from probe.model.toy import toy_model

pytestmark = pytest.mark.slow


def given(names, by_pair, layout):
    by_pair = np.atleast_2d(np.asarray(by_pair, np.float32))
    ends = np.zeros(len(by_pair))
    return EdgeScores(
        method="given",
        task="t",
        layout=layout,
        by_pair=by_pair,
        clean=ends,
        corrupted=ends,
        examples=[""] * len(by_pair),
    )


# -- what removed parts carry -------------------------------------------------------------------------------------------------


def alone(model, stream):
    """The metric if the logits read this stream at the last position."""
    with torch.no_grad():
        logits = model.unembed(model.ln_final(stream[None, None]))[0, 0]
    cap = float(model.cfg.output_logits_soft_cap or 0)
    logits = cap * (logits / cap).tanh() if cap > 0 else logits
    return float(logits[7] - logits[9])


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2"])
def test_with_every_edge_carrying_a_mean_the_logits_read_the_mean_stream(name):
    """All that is written sums to the stream, so the means of what is written sum to its mean: by hand, from plain runs."""
    model, pairs = drawn(name)
    last = Site("resid_post", 2)
    stream = capture(model, torch.tensor(pairs.clean), [last])[last]
    wanted = {"mean": alone(model, stream.mean((0, 1))), "positional-mean": alone(model, stream.mean(0)[-1])}
    for ablation, value in wanted.items():
        parts = EdgeParts(model, pairs, ablation)
        found = parts.values(np.stack([parts.nothing, parts.whole]))
        assert found[0] == pytest.approx([value, value], rel=1e-4, abs=1e-5)
        with torch.no_grad():
            assert found[1] == pytest.approx(
                pairs.metric(model(torch.tensor(pairs.clean))[:, -1], [0, 1]).numpy(), rel=1e-6
            )


@pytest.mark.parametrize("kind", ["edges", "neurons"])
def test_the_constant_that_harms_least_harms_no_more_than_the_mean(kind):
    """In KL on the pairs it is found on, for circuits of every size; and less for some, else nothing was learned."""
    model, pairs = drawn("llama")
    draw, less = np.random.default_rng(0), []
    best, mean = (made(model, pairs, kind, one) for one in ("optimal", "mean"))
    for share in (0.0, 0.3, 0.7):
        kept = draw.random(len(best)) < share
        far = [kl(parts, kept) for parts in (best, mean)]
        assert far[0] <= far[1] + 1e-9
        less.append(far[0] < 0.98 * far[1])
    assert any(less)


def made(model, pairs, kind, ablation):
    return EdgeParts(model, pairs, ablation) if kind == "edges" else NodeParts(model, pairs, kind, ablation)


def kl(parts, kept):
    """Mean KL of the model's prediction from the circuit's, for any parts."""
    if isinstance(parts, EdgeParts):
        compared = Comparison(parts.compared.model, parts.made, parts.compared.pairs, "kl", parts.compared.ablation)
        return compared.far(parts.matrices(kept[None]))[0]
    own = parts.constants(~kept) if parts.ablation == "optimal" else None
    total = 0.0
    for g in range(len(parts.groups)):
        whole, found = (parts.run(g, *one).log_softmax(-1) for one in ((None,), (~kept, own)))
        total += float((whole.exp() * (whole - found)).sum())
    return total / parts.pairs


def test_a_constant_of_other_pairs_is_found_on_those():
    model, pairs = drawn("gpt2")
    other = pairs_for(model, [ids[::-1] for ids in pairs.clean], pairs.corrupted)
    known, parts = (
        NodeParts(model, other, "heads", "optimal"),
        NodeParts(model, pairs, "heads", "optimal", reference=other),
    )
    kept = np.arange(len(parts)) % 2 == 0
    own = known.constants(~kept)
    logits = parts.run(0, ~kept, own)
    assert parts.values(kept[None])[0] == pytest.approx(pairs.metric(logits, [0, 1]).numpy(), abs=1e-6)


def test_one_prompt_of_a_length_has_no_positional_mean():
    model, pairs = drawn("gpt2")
    uneven = pairs_for(model, [pairs.clean[0], pairs.clean[1][:-1]], [pairs.corrupted[0], pairs.corrupted[1][:-1]])
    for kind in ("edges", "heads"):
        with pytest.raises(BadInput, match="One prompt alone has [67] tokens, so its positional mean is itself"):
            made(model, uneven, kind, "positional-mean")
    short = [ids[:-1] for ids in (pairs.clean[0], pairs.corrupted[0])]
    third = pairs_for(model, [*pairs.clean, short[0]], [*pairs.corrupted, short[1]])
    alone_there = EdgeParts(
        model, pairs, "positional-mean", third
    )  # one of a length that is not looked at does no harm
    none = np.zeros((1, len(alone_there)), bool)
    assert alone_there.values(none) == pytest.approx(EdgeParts(model, pairs, "positional-mean").values(none))
    with pytest.raises(BadInput, match="no ablation 'noise'; choose resample, mean"):
        made(model, pairs, "heads", "noise")


@pytest.mark.parametrize("ask", ["faithfulness", "circuit-report", "acdc"])
def test_a_mean_by_position_that_cannot_be_is_refused_before_anything_is_scored(ask, monkeypatch):
    """By the run and by its plan alike; and by neither where it can be."""
    model, pairs = drawn("gpt2")
    about, circuit = method_named(ask), circuits.choose_edges(circuits.eap(model, pairs), 9, "optimal")
    doors = about.function_beside(about.plan), getattr(circuits, about.function)

    def asked(n):
        none = {"subsets": 0, "greedy": 0, "needed": 0}
        return {
            "faithfulness": {"n": 2, "held_out": n - 2, "by": "eap", "random": 0, "samples": 0},
            "circuit-report": {"circuit": circuit, "n": n, "random": 0, **none},
            "acdc": {"threshold": 100.0},
        }[ask]

    even = [[*rows, *rows] for rows in (pairs.clean, pairs.corrupted)]
    for do in doors:
        do(model, task=pairs_for(model, *even), ablation="positional-mean", **asked(4))
    uneven = [[*rows, rows[0][:-1]] for rows in even]
    monkeypatch.setattr("circuits.faithfulness.curve.edge_scores", None)  # never reached
    for do in doors:
        with pytest.raises(BadInput, match=r"One prompt alone has 6 tokens.*take the ablation `mean`"):
            do(model, task=pairs_for(model, *uneven), ablation="positional-mean", **asked(5))


def test_fewer_pairs_to_look_at_than_were_asked_for_are_told(recwarn):
    toy = toy_model()
    pairs = probe.task_pairs(toy, "greater-than", 5)
    options = {"random": 0, "samples": 0}
    with pytest.warns(UserWarning, match="Circuits are looked at on 3 pairs; 32 were asked for"):
        circuits.faithfulness_curve(toy, pairs, "eap", n=2, **options)
    few = probe.task_pairs(toy, "greater-than", 15)
    new, old = ([i for i, e in enumerate(few.examples) if (e.template == "began") is side] for side in (True, False))
    some = few.some([*old, *new[:2]])
    with pytest.warns(UserWarning, match="on 2 pairs of templates that stay unseen; 9 were asked for"):
        circuits.faithfulness_curve(toy, some, "eap", n=1, held_out=9, unseen=["began"], **options)
    recwarn.clear()
    circuits.faithfulness_curve(toy, pairs, "eap", n=2, held_out=3, **options)
    assert not [w for w in recwarn if "looked at" in str(w.message)]


# -- an axis of edges for circuits of nodes -------------------------------------------------------------------------------------


def test_edges_that_nodes_imply_are_counted_by_hand():
    """Two layers of two heads and an MLP; each edge by the share of its sender, where its receiver is there."""
    layout = Layout(inputs=["input"], heads=[2, 2], kv_heads=[2, 2], parallel=[False, False])
    total = 3 * 2 + 3 + 3 * 2 * 4 + 6 + 7  # into layer 0's heads and MLP, layer 1's, the logits
    assert layout.edges.sum() == total
    names = ["L0H0", "L0H1", "L0MLP", "L1H0", "L1H1", "L1MLP"]
    every = ImpliedEdges(layout, names)
    none, whole = np.zeros(6, bool), np.ones(6, bool)
    assert every.share(none) == pytest.approx(1 / total) and every.share(whole) == 1.0  # input -> logits; all
    one = np.array(names) == "L0H1"
    assert every.share(one) == pytest.approx((3 + 2) / total)  # input to q, k, v; input and the head to the logits
    two = one | (np.array(names) == "L1MLP")
    assert every.share(two) == pytest.approx((3 + 2 + 3) / total)
    neurons = ImpliedEdges(layout, [f"L{layer}N{i}" for layer in (0, 1) for i in range(4)])
    kept = np.array([1, 0, 0, 0, 1, 1, 1, 1], bool)  # a quarter of m0, all of m1; heads stay
    lost = 0.75 * (3 * 2 + 1 + 1)  # m0 is read by layer 1's heads, its MLP and the logits
    assert neurons.share(kept) == pytest.approx(1 - lost / total)
    kept[:4] = False  # now nothing reads for m0, nor does it write
    assert neurons.share(kept) == pytest.approx(1 - (3 * 2 + 1 + 1 + 3) / total)
    with pytest.raises(BadInput, match="L0F3 is no part of a head|Latents are no share"):
        ImpliedEdges(layout, ["L0F3"])


@pytest.mark.parametrize("kind", ["edges", "neurons"])
def test_areas_are_taken_over_the_edges_that_circuits_imply(kind):
    toy = toy_model()
    options = {"n": 2, "held_out": 2, "random": 1, "samples": 0, "kind": kind}
    curve = circuits.faithfulness_curve(toy, "greater-than", "eap", x="weighted", **options)
    plain = circuits.faithfulness_curve(toy, "greater-than", "eap", x="kept", **options)
    assert curve.f == pytest.approx(plain.f) and not len(plain.weighted)
    assert (np.diff(curve.weighted) >= 0).all() and curve.weighted[-1] == 1.0
    assert curve.cpr == pytest.approx(np.trapezoid(curve.f, curve.weighted))
    assert [row["weighted edges"] for row in curve.rows()] == curve.weighted.tolist()
    if kind == "edges":
        assert curve.weighted == pytest.approx(plain.axis)
    with pytest.raises(BadInput, match="Latents are no share"):
        circuits.faithfulness_curve(toy, "greater-than", x="weighted", kind="latents")


# -- against a model that is run without our code -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_a_circuit_of_edges_is_what_a_plain_computation_says(seed):
    """Grouped queries, gated MLPs, biases: each component of transformers' own weights on a stream of its own."""
    model, pairs = drawn("llama")
    parts = EdgeParts(model, pairs)
    kept = np.random.default_rng(seed).random(len(parts)) < 0.6
    plain = PlainEdges(model.original_model, {name for name, k in zip(parts.names, kept, strict=True) if k})
    with torch.no_grad():
        logits = plain.logits(torch.tensor(pairs.clean), torch.tensor(pairs.corrupted))
    assert parts.values(kept[None])[0] == pytest.approx(pairs.metric(logits, [0, 1]).numpy(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", ["heads", "mlps", "components", "neurons"])
def test_a_circuit_of_nodes_is_what_plain_hooks_say(kind):
    model, pairs = drawn("llama")
    parts = NodeParts(model, pairs, kind)
    kept = np.random.default_rng(3).random(len(parts)) < 0.5
    plain = PlainNodes(model.original_model, {name for name, k in zip(parts.names, kept, strict=True) if not k})
    logits = plain.logits(torch.tensor(pairs.clean), torch.tensor(pairs.corrupted))
    found = parts.values(np.stack([kept, parts.whole]))
    assert found[0] == pytest.approx(pairs.metric(logits, [0, 1]).numpy(), rel=1e-6, abs=1e-9)
    assert np.abs(found[0] - found[1]).max() > 1e-3


@pytest.mark.parametrize("read", ["mlp_in.1", "resid_post.1"])
def test_a_circuit_of_latents_is_what_setting_them_says(read):
    """A transcoder, and an autoencoder of the stream, put in by `edit_units` one latent after the other."""
    model, pairs = drawn("llama")
    torch.manual_seed(0)
    write = "mlp_out.1" if read == "mlp_in.1" else read
    made = {"sparsifier": TopK(6)}
    dictionary = (
        SAE(32, 24, site=read, **made) if write == read else Transcoder(32, 24, site_in=read, site_out=write, **made)
    )
    dictionary = dictionary.double()
    kept = np.random.default_rng(2).random(24) < 0.5
    parts = NodeParts(model, pairs, "latents", dictionaries=[dictionary])
    assert parts.names[3] == "L1F3" and len(parts) == 24
    other = probe.unit_values(model, torch.tensor(pairs.corrupted), dictionary=dictionary)
    for row, ids in enumerate(pairs.clean):
        edits = [
            probe.UnitEdit("restore", int(i), dictionary=dictionary, amount=other[row, :, i])
            for i in np.flatnonzero(~kept)
        ]
        with torch.no_grad(), probe.intervene(model, probe.edit_units(model, edits)):
            wanted = pairs.metric(model(torch.tensor([ids]))[:, -1], [row])
        assert parts.values(kept[None])[0, row] == pytest.approx(float(wanted), rel=1e-6)
    with pytest.raises(BadInput, match="Latents need the dictionaries"):
        NodeParts(model, pairs, "latents")


# -- programs compiled to transformers ----------------------------------------------------------------------------------------

needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the compiled programs are not beside this checkout")


@cache
def reverse(ablation="resample"):
    """The program that reverses words of four letters, its edges, and what each does to the last letter it writes."""
    model, ids = compiled("reverse")
    letters = [i for token, i in sorted(ids.items()) if token not in ("BOS", "compiler_pad")]
    words = list(itertools.product(range(3), repeat=4))
    order = np.random.default_rng(0).permutation(len(words))
    first = [(words[i][0], words[j][0]) for i, j in enumerate(order)]
    some = [i for i, (a, b) in enumerate(first) if a != b]
    written = [[ids["BOS"], *(letters[c] for c in word)] for word in words]
    pairs = pairs_for(model, [written[i] for i in some], [written[order[i]] for i in some])
    pairs = replace(pairs, right=[[first[i][0]] for i in some], wrong=[[first[i][1]] for i in some])
    parts = EdgeParts(model, pairs, ablation, apart=True)
    without = ~np.eye(len(parts), dtype=bool)
    values = parts.values(np.concatenate([parts.whole[None], without]))
    return parts, given(parts.names, (values[1:] - values[0]).T, parts.layout), values[0]


@needs_fixtures
@pytest.mark.parametrize("ablation", ["resample", "zero"])
def test_a_curve_of_exact_scores_reaches_one_at_the_number_of_true_edges(ablation):
    parts, scores, whole = reverse(ablation)
    true = {name for name, s in zip(parts.names, scores.score, strict=True) if abs(s) > 1e-6}
    assert true == expected("reverse", ablation)
    ranked, n = Ranked(scores, parts.names), len(true)
    circuits_by_size = ranked.circuits(range(n + 3), "top")
    values = parts.values(np.stack(circuits_by_size)).mean(-1)
    f = (values - values[0]) / (whole.mean() - values[0])
    assert f[n:] == pytest.approx(1, abs=1e-6) and (f[:n] < 0.99).all()
    assert ranked.auroc(sorted(true)) == 1.0
    for rule in ("greedy", "optimal"):
        found = {parts.names[i] for i in np.flatnonzero(ranked.circuits([n], rule)[0])}
        assert found == true


@needs_fixtures
def test_the_true_circuit_is_complete_and_minimal_and_an_edge_too_many_is_not_needed():
    parts, _, whole = reverse()
    true = np.isin(parts.names, sorted(expected("reverse", "resample")))
    one_more = true.copy()
    one_more[np.flatnonzero(~true)[3]] = True
    nothing = parts.values(parts.nothing[None]).mean()
    shares, draw = Shares(parts, float(whole.mean()), float(nothing)), np.random.default_rng(0)
    gaps = incompleteness(shares, true, 6, 4, draw)
    assert [one.how for one in gaps] == ["nothing", *["random"] * 6, *["greedy"] * 2]  # of two edges
    assert max(one.gap for one in gaps) < 1e-9  # other edges do nothing, whatever is out
    assert max(abs(one.model - 1) for one in gaps) > 0.5  # and what is taken out matters
    rows = {row["part"]: row for row in minimality(shares, one_more, np.flatnonzero(one_more).tolist(), 4, draw)}
    extra = parts.names[np.flatnonzero(one_more & ~true)[0]]
    assert rows[extra]["minimality"] == pytest.approx(0, abs=1e-9)
    assert min(row["minimality"] for name, row in rows.items() if name != extra) > 0.1
    lacking = true.copy()
    lacking[np.flatnonzero(true)[0]] = False
    assert max(one.gap for one in incompleteness(shares, lacking, 0, 0, draw)) > 0.1


@needs_fixtures
def test_a_report_of_the_true_circuit_stands_above_every_random_one():
    parts, _, _ = reverse()
    true = np.isin(parts.names, sorted(expected("reverse", "resample")))
    report = report_on(
        parts, true, ReportConfig(random=19, subsets=2, greedy=2, needed=3), method="hand", task="reverse"
    )
    assert report.f == pytest.approx(1) and report.interval.low == pytest.approx(1) and report.p == 0.05
    assert (report.random_f < 0.9).all() and abs(report.f_without) < 1e-9
    assert len(report.parts) == true.sum() and len(report.needed) == 2 and report.worst("random") < 1e-9
    assert "keep 1" in report.summary() and report.figure().data


def test_the_whole_model_is_complete_without_any_gap():
    """Whatever is taken out of both, a circuit that is the model is the model."""
    model, pairs = drawn("gpt2")
    for parts in (EdgeParts(model, pairs), NodeParts(model, pairs, "components", "zero")):
        values = parts.values(np.stack([parts.whole, parts.nothing])).mean(-1)
        gaps = incompleteness(Shares(parts, *values), parts.whole, 3, 2, np.random.default_rng(0))
        assert [one.gap for one in gaps] == [0] * 6


# -- rankings, chance, stability ----------------------------------------------------------------------------------------------


def test_auroc_is_sklearns_with_what_was_never_reached_last():
    draw = np.random.default_rng(0)
    score, true = np.round(draw.normal(size=200), 1), draw.random(200) < 0.2  # rounded: many ties
    assert auroc(score, true) == pytest.approx(roc_auc_score(true, score))
    missing = score.copy()
    missing[draw.random(200) < 0.3] = np.nan
    assert auroc(missing, true) == pytest.approx(roc_auc_score(true, np.where(np.isnan(missing), -99, missing)))


def test_scores_of_chance_find_a_known_circuit_as_often_as_not():
    model, pairs = drawn("gpt2")
    parts = EdgeParts(model, pairs)
    draw = np.random.default_rng(0)
    known = [parts.names[i] for i in draw.choice(len(parts), 60, replace=False)]
    found = [
        Ranked(given(parts.names, draw.normal(size=(1, len(parts))), parts.layout), parts.names).auroc(known)
        for _ in range(60)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_random_circuits_have_the_size_and_grown_ones_hang_together():
    model, pairs = drawn("llama")
    parts = EdgeParts(model, pairs)
    draw = np.random.default_rng(1)
    for size in (1, 40, len(parts)):
        assert parts.random(size, draw).sum() == size
    kept = parts.random(50, draw)
    for one in parts.like(kept, 3, seed=0):
        heard = parts.tidy(one)
        assert one.sum() == 50 and (heard.sum() == 0 or heard.sum() > 10)
    assert jaccard(kept, kept) == 1 and np.isnan(jaccard(parts.nothing, parts.nothing)) and jaccard(kept, ~kept) == 0
    assert jaccard(np.array([1, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool)) == pytest.approx(1 / 3)


def test_circuits_of_pairs_that_agree_are_stable_and_of_those_that_do_not_are_not():
    layout = Layout(inputs=["input"], heads=[2], kv_heads=[1], parallel=[False])
    names = [layout.name(int(u), int(v)) for u, v in np.argwhere(layout.edges)]
    agree = np.tile(np.arange(1.0, 12), (8, 1))
    conflict = agree * np.random.default_rng(0).choice([-1, 1], agree.shape) * 3
    mean = []
    for by_pair in (agree, conflict):
        ranked = Ranked(given(names, by_pair, layout), names)
        kept = ranked.circuits([7], "optimal")[0]
        drawn_again = ranked.resampled([7], "optimal", False, 20, 0)
        mean.append(np.mean([jaccard(kept, one[0]) for one in drawn_again]))
        assert kept.sum() >= 5
    assert mean[0] == 1 and mean[1] < 0.9


@pytest.mark.parametrize("kind", ["edges", "heads"])
@pytest.mark.parametrize("ablation", ["mean", "zero"])
def test_a_curve_of_any_kind_ends_at_the_model(kind, ablation):
    model, pairs = drawn("llama")
    parts = made(model, pairs, kind, ablation)
    scores = scores_for(parts, pairs)
    known = parts.names[:5]
    curve = curve_on(parts, scores, known, CurveConfig(kind=kind, ablation=ablation, random=2, samples=4, x="kept"))
    assert curve.f[-1] == pytest.approx(1) and curve.random_f[:, -1] == pytest.approx(1)
    assert curve.total == len(parts) and curve.kept[-1] == len(parts) and curve.kind == kind
    assert curve.convention["removed carries"] == ABLATIONS[ablation]
    assert curve.jaccard.shape == (4, len(SHARES)) and curve.jaccard[:, -1] == pytest.approx(1)
    assert curve.auroc == pytest.approx(auroc(np.abs(scores.by_pair.mean(0)), np.isin(parts.names, known)))
    assert curve.cmd == pytest.approx(np.trapezoid(np.abs(1 - curve.f), curve.kept / curve.total))
    row = curve.rows()[7]
    assert row[kind] == curve.kept[7] and row["random"] == pytest.approx(curve.random_f[:, 7].mean())
    assert "strongest first, as MIB's CMD" in curve.summary()


def scores_for(parts, pairs):
    if isinstance(parts, EdgeParts):
        return given(parts.names, np.random.default_rng(0).normal(size=(parts.pairs, len(parts))), parts.layout)
    return circuits.atp(parts.model, pairs, parts.kind)


# -- the methods --------------------------------------------------------------------------------------------------------------


def test_faithfulness_of_nodes_is_that_of_the_nodes_chosen():
    """The method's own circuit at a size, run again by itself, on the pairs that it says it held out."""
    toy = toy_model()
    curve = circuits.faithfulness_curve(
        toy, "greater-than", "eap", n=3, held_out=2, kind="neurons", random=0, samples=0
    )
    pairs = probe.task_pairs(toy, "greater-than", 5)
    scores = circuits.atp(toy, pairs.some(range(3)), "neurons")
    size = int(SHARES[7] * curve.total)
    circuit = circuits.node_circuit(scores, size)
    parts = NodeParts(toy, pairs.some([3, 4]), "neurons")
    assert circuit.nodes == parts.names and len(circuit) == curve.kept[7] == size
    assert parts.values(circuit.kept[None])[0] == pytest.approx(curve.values[7], abs=1e-6)
    report = circuits.circuit_report(
        toy, circuit, pairs, n=2, skip=3, random=1, subsets=0, greedy=0, needed=0, ablation="resample"
    )
    assert report.values == pytest.approx(curve.values[7], abs=1e-6) and report.f == pytest.approx(curve.f[7], abs=1e-5)


def test_templates_that_scores_never_saw_are_looked_at_apart():
    toy = toy_model()
    options = {"n": 2, "held_out": 3, "random": 0, "samples": 0}
    curve = circuits.faithfulness_curve(toy, "greater-than", "eap", unseen=["began"], **options)
    new = probe.task_pairs(toy, "greater-than", 3, templates=("began",))
    old = probe.task_pairs(toy, "greater-than", 5, templates=("lasted",))
    assert {e.template for e in old.examples} == {"lasted"}
    scores = circuits.eap(toy, old.some([0, 1]))
    assert curve.unseen.values == pytest.approx(circuits.curve_of_scores(toy, scores, new, random=0, samples=0).values)
    assert curve.values == pytest.approx(
        circuits.curve_of_scores(toy, scores, old.some([2, 3, 4]), random=0, samples=0).values
    )
    assert curve.scored == curve.unseen.scored == 0 and "held-out pair" in curve.summary()
    seen = circuits.curve_of_scores(toy, scores, old.some([1, 2]), random=0, samples=0)
    assert (
        seen.scored == 1 and "on 2 pairs of greater-than, 1 of which the scores were made on too: CPR" in seen.summary()
    )
    assert seen.areas()[0]["on"] == "pairs that the scores saw"
    assert curve.rows()[3]["on unseen templates"] == pytest.approx(curve.unseen.f[3])
    given_pairs = circuits.faithfulness_curve(
        toy, probe.task_pairs(toy, "greater-than", 12), "eap", unseen=["began"], **options
    )
    assert len(given_pairs.unseen.whole) == 3
    for unseen, said in (
        (["end"], "no template 'end' here; there are began, lasted"),
        (["began", "lasted"], "none is left"),
    ):
        with pytest.raises(BadInput, match=said):
            circuits.faithfulness_curve(toy, "greater-than", unseen=unseen, **options)


def test_a_subgraph_is_reported_in_the_same_words():
    """What sufficiency measures of the first root is the report's faithfulness, and the whole graph has no gap."""
    toy = toy_model()
    graph = circuits.trace(toy, "When Mary and John went to", config=circuits.TraceConfig(max_nodes=24))
    report = circuits.subgraph_report(toy, graph, "top:6", random=4, subsets=2, greedy=2, needed=3)
    kept = circuits.check_sufficiency(toy, graph, "top:6", n_random=0)
    share = next(r for r in kept.roots if r.root in report.convention["metric"])
    assert report.f == pytest.approx(share.share, abs=1e-6) and len(report.parts) == 6
    parts = {"random": 0, "greedy": 1, "needed": 0}
    whole = circuits.subgraph_report(toy, graph, f"top:{report.total}", subsets=2, **parts)
    assert [one.gap for one in whole.gaps] == [0] * 4 and whole.f == pytest.approx(1)
    mean = circuits.subgraph_report(
        toy, graph, "top:6", ablation="mean", prompts="When Mary went to", subsets=0, **parts
    )
    same = circuits.check_sufficiency(toy, graph, "top:6", n_random=0, baseline="mean", prompts="When Mary went to")
    assert mean.f == pytest.approx(next(r.share for r in same.roots if r.root in mean.convention["metric"]), abs=1e-6)
    with pytest.raises(BadInput, match="The ablation resample takes one of the prompts, and 0 came"):
        circuits.subgraph_report(toy, graph, "top:6", ablation="resample")


def test_a_plan_announces_what_is_run():
    toy = toy_model()
    options = {"n": 2, "held_out": 3, "random": 2, "samples": 0}
    plan = Call.checked("faithfulness", "toy", {"task": "greater-than", "by": "eap", **options}).plan(toy)
    assert plan.circuits == 2 + 10 * 3 and plan.pairs == 3 and plan.passes == 3 * plan.circuits
    assert plan.seconds > 0 and "prompts run forward, about" in plan.summary()
    more = Call.checked("faithfulness", "toy", {"task": "greater-than", "ablation": "optimal", **options}).plan(toy)
    assert more.passes > 20 * plan.passes


class Counted:
    """Progress that counts the steps of all stages."""

    done = 0

    @contextmanager
    def stage(self, name, total=None, unit="it"):
        def step(amount=1):
            self.done += amount

        yield step


def test_the_report_of_a_subgraph_says_what_it_runs_and_refuses_what_it_would():
    toy = toy_model()
    graph = circuits.trace(toy, "When Mary and John went to", config=circuits.TraceConfig(max_nodes=24))
    asked = {"random": 4, "subsets": 2, "greedy": 2, "needed": 3}
    plan = plan_subgraph_report(toy, graph, "top:6", **asked)
    ran = Counted()
    circuits.subgraph_report(toy, graph, "top:6", progress=ran, **asked)
    assert 0.5 * plan.circuits <= ran.done <= plan.circuits and plan.passes == plan.circuits
    assert "on 1 prompt:" in plan.summary() and plan.seconds > 0 and plan.bytes > 1 << 24
    with pytest.raises(BadInput, match="The ablation resample takes one of the prompts"):
        plan_subgraph_report(toy, graph, "top:6", ablation="resample")


def test_what_cannot_be_told_is_refused_before_it_is_run():
    model, pairs = drawn("gpt2")
    same = pairs_for(model, pairs.clean, pairs.clean)
    with pytest.raises(BadInput, match="with every edge removed, so no circuit can be told from another"):
        report_on(EdgeParts(model, same), np.arange(262) < 20)
    with pytest.raises(BadInput, match="has no parts"):
        report_on(EdgeParts(model, pairs), np.zeros(262, bool))
    other, _ = drawn("llama")
    scores = circuits.eap(model, pairs)
    with pytest.raises(BadInput, match=r"Scores of .* came, and the model is"):
        circuits.curve_of_scores(other, scores, pairs)
    with pytest.raises(BadInput, match="A circuit of .* came, and the model is"):
        circuits.circuit_report(other, circuits.choose_edges(scores, 9), pairs, n=2)
    heads = circuits.named_circuit(model, ["L0H1"])
    with pytest.raises(BadInput, match="'L9H9' is none of this model's heads; they are named like L0H0"):
        circuits.named_circuit(model, ["L9H9"])
    with pytest.raises(BadInput, match="chosen by 'greedy'. Choose top or stable"):
        circuits.curve_of_scores(model, circuits.atp(model, pairs, "heads"), pairs, kind="heads", rule="greedy")
    assert heads.share == 1 / 12
