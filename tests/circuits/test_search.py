"""Searching a circuit: ACDC against one that saves nothing, greedy against looking through all edges, stored scores, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
from edge_pairs import drawn, pairs_for

import circuits
import probe
from circuits.edge_attribution.components import components
from circuits.edge_attribution.runs import Comparison
from circuits.faithfulness.parts.edges import EdgeParts
from circuits.search.acdc import SearchConfig, searched
from circuits.search.circuit import connected
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.methods.call import Call
from probe.model.toy import toy_model
from probe.progress import SILENT
from probe.tasks.chance import require_task

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))


def without_saving(made, compared, threshold, order):
    """ACDC one edge at a time, every edge tried, also those into what nobody reads."""
    kept, runs = made.layout.edges.copy(), 1
    far = compared.far(kept[None])[0]
    for v in reversed(range(len(made.layout.receivers))):
        senders = np.flatnonzero(made.layout.edges[:, v])
        for u in senders[::-1] if order == "last" else senders:
            kept[u, v] = False
            now = compared.far(kept[None])[0]
            runs += 1
            if now - far < threshold:
                far = now
            else:
                kept[u, v] = True
    return connected(made.layout, kept), runs


def test_acdc_with_its_savings_is_acdc_without():
    """Edges into a component that is read no more change nothing, so leaving them out changes nothing but the runs."""
    model, pairs = drawn("gpt2")
    made = components(model)
    compared = Comparison(model, made, pairs.some([0]), "metric")
    wanted, runs = without_saving(made, compared, 5e-4, "first")
    config = SearchConfig(threshold=5e-4, order="first", divergence="metric", ahead=1)
    found = searched(model, made, compared, "t", config, 0, SILENT)
    assert 5 < wanted.sum() < made.layout.edges.sum() - 20
    assert (found.kept == wanted).all()
    assert found.convention["runs"] < runs - 10


def test_acdc_announces_at_most_what_it_runs():
    toy = toy_model()
    call = Call.checked("acdc", "toy", {"task": "greater-than", "n": 2, "threshold": 0.5, "ahead": 1})
    plan, found = call.plan(toy), call.run(toy)
    edges = int(found.layout.edges.sum())
    assert plan.edges == edges and plan.passes == 2 * (edges + 1) and 2 * found.convention["runs"] <= plan.passes
    assert plan.seconds > 0 and plan.bytes > 1 << 20 and "at most 688 prompts run forward" in plan.summary()


def test_greedy_is_the_circuit_that_scores_grow():
    toy = toy_model()
    circuit = circuits.greedy(toy, "greater-than", "eap", n=2, size=30)
    scores = circuits.eap(toy, "greater-than", n=2)
    same = circuits.choose_edges(scores, 30, "greedy")
    assert circuit.names == same.names and 0 < len(circuit) <= 30
    assert circuit.scores_kept == pytest.approx(scores.matrix[circuit.kept])
    assert circuits.greedy(toy, scores=scores, size=30).names == same.names
    assert len(circuits.greedy(toy, "greater-than", "eap", n=2, share=0.05)) <= 0.05 * 343
    assert len(circuit.figure().data) >= 2 and circuit.rows()[0]["score"] == circuit.scores_kept[0]
    assert (connected(circuit.layout, circuit.kept) == circuit.kept).all()


def test_stored_scores_choose_circuits_from_every_door(home):
    toy = toy_model()
    scores = circuits.eap(toy, "greater-than", n=3)
    scores.save(place("result", "mine"))
    for rule in ("top", "greedy", "stable", "optimal"):
        call = Call.checked("choose-edges", "", {"scores": "mine", "size": 25, "rule": rule})
        found = call.run()
        assert found.names == circuits.choose_edges(scores, 25, rule).names and 0 < len(found) <= 25
    assert "--scores mine --size 25 --rule optimal" in call.shell()
    found.save(place("result", "circuit"))
    again = probe.load_record("circuit")
    assert again.names == found.names and again.score == pytest.approx(found.score, nan_ok=True)
    assert (
        Call.checked("greedy", "toy", {"scores": "mine", "size": 25}).run(toy).names
        == circuits.choose_edges(scores, 25, "greedy").names
    )
    report = Call.checked(
        "circuit-report",
        "toy",
        {"circuit": "circuit", "task": "greater-than", "n": 2, "random": 0, "subsets": 0, "greedy": 0, "needed": 0},
    ).run(toy)
    assert report.parts == found.names and report.kind == "edges"
    for name in ("circuit", "none"):
        with pytest.raises(BadInput, match="Scores are what eap|No result|none"):
            circuits.choose_edges(name, 5)


def test_scores_and_circuits_of_another_model_are_refused(home):
    model, pairs = drawn("gpt2")
    toy = toy_model()
    circuits.eap(model, pairs).save(place("result", "theirs"))
    with pytest.raises(BadInput, match=r"Scores of .* came, and the model is native"):
        circuits.greedy(toy, "greater-than", scores="theirs")
    with pytest.raises(BadInput, match="Scores of"):
        circuits.faithfulness_curve(toy, "greater-than", scores="theirs", n=2, held_out=2)


def test_a_circuit_goes_to_their_file_and_comes_back_by_hand(home, tmp_path):
    toy = toy_model()
    scores = circuits.eap(toy, "greater-than", n=2)
    circuit = circuits.choose_edges(scores, 40, "greedy")
    written = circuits.export_mib(circuit, to=tmp_path / "out.json")
    assert written.kept == len(circuit) and written.file.name == "out.json"
    assert circuits.import_mib(toy, written.file).names == circuit.names
    assert probe.load_record("out").names == circuit.names
    read = circuits.import_mib(toy, written.file, tmp_path / "scores", scores=True)
    assert read.score == pytest.approx(scores.score, rel=1e-5)
    assert circuits.choose_edges(read, 40, "greedy").names == circuit.names
    with pytest.raises(BadInput, match="Their files hold edges"):
        circuits.export_mib(circuits.named_circuit(toy, ["L0H0"]), to=tmp_path / "no.json")


# -- refused before hours are spent -------------------------------------------------------------------------------------------


def test_a_task_at_chance_is_refused_and_may_be_asked_for():
    model, pairs = drawn("gpt2")
    right = np.array([float(v) for v in Comparison(model, components(model), pairs, "metric")._metric[0]]) > 0
    sides = [([7], [9]) if good else ([9], [7]) for good in right]  # whichever the model puts first
    every = replace(
        pairs_for(model, pairs.clean * 8, pairs.corrupted * 8),
        right=[r for r, _ in sides] * 8,
        wrong=[w for _, w in sides] * 8,
    )
    require_task(model, every)
    half = replace(every, right=[*every.right[:8], *every.wrong[8:]], wrong=[*every.wrong[:8], *every.right[8:]])
    with pytest.raises(BadInput, match="is right in 8 of 16 prompts of tokens, where chance gives 8.*with at_chance"):
        require_task(model, half)
    require_task(model, half, at_chance=True)
    require_task(model, half.some(range(5, 11)))  # six cannot tell
    for asked in (
        lambda **more: circuits.acdc(model, half, ahead=64, threshold=9.0, **more),
        lambda **more: circuits.greedy(model, half, "eap", size=5, **more),
    ):
        with pytest.raises(BadInput, match="where chance gives 8"):
            asked()
        assert asked(at_chance=True) is not None
    with pytest.raises(BadInput, match="where chance gives 8"):
        circuits.faithfulness_curve(model, half, n=8, held_out=8)


def test_a_search_that_would_find_constants_for_every_edge_is_refused():
    model, pairs = drawn("gpt2")
    with pytest.raises(BadInput, match="`optimal` finds constants for each anew"):
        circuits.acdc(model, pairs, ablation="optimal")
    with pytest.raises(BadInput, match="A circuit of 9,999 edges was asked for; this model has 262"):
        circuits.greedy(model, pairs, size=9999)


def test_scores_that_say_nothing_choose_nothing():
    model, pairs = drawn("gpt2")
    scores = circuits.eap(model, pairs)
    nothing = replace(scores, by_pair=scores.by_pair * 0)
    with pytest.raises(BadInput, match="Every score is 0 or missing"):
        circuits.choose_edges(nothing, 5)


@pytest.mark.parametrize("ablation", ["resample", "zero", "mean"])
def test_what_is_dropped_from_a_circuit_did_nothing(ablation):
    """A component that reads nothing writes what it wrote in the corrupted run, which only resampled edges carry anyway."""
    model, pairs = drawn("gpt2")
    parts, draw = EdgeParts(model, pairs, ablation), np.random.default_rng(0)
    kept = np.stack([parts.random(30, draw) for _ in range(4)])
    tidied = np.stack([parts.tidy(one) for one in kept])
    assert (tidied.sum(1) < kept.sum(1)).all()
    np.testing.assert_allclose(parts.values(tidied), parts.values(kept), atol=1e-9)


def test_stored_scores_of_a_task_at_chance_grow_nothing_unless_asked():
    toy = toy_model()
    scores = circuits.eap(toy, "greater-than", n=8)
    for task in ("greater-than", "ioi"):  # asked by its name, or left as it is
        with pytest.raises(BadInput, match="prompts of greater-than, where chance gives 4.*with at_chance"):
            circuits.greedy(toy, task, n=8, scores=scores, size=30)
    assert len(circuits.greedy(toy, n=8, scores=scores, size=30, at_chance=True)) > 0


def test_a_circuit_of_which_nothing_is_left_is_refused_and_one_of_less_says_so(home, tmp_path):
    toy = toy_model()
    scores = circuits.eap(toy, "greater-than", n=2)
    inner = np.zeros_like(scores.by_pair)
    names = [scores.layout.name(int(u), int(v)) for u, v in scores.edges]
    inner[:, names.index("a0.h0->m1")] = 1.0
    nothing = replace(scores, by_pair=inner)
    with pytest.raises(BadInput, match="None of the 1 edges chosen by top lies on a way from the input to the logits"):
        circuits.choose_edges(nothing, 1)
    inner[:, 0] = inner[:, 1] = inner[:, names.index("input->logits")] = 2.0
    few = circuits.choose_edges(replace(scores, by_pair=inner), 4)
    assert few.names == ["input->logits"] and "4 were asked for" in few.summary()
    empty = replace(few, kept=few.kept & False)
    with pytest.raises(BadInput, match="has no edges, so there is nothing to write"):
        circuits.export_mib(empty, to=tmp_path / "no.json")


def test_a_file_of_theirs_tells_the_width_of_the_model(home, tmp_path):
    toy = toy_model()
    circuit = circuits.greedy(toy, "greater-than", "eap", n=2, size=30)
    file = circuits.export_mib(circuit, to=tmp_path / "c.json").file
    told = json.loads(file.read_text())
    assert told["cfg"]["d_model"] == toy.cfg.d_model
    told["edges"] = {name: {"score": None, "in_graph": False} for name in told["edges"]}
    file.write_text(json.dumps(told))
    for scores, said in ((False, "has no edge in its circuit"), (True, "has no scores: every edge's is null")):
        with pytest.raises(BadInput, match=said):
            circuits.import_mib(toy, file, scores=scores)
