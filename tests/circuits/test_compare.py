"""Differences: a graph from itself is zero, changes are found by hand, and what is not comparable is not compared."""

import dataclasses
import json

import numpy as np
import pytest
from wired import scattered, wired

from circuits.comparison.difference import difference
from circuits.graph.graph import Edges

NODES = [("token", -1, 0, 1), ("latent", 0, 0, 5), ("neuron", 1, 0, 6), ("logit", 2, 0, 2)]
EDGES = [(0, 1, 2.0), (0, 2, 1.0), (1, 3, 3.0), (2, 3, -1.0)]


def row(found, name):
    return next(r for r in found.rows(None) if r["node"] == name)


@pytest.mark.parametrize("match", ["auto", "position", "end", "none"])
def test_a_graph_differs_from_itself_by_nothing(match):
    graph = scattered(0)
    found = difference(graph, graph, match=match)
    assert set(found.where) == {"both"} and found.overlap == pytest.approx(1)
    summary = found.numbers()
    assert "They share 1.000 of their influence" in found.summary()
    assert not any(summary["largest_change"][k] for k in ("influence", "activation", "value", "weight"))
    assert summary["nodes"]["only_a"] == summary["edges"]["only_b"] == 0
    assert summary["edge_correlation"] == pytest.approx(1)
    if match != "none":
        assert summary["edges"]["both"] == len(graph.edges) and summary["nodes"]["both"] == len(graph.nodes)
    assert "same dictionaries" in found.notes[0]


def test_changes_by_hand():
    a = wired(NODES, EDGES, {3: 1.0})
    b = wired(
        [*NODES[:2], ("neuron", 1, 0, 9), NODES[3]], [(0, 1, 4.0), (0, 2, 1.0), (1, 3, 1.0), (2, 3, -1.0)], {3: 1.0}
    )
    found = difference(a, b)
    assert (row(found, "L1N6@0")["in"], row(found, "L1N9@0")["in"]) == ("a", "b")
    assert row(found, "L1N6@0")["influence_b"] is None and row(found, "L1N6@0")["influence_change"] is None
    latent = row(found, "L0F5@0")
    assert (latent["influence_a"], latent["influence_b"]) == (pytest.approx(3 / 4), pytest.approx(1 / 2))
    assert latent["value_change"] == latent["activation_change"] == pytest.approx(2.0)
    edges = {(r["from"], r["to"]): r for r in found.edge_rows(None)}
    assert edges["L0F5@0", "logit ' w2'"]["weight_change"] == pytest.approx(-2.0)
    assert edges["L1N6@0", "logit ' w2'"]["in"] == "a" and edges["L1N9@0", "logit ' w2'"]["weight_a"] is None
    # Shares of all influence, token included (1 of 2 in both): latent 3/8 and 1/4; the neurons are strangers.
    assert found.overlap == pytest.approx(1 / 2 + 1 / 4)
    assert found.numbers()["edges"] == {"only_a": 2, "only_b": 2, "both": 2}


def test_swapping_a_and_b_turns_every_change_round():
    a, b = scattered(0), scattered(1)
    one, other = difference(a, b), difference(b, a)
    assert one.overlap == pytest.approx(other.overlap)
    back = {r["node"]: r for r in other.rows(None)}
    for r in one.rows(None):
        assert r["influence_a"] == back[r["node"]]["influence_b"]
        assert (r["value_change"] or 0) == -(back[r["node"]]["value_change"] or 0)


def test_latents_of_another_dictionary_are_not_matched_though_their_numbers_agree():
    a = wired(NODES, EDGES, {3: 1.0}, dictionaries={"0": "tc-a"})
    same = wired(NODES, EDGES, {3: 1.0}, dictionaries={"0": "tc-a"})
    other = wired(NODES, EDGES, {3: 1.0}, dictionaries={"resid_post.0": "sae"})
    assert set(difference(a, same).where) == {"both"}
    found = difference(a, other)
    latents = [r for r in found.rows(None) if r["kind"] == "latent"]
    assert sorted(r["in"] for r in latents) == ["a", "b"]
    assert row(found, "L1N6@0")["in"] == "both"  # neurons of other layers still are
    assert sum("not matched" in n for n in found.notes) == 2
    elsewhere = difference(
        dataclasses.replace(a, dictionaries={"1": "x"}), dataclasses.replace(a, dictionaries={"1": "y"})
    )
    assert row(elsewhere, "L0F5@0")["in"] == "both"


def test_checkpoints_are_matched_by_number_and_it_says_so():
    a = scattered(0, model="step-100")
    found = difference(a, dataclasses.replace(a, model="step-200"))
    assert set(found.where) == {"both"} and "matched by number" in found.notes[0]


def test_models_of_other_depth_share_only_tokens_and_roots():
    a, b = scattered(0, model="small"), scattered(0, n_layers=5, model="large")
    found = difference(a, b)
    both = {r["kind"] for r in found.rows(None) if r["in"] == "both"}
    assert both == {"token", "logit"} and "only tokens and roots" in found.notes[0]


def test_tokens_of_other_vocabularies_are_matched_by_text():
    a = wired(NODES, EDGES, {3: 1.0}, model="a", unit_tokens=[" one", "", "", " two"])
    renumbered = [("token", -1, 0, 88), *NODES[1:3], ("logit", 2, 0, 77)]
    b = wired(renumbered, EDGES, {3: 1.0}, model="b", unit_tokens=[" one", "", "", " two"])
    assert set(difference(a, b).where) == {"both"}
    assert difference(a, dataclasses.replace(b, model="a")).numbers()["nodes"]["both"] == 2


def test_prompts_of_other_lengths_are_matched_from_the_end():
    long = wired([("token", -1, 0, 3), ("token", -1, 1, 1), *[(k, i, 1, u) for k, i, _, u in NODES[1:]]],
                 [(s + 1, t + 1, w) for s, t, w in EDGES], {4: 1.0})  # fmt: skip
    found = difference(wired(NODES, EDGES, {3: 1.0}), long)
    assert found.convention["match"] == "end"
    assert [r["node"] for r in found.rows(None) if r["in"] != "both"] == ["token@-2 ' w3'"]
    assert not found.numbers()["largest_change"]["influence"]


def test_a_conventions_change_is_noted():
    a = scattered(0, convention={"gated_mlp_rule": "half"})
    found = difference(a, scattered(0, convention={"gated_mlp_rule": "gate"}))
    assert "gated MLP rule: half in a, gate in b" in found.notes


def test_strength_of_one_edge_shows_only_where_it_acts():
    a = scattered(3)
    weight = a.edges.weight.copy()
    weight[-1] += 1.0
    found = difference(a, dataclasses.replace(a, edges=Edges(a.edges.source, a.edges.target, weight)))
    changed = np.flatnonzero(np.diff(found.weight, axis=0)[0])
    assert len(changed) == 1 and found.nodes.names[found.target[changed[0]]].startswith("logit")


def test_the_record_shows_itself():
    found = difference(scattered(0, prompt="<script>"), scattered(1, dictionaries={"2": "<script>"}))
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert "<script>" not in found._repr_html_() and "<script>" not in found.figure().to_json()
    assert all(r["in"] == "b" for r in found.rows(None, where="b"))


@pytest.mark.parametrize("k", [0, 1, 7, 60])
def test_the_first_rows_are_those_of_the_whole_table(k):
    found = difference(scattered(0), scattered(1))
    assert found.edge_rows(k) == found.edge_rows(None)[:k] and found.rows(k) == found.rows(None)[:k]
