"""Models wired by hand: their circuits are known, so each method must find them, or miss them in the way that is said."""

import itertools
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import pytest
import torch
from edge_pairs import pairs_for
from tracr import FIXTURES, compiled, expected

import circuits
from circuits.edge_attribution.components import components
from circuits.edge_attribution.eap import InputPath
from circuits.edge_attribution.exact import measured
from circuits.edge_attribution.runs import Comparison
from circuits.faithfulness.metrics import auroc, faithfulness
from circuits.ground_truth.linear import FACTORS
from circuits.ground_truth.recovered import _MADE, known_circuit
from circuits.ground_truth.wiring import Head, Layer, Neuron, wire
from circuits.search.acdc import Order, SearchConfig, acdc, searched
from circuits.search.circuit import circuit_of
from probe.errors import BadInput
from probe.progress import SILENT

pytestmark = pytest.mark.slow

CHAINS = ["saturated", "induction", "cancelling", "linear"]
"""Circuits in which one edge changes at a time on every way, so that the path of the input is the path of each edge."""
ORDERS = get_args(Order)


@cache
def scored(name, method, **settings):
    known = known_circuit(name)
    return getattr(circuits, method)(known.model, known.pairs, **settings)


def exact(name):
    return scored(name, "exact_edges", edges=None)


def integrated(name):
    return scored(name, "eap_ig", steps=50)


def kept_by_acdc(name, **settings):
    known = known_circuit(name)
    return set(acdc(known.model, known.pairs, config=SearchConfig(**settings)).names)


@pytest.mark.parametrize("name", list(_MADE))
def test_the_model_answers_and_patching_finds_what_was_wired(name):
    """Its metric by hand, the effect of every single edge as constructed, and 0 for every other."""
    known, found = known_circuit(name), exact(name)
    layout = found.layout
    assert found.by_pair == pytest.approx(np.tile(known.by_construction(layout), (len(known.prompts), 1)), abs=1e-5)
    assert known.true(layout).sum() == len(known.effects)
    with torch.no_grad():
        answers = known.model(torch.tensor(known.pairs.clean))[:, -1].argmax(-1).tolist()
    assert [[token] for token in answers] == known.pairs.right


@pytest.mark.parametrize("name", CHAINS)
def test_integrated_gradients_are_within_a_hundredth_of_exact_effects(name):
    """Midpoints, 50 points; at the clean run alone only what has a gradient there."""
    known, layout = known_circuit(name), exact(name).layout
    wanted = known.by_construction(layout)
    assert integrated(name).by_pair == pytest.approx(
        np.tile(wanted, (len(known.prompts), 1)), rel=0.01, abs=1e-6 * float(np.abs(wanted).max())
    )


@pytest.mark.parametrize("name", [*CHAINS, "induction-all"])
def test_exact_and_integrated_scores_rank_the_circuit_first(name):
    known = known_circuit(name)
    for found in (exact(name), integrated(name)):
        assert auroc(np.abs(found.score), known.true(found.layout)) == 1.0


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("threshold", [0.003, 0.3])
@pytest.mark.parametrize(
    ("name", "divergence"),
    [("saturated", "metric"), ("induction", "kl"), ("induction-all", "kl"), ("cancelling", "kl"), ("linear", "metric")],
)
def test_acdc_returns_exactly_the_circuit(name, divergence, threshold, order):
    """Thresholds across two decades, any order of the edges."""
    assert kept_by_acdc(name, divergence=divergence, threshold=threshold, order=order) == set(
        known_circuit(name).effects
    )


def test_saturated_attention_has_no_gradient_and_an_effect():
    """EAP's blindness, and its cure: the exact effect of the query's edge is -1, EAP gives 0, EAP-IG -1."""
    edge = "input->a0.h0<q>"
    assert exact("saturated").of(edge) == pytest.approx(-1, abs=1e-6)
    assert abs(scored("saturated", "eap").of(edge)) < 1e-9
    assert integrated("saturated").of(edge) == pytest.approx(-1, abs=1e-3)
    assert [scored("saturated", m).of("a0.h0->logits") for m in ("eap", "eap_ig")] == pytest.approx([-1, -1], abs=1e-3)


def test_the_gradient_at_the_clean_run_misses_how_induction_finds_its_letter():
    """What a1.h0 says has a gradient; what it looks for and what is noted for it has none."""
    blind = scored("induction", "eap")
    assert blind.of("a1.h0->logits") == pytest.approx(-4)
    assert abs(blind.of("a0.h0->a1.h0<k>")) < 1e-3 and abs(blind.of("input->a0.h0<v>")) < 1e-3


def test_where_query_key_and_value_change_together_each_gets_a_share():
    """The path changes all at once, so a score is no longer the edge's effect alone; the cuts still sum to the whole."""
    found = integrated("induction-all")
    whole = float((found.corrupted - found.clean).mean())
    assert whole == pytest.approx(-8, abs=1e-5)
    assert np.nansum(found.matrix[:, -1]) == pytest.approx(whole, rel=0.01)
    into = [found.of(e) for e in ("input->a1.h0<q>", "input->a1.h0<v>", "a0.h0->a1.h0<k>")]
    assert sum(into) == pytest.approx(whole, rel=0.01)
    assert -0.6 < into[0] < -0.4 and into[0] == pytest.approx(into[2])  # patched alone, each of these two is worth -4


# -- OR gates ----------------------------------------------------------------------------------------------------------------

ARMS = [{f"input->a0.h{i}<v>", f"a0.h{i}->m0"} for i in (0, 1)]


def test_neither_arm_of_an_or_gate_is_missed_alone():
    """One by one, and by a gradient at the clean run, the arms have no effect: only what reads the gate is found."""
    known = known_circuit("or-gate")
    for found in (exact("or-gate"), scored("or-gate", "eap")):
        assert [found.of(e) for arm in ARMS for e in sorted(arm)] == pytest.approx([0] * 4, abs=1e-6)
        assert found.of("m0->logits") == pytest.approx(-4)
        assert auroc(np.abs(found.score), known.true(found.layout)) == pytest.approx((1 + 4 * 0.5) / 5)


def test_integrated_gradients_share_an_or_gate_out():
    """Half of the way from `off off` the gate still answers to each arm, so each gets half of the whole."""
    known, found = known_circuit("or-gate"), integrated("or-gate")
    assert [found.of(e) for arm in ARMS for e in sorted(arm)] == pytest.approx([-2] * 4, rel=0.01)
    assert auroc(np.abs(found.score), known.true(found.layout)) == 1.0


@pytest.mark.parametrize("divergence", ["kl", "metric"])
def test_removal_keeps_one_arm_of_an_or_gate_the_one_tried_last(divergence):
    """From the last sender on h1 goes and h0 stays, from the first on the other way round: what is found depends on the order."""
    assert kept_by_acdc("or-gate", divergence=divergence, order="last") == {*ARMS[0], "m0->logits"}
    assert kept_by_acdc("or-gate", divergence=divergence, order="first") == {*ARMS[1], "m0->logits"}


# -- cancelling components ----------------------------------------------------------------------------------------------------


def test_single_edges_of_a_cancelling_pair_have_effects_that_sum_to_nothing():
    for found in (exact("cancelling"), scored("cancelling", "eap"), integrated("cancelling")):
        one, *pair = (found.of(f"a0.h{i}->logits") for i in range(3))
        assert [one, *pair] == pytest.approx([-2, -6, 6], rel=1e-5)
        assert found.matrix[1:4, -1].sum() == pytest.approx(-2, rel=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_removal_by_the_metric_drops_the_one_that_takes_off(order):
    """What is left does four times what the model does; a divergence keeps both."""
    known = known_circuit("cancelling")
    kept = kept_by_acdc("cancelling", divergence="metric", order=order)
    assert kept == {e for e in known.effects if "h2" not in e}
    made = components(known.model)
    every = [
        made.layout.edges,
        np.zeros_like(made.layout.edges),
        circuit_of(made.layout, kept, method="", task="").kept,
    ]
    whole, nothing, alone = Comparison(known.model, made, known.pairs, "metric").values(np.stack(every)).mean(1)
    assert faithfulness(np.array([alone]), whole, nothing) == pytest.approx([4])


# -- the linear model ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["exact_edges", "eap", "eap_ig"])
def test_every_cut_of_the_linear_model_conserves(method):
    """What leaves the input, what reaches the logits, and what crosses between the layers: each sums to the whole difference."""
    found = scored("linear", method, **({"edges": None} if method == "exact_edges" else {}))
    whole = float((found.corrupted - found.clean).mean())
    layout = found.layout
    between = np.zeros(layout.edges.shape, bool)  # from the input and layer 0 into layer 1 and the logits
    between[: layout.first_sender[1], layout.first_receiver[1] :] = True
    for cut in (found.matrix[0], found.matrix[:, -1], found.matrix[between]):
        assert np.nansum(cut) == pytest.approx(whole, rel=1e-5)
    assert found.score == pytest.approx(exact("linear").score, rel=1e-4, abs=1e-5)


def test_effects_of_the_linear_model_are_sums_over_paths():
    """By walking every path one by one, which the construction does not."""

    def paths(u):
        return (
            [((), 1.0)]
            if u == "logits"
            else [(((u, v), *rest), f * p) for (start, v), f in FACTORS.items() if start == u for rest, p in paths(v)]
        )

    found = exact("linear")
    for u, v in FACTORS:
        wanted = -sum(worth for path, worth in paths("input") if (u, v) in path)
        assert found.of(f"{u}->{v}<v>" if v[0] == "a" else f"{u}->{v}") == pytest.approx(wanted, rel=1e-5)


# -- wiring, and the method ---------------------------------------------------------------------------------------------------


def test_a_wired_head_looks_and_moves_as_it_says():
    """Score 3 against 0, value 2 moved half; a neuron relu(x - 1) - .5, times 4."""
    words = {"a": {"a": 1.0}, "b": {"b": 1.0}, "out": {}}
    layer = Layer([Head([("b", "a", 3.0)], [("a", "moved", 2.0)])], [Neuron({"moved": 1.0}, {"said": 4.0}, -1.0, 0.5)])
    model = wire(words, [layer], {"out": {"said": 1.0, "moved": 1.0}})
    with torch.no_grad():
        last = model(torch.tensor([[0, 1]]))[0, -1].tolist()
    share = np.exp(3) / (np.exp(3) + 1)
    assert last == pytest.approx([0, 0, 2 * share + 4 * (2 * share - 1 - 0.5)], rel=1e-5)


def test_what_is_found_of_a_known_circuit_is_told_in_one_record():
    found = circuits.recover_known("or-gate", points=8)
    assert {row["method"]: row["AUROC"] for row in found.ranked} == pytest.approx(
        {"exact": 0.6, "EAP": 0.6, "EAP-IG (8 points)": 1.0}
    )
    led = circuits.recover_known(
        "induction", points=8
    )  # of EAP two of its three edges are 1e-32, no score above the others' 0
    assert {row["method"]: row["AUROC"] for row in led.ranked}["EAP"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert "ranked above all others by exact, EAP-IG (8 points);" in led.summary()
    assert len(found.rows()) == 5 and all(row["in the circuit"] for row in found.rows())
    assert not any(row["as known"] for row in found.removed) and len(found.removed) == 6
    assert "returns exactly these in 0 of 6" in found.summary() and len(found.panels()) == 5
    with pytest.raises(BadInput, match="No circuit 'nand' is wired here; there are saturated"):
        known_circuit("nand")


# -- programs compiled to transformers ----------------------------------------------------------------------------------------

needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the compiled programs are not beside this checkout")
PROGRAMS = {"reverse": (0, 1), "xproportion": (0, None)}
"""The logits whose difference (or the one logit) is a program's answer."""


@cache
def program(name):
    """A compiled program, its components with tokens and positions apart, and pairs of its inputs that change its answer."""
    model, ids = compiled(name)
    letters = [i for token, i in ids.items() if token not in ("BOS", "compiler_pad")]
    every = [[ids["BOS"], *word] for word in itertools.product(letters, repeat=4)]
    clean = every[:: max(1, len(every) // 9)]
    right, wrong = PROGRAMS[name]
    pairs = pairs_for(model, clean, [*clean[4:], *clean[:4]], right, wrong)
    pairs = pairs if wrong is not None else replace(pairs, wrong=[[] for _ in clean])
    return model, components(model, apart=True), pairs.some(np.flatnonzero(np.abs(falls(model, pairs)) > 0.05))


def falls(model, pairs):
    """By how much each pair's metric falls: of those where it stays the same nothing can be told."""
    with torch.no_grad():
        ends = [model(torch.tensor(ids))[:, -1] for ids in (pairs.clean, pairs.corrupted)]
    clean, corrupted = (pairs.metric(logits, list(range(len(pairs)))).numpy() for logits in ends)
    return clean - corrupted


def edges_of_program(name):
    """Its exact effects by pair, which edges are its circuit, and scores by integrated gradients."""
    model, made, pairs = program(name)
    edges = np.argwhere(made.layout.edges)
    exact = measured(model, made, pairs, edges, np.arange(len(edges)))
    names = [made.layout.name(u, v) for u, v in edges]
    steps = 50
    along = InputPath(steps).scored(model, made, pairs, list(range(len(pairs)))).scores[:, made.layout.edges]
    return exact, np.isin(names, list(expected(name, "resample"))), along.numpy()


@needs_fixtures
@pytest.mark.parametrize("name", list(PROGRAMS))
def test_a_compiled_program_is_ranked_first_and_its_effects_are_found_along_the_path(name):
    """Its circuit is one chain, so that what integrated gradients give each of its edges is the edge's exact effect."""
    exact, true, along = edges_of_program(name)
    size = np.abs(exact.by_pair).max(0)  # over pairs: the mean over all inputs is near 0
    assert auroc(size, true) == 1.0 and auroc(np.abs(along).max(0), true) == 1.0
    assert size[true].min() > 0.05 and size[~true].max() < 1e-6
    assert along == pytest.approx(exact.by_pair, rel=0.01, abs=0.01 * float(size.max()))


@needs_fixtures
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("threshold", [1e-3, 1e-1])
def test_removal_leaves_a_compiled_program_of_one_logit(threshold, order):
    """Two decades of thresholds, any order, judged by the metric, on pairs whose answer falls. (The reversal: with its edges.)"""
    model, made, pairs = program("xproportion")
    compared = Comparison(model, made, pairs.some(np.flatnonzero(falls(model, pairs) > 0.2)), "metric")
    config = SearchConfig(threshold=threshold, order=order, divergence="metric")
    found = searched(model, made, compared, "xproportion", config, 0, SILENT)
    assert set(found.names) == expected("xproportion", "resample")
