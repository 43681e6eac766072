"""Two circuits compared: counts by hand, chance by hypergeometric means, planted scores, refusals."""

import numpy as np
import pytest
from edge_pairs import drawn
from scipy.stats import spearmanr

import circuits
from circuits.edge_attribution.layout import Layout
from circuits.search.circuit import ComponentCircuit, circuit_of
from circuits.search.compared import compare_circuits, components_of
from circuits.search.node_circuit import NodeCircuit
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.methods.call import Call
from probe.show.panels import Rows

LAYOUT = Layout(inputs=["input"], heads=[2, 2], kv_heads=[2, 2], parallel=[False, False])
A = ["input->a0.h0<v>", "a0.h0->m0", "m0->logits", "input->logits"]
B = ["input->a0.h0<v>", "a0.h0->m0", "m0->a1.h1<q>", "a1.h1->logits", "input->logits"]


def edges(names, **more):
    return circuit_of(LAYOUT, names, method="by hand", task="t", **more)


def heads(names, kind="heads", **more):
    nodes = [f"L{layer}H{head}" for layer in range(2) for head in range(3)]
    return NodeCircuit(
        method="by hand", task="t", kind=kind, nodes=nodes, kept=np.array([n in names for n in nodes]), **more
    )


def test_what_is_in_both_is_counted_part_by_part():
    found = compare_circuits(edges(A), edges(B), random=0)
    own, components = found.alike
    assert (own.both, own.only_a, own.only_b, own.jaccard) == (3, 1, 2, 0.5)
    # a0.h0, m0 in both; a1.h1 only in b. The input is in every circuit and is not counted.
    assert (components.both, components.only_a, components.only_b) == (2, 0, 1) and components.jaccard == 2 / 3
    assert [row["edge"] for row in found.rows(where="a")] == ["m0->logits"]
    assert {row["edge"] for row in found.rows(where="both")} == set(A) & set(B)
    assert [row["in"] for row in found.rows()] == ["both"] * 3 + ["a"] + ["b"] * 2
    assert "score a" not in found.rows()[0] and not found.ranks and np.isnan(own.p)
    assert "3 edges in both, 1 only in a, 2 only in b; Jaccard index" in found.summary()
    back = compare_circuits(edges(B), edges(A), random=0)
    assert [(one.only_a, one.only_b) for one in back.alike] == [(2, 1), (1, 0)]


def test_a_circuit_is_wholly_like_itself_and_random_pairs_are_of_its_size():
    found = compare_circuits(edges(B), edges(B), random=19)
    assert [one.jaccard for one in found.alike] == [1, 1] and found.alike[0].p == pytest.approx(1 / 20, abs=0.11)
    assert found.alike[0].random.shape == (19,) and 0 < found.alike[0].random.mean() < 0.6
    again = compare_circuits(edges(B), edges(B), random=19)
    assert (found.alike[0].random == again.alike[0].random).all()
    whole = edges([LAYOUT.name(u, v) for u, v in np.argwhere(LAYOUT.edges)])
    assert (
        compare_circuits(whole, whole, random=3).alike[0].p == 1.0
    )  # circuits of every edge are alike by chance as well


def test_chance_is_that_of_parts_drawn_from_all():
    """Of nodes: 3 and 2 of 6 drawn by chance have 3 * 2 / 6 = 1 in common, in the mean."""
    found = compare_circuits(heads(["L0H0", "L0H1", "L1H2"]), heads(["L0H0", "L1H0"]), random=2000)
    (only,) = found.alike
    assert (only.both, only.only_a, only.only_b, only.what) == (1, 2, 1, "heads")
    shared = 5 * only.random / (1 + only.random)  # of the Jaccard index
    assert shared.mean() == pytest.approx(1.0, abs=0.05)
    assert only.p > 0.5 and found.rows()[0] == {"head": "L0H0", "in": "both"}
    (table,) = [p for p in found.panels() if isinstance(p, Rows) and p.title == "Their heads"]
    assert table.kinds == {"head": "name"}


def test_scores_agree_by_rank_where_both_have_some():
    draw = np.random.default_rng(0)
    score = np.where(LAYOUT.edges, draw.normal(size=LAYOUT.edges.shape), np.nan)
    other = np.where(LAYOUT.edges, score + draw.normal(size=LAYOUT.edges.shape), np.nan)
    found = compare_circuits(edges(A, score=score), edges(B, score=other), random=0)
    own, its = score[LAYOUT.edges], other[LAYOUT.edges]
    assert found.ranks["all"].rho == pytest.approx(spearmanr(own, its).statistic) and found.ranks["all"].n == len(own)
    either = edges(A).kept | edges(B).kept
    assert found.ranks["in either circuit"].rho == pytest.approx(spearmanr(score[either], other[either]).statistic)
    row = next(row for row in found.rows() if row["edge"] == A[2])
    assert row["score a"] == pytest.approx(score[LAYOUT.edge(A[2])])
    unsigned = compare_circuits(edges(A, score=score), edges(B, score=np.abs(other)), random=0)
    assert unsigned.ranks["all"].rho == pytest.approx(spearmanr(np.abs(own), np.abs(its)).statistic)
    assert unsigned.convention["ranked by"] == "the sizes of their scores"
    assert not compare_circuits(edges(A, score=score), edges(B), random=0).ranks


def test_heads_that_share_keys_are_all_of_them_in():
    layout = Layout(inputs=["input"], heads=[2], kv_heads=[1], parallel=[False])
    kept = circuit_of(layout, ["input->a0.kv0<k>"], method="", task="").kept[layout.edges]
    assert components_of(layout, kept).tolist() == [True, True, False]  # a0.h0, a0.h1, m0


def test_circuits_whose_parts_are_other_things_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    wider = Layout(inputs=["input"], heads=[3, 3], kv_heads=[3, 3], parallel=[False, False])
    other = ComponentCircuit(method="", task="", layout=wider, kept=wider.edges)
    for a, b, said in (
        (edges(A), other, "a is of a model with 46 edges, and b of another with 75. Give two circuits of one model"),
        (edges(A), heads(["L0H0"]), "a is of edges and b of heads"),
        (heads(["L0H0"]), heads(["L0H0"], "mlps"), "a is of heads and b of mlps"),
        (edges(A), edges([]), "The circuit b has no edges"),
        (edges(A), "nothing", "nothing"),
    ):
        with pytest.raises(BadInput, match=said):
            compare_circuits(a, b, random=0)
    one, same_shape = (
        circuits.choose_edges(circuits.eap(model, pairs), 20) for model, pairs in (drawn("llama"), drawn("gemma2"))
    )
    if one.layout == same_shape.layout:
        with pytest.raises(
            BadInput, match=r"a was found on .* \(weights .*\) and b on .*Give two circuits of one model"
        ):
            compare_circuits(one, same_shape, random=0)


def test_stored_circuits_are_compared_by_their_names(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENWORK_HOME", str(tmp_path))
    model, pairs = drawn("gpt2")
    scores = circuits.eap(model, pairs)
    for name, size in (("small", 20), ("large", 40)):
        circuits.choose_edges(scores, size, "greedy").save(place("result", name))
    call = Call.checked("compare-circuits", "", {"a": "small", "b": "large", "random": 9})
    found = call.run()
    assert found.alike[0].only_a == 0 and found.ranks["all"].rho == pytest.approx(1.0)
    assert "compare-circuits --a small --b large --random 9" in call.shell()
    assert [panel.title for panel in found.panels() if isinstance(panel, Rows)] == [
        "What is in both",
        "Rank correlation of their scores",
        "Their edges",
    ]
    assert len(found.figure().data) == 2
