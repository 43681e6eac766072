"""Merging prompts: identity by hand, counts and means by hand, intervals against a second bootstrap, refusals."""

import dataclasses
import json

import numpy as np
import pytest
from wired import scattered, wired

from circuits.comparison.identity import identities
from circuits.comparison.merge import merge_graphs
from circuits.graph.graph import CircuitGraph
from probe.errors import BadInput
from probe.statistics import bootstrap_each


def prompt(extra: int, weights: tuple[float, float], unit: int = 5, answer: int = 2, **changes) -> CircuitGraph:
    """`extra` tokens before the last: neuron `unit` at the last position reads both ends and writes the answer's logit."""
    nodes = [("token", -1, p, 7 + p) for p in range(extra + 1)]
    last = extra
    nodes += [("neuron", 0, last, unit), ("logit", 1, last, answer)]
    n = len(nodes)
    edges = [(0, n - 2, weights[0]), (n - 2, n - 1, weights[1]), (last, n - 1, 1.0)]
    return wired(nodes, edges, {n - 1: 0.5}, **{"prompt": f"{extra} {unit} {answer}", **changes})


def row(merged, name):
    return next(r for r in merged.rows(None) if r["node"] == name)


def test_a_unit_is_itself_at_another_position_counted_from_the_end():
    graphs = [prompt(1, (1.0, 3.0)), prompt(4, (2.0, 1.0))]
    merged = merge_graphs(graphs, align="end", resamples=200)
    found = row(merged, "L0N5@-1")
    # Shares of the logit: 3/4 and 1/2, whatever its probability.
    assert found["prompts"] == 2 and found["influence"] == pytest.approx(5 / 8)
    assert found["influence_sd"] == pytest.approx(np.std([3 / 4, 1 / 2], ddof=1))
    assert row(merged, "token@-3")["prompts"] == 1 and row(merged, "token@-1")["prompts"] == 2
    by_position = merge_graphs(graphs, align="position")
    assert row(by_position, "L0N5@1")["prompts"] == row(by_position, "L0N5@4")["prompts"] == 1


def test_without_positions_nodes_of_a_unit_are_added_up():
    nodes = [("token", -1, 0, 7), ("neuron", 0, 0, 5), ("neuron", 0, 1, 5), ("logit", 1, 1, 2)]
    two = wired(nodes, [(0, 1, 1.0), (0, 2, 1.0), (1, 3, 1.0), (2, 3, -3.0)], {3: 1.0})
    merged = merge_graphs([two], roots="token")
    assert row(merged, "L0N5")["influence"] == pytest.approx(1.0)
    edge = next(r for r in merged.edge_rows(None) if r["from"] == "L0N5")
    assert edge["weight"] == pytest.approx(-2.0) and edge["to"] == "logit ' w2'"
    assert row(merged, "L0N5")["low"] is None  # one prompt has no spread


def test_edges_and_absent_units_by_hand():
    graphs = [prompt(1, (1.0, 3.0)), prompt(1, (2.0, 1.0)), prompt(1, (1.0, 1.0), unit=6)]
    merged = merge_graphs(graphs, align="none")
    found = row(merged, "L0N5")
    assert (found["prompts"], found["influence"]) == (2, pytest.approx((3 / 4 + 1 / 2) / 3))
    assert found["mean_held"] == pytest.approx(5 / 8)
    edge = next(r for r in merged.edge_rows(None) if (r["from"], r["to"]) == ("L0N5", "logit ' w2'"))
    assert (edge["prompts"], edge["weight"], edge["mean_held"]) == (2, pytest.approx(4 / 3), pytest.approx(2.0))
    assert merged.overlap == pytest.approx((1 + 0 + 0) / 3)


def test_answers_meet_by_rank():
    graphs = [prompt(1, (1.0, 3.0), answer=2), prompt(1, (1.0, 3.0), answer=3)]
    assert row(merge_graphs(graphs), "logit ' w3'")["prompts"] == 1
    ranked = merge_graphs(graphs, roots="rank")
    assert row(ranked, "logit #1")["prompts"] == 2
    edge = next(r for r in ranked.edge_rows() if r["from"] == "L0N5")
    assert edge["prompts"] == 2 and edge["low"] == edge["high"] == 3.0


def test_merging_a_graph_with_itself_is_the_graph():
    graph = scattered(0)
    merged = merge_graphs([graph, graph, graph], align="position", max_edges=10**6)
    assert len(merged.nodes) == len(graph.nodes) and merged.held.all() and merged.overlap == 1
    mass = graph.probability.sum()
    at = merged.nodes.where[0]
    np.testing.assert_allclose(merged.spread.mean[at], graph.influence / mass)
    assert not merged.spread.sd.any() and np.allclose(merged.spread.low, merged.spread.high)
    assert len(merged.source) == len(graph.edges)
    into = np.bincount(merged.target, merged.edge_spread.mean, minlength=len(merged.nodes))[at]
    np.testing.assert_allclose(into[graph.explained], graph.nodes.value[graph.explained], atol=1e-12)


def test_only_the_edges_that_carry_most_are_kept():
    graphs = [scattered(s) for s in range(3)]
    every, few = (merge_graphs(graphs, max_edges=n) for n in (10**6, 10))
    assert len(few.source) == 10 < len(every.source)
    assert few.edge_rows(10) == every.edge_rows(10)


def test_intervals_agree_with_a_second_bootstrap():
    values = np.random.default_rng(0).exponential(size=(12, 2500))
    found = bootstrap_each(values, 4000, 1)
    rng = np.random.default_rng(5)
    drawn = np.array([values[rng.integers(0, 12, 12), :3].mean(0) for _ in range(4000)])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(found.low[:3], low, rtol=0.06)
    np.testing.assert_allclose(found.high[:3], high, rtol=0.06)
    # Nominal 95% intervals of skewed data from 12 prompts cover less than that, but most.
    covered = ((found.low < 1) & (found.high > 1)).mean()
    assert 0.8 < covered < 0.96


def test_other_models_and_other_dictionaries_are_refused():
    graph = scattered(0, dictionaries={"4": "tc-a"})
    with pytest.raises(BadInput, match="Only graphs of one model"):
        merge_graphs([graph, dataclasses.replace(graph, model="other")])
    for other in ({"4": "tc-b"}, {}, {"4": "tc-a", "resid_post.2": "sae"}):
        with pytest.raises(BadInput, match="same only within one dictionary"):
            merge_graphs([graph, dataclasses.replace(graph, dictionaries=other)])
    with pytest.raises(BadInput, match="no graph"):
        merge_graphs([])
    with pytest.raises(BadInput, match="align is"):
        merge_graphs([graph], align="start")  # type: ignore[arg-type]


def test_what_differs_between_the_graphs_is_noted():
    a, b = (scattered(0, convention={"gated_mlp_rule": r}) for r in ("half", "gate"))
    assert any("gated_mlp_rule differs between the graphs: half, gate" in n for n in merge_graphs([a, b]).notes)


def test_directions_are_known_by_name():
    nodes = [("token", -1, 0, 7), ("direction", 1, 0, 0)]
    a, b, c = (wired(nodes, [(0, 1, 1.0)], {1: 1.0}, unit_tokens=["", name]) for name in ("x - y", "x - y", "z"))
    at = identities([a, b, c], "none")
    assert at.names == ["token ''", "direction 'x - y'", "direction 'z'"]
    assert [w.tolist() for w in at.where] == [[0, 1], [0, 1], [0, 2]]


def test_the_record_shows_itself():
    merged = merge_graphs([scattered(0, prompt="<script>"), scattered(1)], align="end")
    assert json.dumps(merged.to_dict(), allow_nan=False)
    assert "<script>" not in merged._repr_html_() and "<script>" not in merged.figure().to_json()
    assert all(r["kind"] == "neuron" for r in merged.rows(kind="units"))
