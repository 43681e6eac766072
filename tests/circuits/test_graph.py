"""Influence, pruning, storage and exchange of graphs, against numbers worked by hand."""

import dataclasses
import json

import numpy as np
import pytest

from circuits.attribution.trace import TraceConfig, trace
from circuits.exchange.neuronpedia_ids import cantor, uncantor
from circuits.exchange.write_neuronpedia import node_id, to_neuronpedia, write_neuronpedia
from circuits.graph.graph import KINDS, CircuitGraph, Edges, Nodes
from circuits.graph.influence import cumulative_influence, influence, normalised, prune, scores
from circuits.graph.store import load_graph
from probe.errors import BadInput, Unavailable
from probe.model.load import load_model

TOKEN, NEURON, REST, LOGIT = (KINDS.index(k) for k in ("token", "neuron", "rest", "logit"))


def by_hand(**changes) -> CircuitGraph:
    """0 token, 1 rest, 2 and 3 neurons, 4 logit (p = 1).

    neuron 2 <- token 3, rest 1; neuron 3 <- token -2; logit <- neuron 2: 1, neuron 3: -2, rest 1.
    """
    kind = np.array([TOKEN, REST, NEURON, NEURON, LOGIT])
    nodes = Nodes(
        kind,
        np.array([-1, 0, 1, 1, 2]),
        np.zeros(5, int),
        np.array([7, -1, 5, 6, 9]),
        np.array([np.nan, np.nan, 4.0, -2.0, 0.0]),
        np.array([np.nan, np.nan, 4.0, -2.0, np.nan]),
    )
    edges = Edges(
        np.array([0, 1, 0, 2, 3, 1]), np.array([2, 2, 3, 4, 4, 4]), np.array([3.0, 1.0, -2.0, 1.0, -2.0, 1.0])
    )
    fields = {
        "prompt": "x",
        "token_ids": [7],
        "tokens": ["x"],
        "nodes": nodes,
        "edges": edges,
        "constant": np.zeros(5),
        "probability": np.array([0, 0, 0, 0, 1.0]),
        "unit_tokens": ["x", "", "", "", "y"],
        "residual": 0.0,
        "residual_relative": 0.0,
        "n_layers": 2,
    }
    return CircuitGraph(**{**fields, **changes})


def test_influence_by_hand():
    graph = by_hand()
    # logit row: 1/4, 2/4, 1/4. neuron 2 passes 1/4 * (3/4 token, 1/4 rest); neuron 3 passes all its 1/2 to the token.
    assert influence(graph).tolist() == pytest.approx([3 / 16 + 1 / 2, 1 / 16 + 1 / 4, 1 / 4, 1 / 2, 0])


def test_scores_by_hand():
    found = scores(by_hand())
    assert found.replacement == pytest.approx(11 / 16)
    # completeness weights every node by influence (+ probability): only neuron 2 (1/4 from rest) and the logit (1/4) lose.
    weight = np.array([11 / 16, 5 / 16, 1 / 4, 1 / 2, 1])
    lost = np.array([0, 0, 1 / 4, 0, 1 / 4])
    assert found.completeness == pytest.approx(float(((1 - lost) * weight).sum() / weight.sum()))


def test_influence_equals_the_matrix_series():
    graph = trace(load_model("toy"), "one two three", config=TraceConfig(max_nodes=60))
    n = len(graph.nodes)
    N = np.zeros((n, n))
    N[graph.edges.target, graph.edges.source] = normalised(graph)
    series = np.linalg.solve((np.eye(n) - N).T, graph.probability) - graph.probability
    np.testing.assert_allclose(influence(graph), series, rtol=1e-9, atol=1e-12)


def test_pruning_keeps_tokens_logits_and_no_loose_ends():
    graph = trace(load_model("toy"), "one two three", config=TraceConfig(max_nodes=200))
    kept = prune(graph, 0.6, 0.9)
    assert kept.nodes.sum() < len(graph.nodes) and kept.edges.sum() < len(graph.edges)
    assert kept.nodes[graph.nodes.where("token", "logit")].all()
    source, target = graph.edges.source[kept.edges], graph.edges.target[kept.edges]
    assert kept.nodes[source].all() and kept.nodes[target].all()
    units = np.flatnonzero(kept.nodes & graph.nodes.where("neuron"))
    assert np.isin(units, source).all() and np.isin(units, target).all()


def test_pruning_at_one_never_keeps_zero_edges():
    graph = by_hand()
    graph.edges.weight[1] = 0.0
    kept = prune(graph, 1.0, 1.0)
    assert kept.edges.tolist() == [True, False, True, True, True, True]


def test_cumulative_influence_is_small_for_important_nodes():
    found = cumulative_influence(by_hand())
    assert np.argmin(found) == 0 and found[0] == pytest.approx((11 / 16) / (11 / 16 + 5 / 16 + 3 / 4))


def test_round_trip_on_disk(tmp_path):
    graph = trace(load_model("toy"), "one two", config=TraceConfig(max_nodes=30))
    again = load_graph(graph.save(tmp_path / "g"))
    for part in ("nodes", "edges"):
        for f in dataclasses.fields(getattr(graph, part)):
            np.testing.assert_array_equal(getattr(getattr(again, part), f.name), getattr(getattr(graph, part), f.name))
    np.testing.assert_array_equal(again.constant, graph.constant)
    assert json.dumps(again.report(), sort_keys=True) == json.dumps(graph.report(), sort_keys=True)


def test_a_damaged_graph_is_named(tmp_path):
    folder = trace(load_model("toy"), "one two", config=TraceConfig(max_nodes=30)).save(tmp_path / "g")
    with (folder / "graph.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x55")
    with pytest.raises(Unavailable, match=r"graph\.safetensors"):
        load_graph(folder)
    with pytest.raises(BadInput, match="not an Openwork artifact"):
        load_graph(tmp_path)


def test_cantor_is_exact_for_large_units():
    for layer, unit in [(0, 0), (3, 17), (29, 1535), (10**9, 10**12)]:
        assert uncantor(cantor(layer, unit)) == (layer, unit)


def test_exported_ids_are_unique_and_labels_hold_what_frontends_split(tmp_path):
    graph = trace(load_model("toy"), "one two three", config=TraceConfig(max_nodes=120))
    value = to_neuronpedia(graph, node_threshold=1.0, edge_threshold=1.0)
    ids = [n["node_id"] for n in value["nodes"]]
    assert len(set(ids)) == len(ids) == int(prune(graph, 1.0, 1.0).nodes.sum())
    assert all("(p=" in n["clerp"] for n in value["nodes"] if n["feature_type"] == "logit")
    assert all({x["source"], x["target"]} <= set(ids) and x["weight"] != 0 for x in value["links"])
    logits = {n["layer"] for n in value["nodes"] if n["feature_type"] == "logit"}
    assert logits == {str(graph.n_layers + 1)}
    path = write_neuronpedia(graph, tmp_path / "out" / "g.json")
    assert json.loads(path.read_text())["metadata"]["prompt"] == "one two three"


def test_rest_and_error_of_one_place_have_two_ids():
    kind = np.array([KINDS.index("error"), REST, NEURON, NEURON, LOGIT])
    graph = by_hand(nodes=dataclasses.replace(by_hand().nodes, kind=kind, layer=np.array([0, 0, 1, 1, 2])))
    assert node_id(graph, 0) != node_id(graph, 1)


def test_figure_and_notebook_view_escape_tokens():
    graph = by_hand(tokens=["<img src=x onerror=alert(1)>"], unit_tokens=["<b>", "", "", "", "</script>"])
    assert "<img" not in graph._repr_html_() and "</script>" not in graph._repr_html_()
    assert "<img" not in graph.figure().to_json()


def test_a_share_of_influence_is_at_most_all_of_it(monkeypatch):
    """A node at 1 + 2e-16 would be hidden by a filter "up to 1"."""
    found = np.random.default_rng(2).random(7)
    assert (np.cumsum(-np.sort(-found)) / found.sum()).max() > 1
    monkeypatch.setattr("circuits.graph.influence.influence", lambda graph: found)
    assert cumulative_influence(by_hand()).max() == 1.0


def test_rows_of_some_kinds():
    graph = by_hand()
    assert {r["kind"] for r in graph.rows(kind="neuron")} == {"neuron"} and graph.rows(kind="units") == graph.rows(
        kind="neuron"
    )
    assert [r["kind"] for r in graph.rows(kind=("token", "logit"))] == ["token", "logit"] and len(graph.rows(None)) == 5
    assert len(graph.rows(kind="root")) == 1 and graph.prune(1.0).rows(kind="token")
    with pytest.raises(BadInput, match="no kind of node 'neurons'"):
        graph.rows(kind="neurons")


def test_edges_are_signed_by_whether_they_push_their_target_the_way_it_went():
    """A unit at -2 is deepened by an edge of -1; what it adds to a logit keeps its sign, whatever the logit's value."""
    from circuits.graph.figures import graph_figure as picture
    from circuits.graph.html import AGAINST_COLOUR, WITH_COLOUR, links_html
    from circuits.supernodes.collapse import collapse_groups

    kinds = [KINDS.index(k) for k in ("token", "token", "neuron", "logit")]
    nodes = Nodes(
        *(np.array(v) for v in (kinds, [-1, -1, 0, 1], [0, 0, 0, 0], [5, 6, 1, 7])),
        value=np.array([np.nan, np.nan, -2.0, -1.0]),
        activation=np.array([np.nan, np.nan, -2.0, np.nan]),
    )
    edges = Edges(np.array([0, 1, 2, 0]), np.array([2, 2, 3, 3]), np.array([-3.0, 1.0, 0.5, -1.5]))
    graph = CircuitGraph(
        prompt="x",
        token_ids=[5],
        tokens=["x"],
        nodes=nodes,
        edges=edges,
        constant=np.zeros(4),
        probability=np.array([0.0, 0, 0, 1]),
        unit_tokens=["x", "x", "", "y"],
        residual=0.0,
        residual_relative=0.0,
        n_layers=1,
    )
    assert graph.way.tolist() == [1, 1, -1, 1] and graph.pushes.tolist() == [3.0, -1.0, 0.5, -1.5]
    shown = np.ones(4, bool)
    lines = [t.name for t in picture(graph, shown=shown).data if t.mode == "lines" for _ in range(len(t.x) // 3)]
    assert sorted(lines) == ["pushes against it"] * 2 + ["pushes it the way it went"] * 2
    html = links_html(graph, shown)
    assert html.count(f"stroke='{WITH_COLOUR}'") == html.count(f"stroke='{AGAINST_COLOUR}'") == 2
    assert "the way it went" in html and "lower" not in html
    small = collapse_groups(graph, {"both": [0, 1]})
    at = [i for i, (s, t) in enumerate(zip(small.source, small.target, strict=True)) if small.names[s] == "both"]
    assert sorted((float(small.weight[i]), float(small.pushes[i])) for i in at) == [(-2.0, 2.0), (-1.5, -1.5)]
