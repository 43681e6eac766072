"""Circuits between components as graphs: every edge with its score, stored and read again; what cannot be asked of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from component_scores import LAYOUTS, scores_on
from every_kind import every_kind

import openwork as ow
from circuits.edge_attribution.as_graph import edges_of_graph, scores_of_graph
from circuits.exchange.openwork_json import to_openwork
from circuits.exchange.write_neuronpedia import to_neuronpedia
from circuits.graph.component_graph import ComponentGraph
from circuits.graph.figures import FOR, OPPOSED, graph_figure
from circuits.graph.node_edges import node_edges
from circuits.graph.node_positions import of_edges
from circuits.graph.rows import edge_rows, node_table
from circuits.graph.store import load_graph, save_graph
from circuits.search.as_graph import circuit_of_graph, component_graph, mib_of_graph, shown_edges
from circuits.search.circuit import circuit_of
from circuits.search.select import choose_edges, chosen
from circuits.supernodes.subgraph_layout import drawing
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.methods.catalogue import known
from probe.methods.kinds import KINDS


@pytest.fixture
def graph() -> ComponentGraph:
    return component_graph(scores_on())


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_edge_keeps_its_name_its_score_and_its_sign(name):
    scores = scores_on(LAYOUTS[name])
    graph, layout = component_graph(scores), scores.layout
    assert len(graph.edges) == int(layout.edges.sum()) == graph.edges_of_model
    names = [layout.name(int(u), int(v)) for u, v in scores.edges]
    assert [graph.edge_name(i) for i in range(len(names))] == names
    assert (graph.edges.weight == scores.score).all() and ((graph.pushes > 0) == (scores.score < 0)).all()
    assert (graph.edges.source < graph.edges.target).all()
    again = scores_of_graph(graph)
    assert again.layout == layout and (again.score == scores.score).all()
    assert (edges_of_graph(graph) == scores.edges).all()


@pytest.mark.parametrize("name", LAYOUTS)
def test_nodes_are_the_components_and_sum_their_edges(name):
    scores = scores_on(LAYOUTS[name])
    graph, layout = component_graph(scores), scores.layout
    at = {graph.name(i): i for i in range(len(graph.nodes))}
    shared = sum(kv for h, kv in zip(layout.heads, layout.kv_heads, strict=True) if kv != h)
    assert len(at) == len(graph.nodes) == len(layout.senders) + shared + 1
    senders = [at[one] for one in layout.senders]
    assert np.allclose(graph.net[senders], scores.senders(), atol=1e-5)
    assert np.allclose(graph.influence[senders], np.nansum(np.abs(scores.matrix), 1), atol=1e-5)
    assert graph.influence[at["logits"]] == 0 and np.isclose(graph.net[at["logits"]], np.nansum(scores.matrix[:, -1]))
    for kv in (i for one, i in at.items() if "kv" in one):
        into = [i for i, v in enumerate(layout.receivers) if v.partition("<")[0] == graph.name(kv)]
        assert np.isclose(graph.net[kv], np.nansum(scores.matrix[:, into]), atol=1e-5)


def test_what_was_not_measured_is_no_edge():
    scores = scores_on(LAYOUTS["own keys"])
    by_pair = scores.by_pair.copy()
    by_pair[:, 5:] = np.nan
    graph = component_graph(replace(scores, by_pair=by_pair))
    assert len(graph.edges) == 5 and graph.edges_of_model == len(scores.edges)
    assert np.isnan(scores_of_graph(graph).score[5:]).all()
    with pytest.raises(BadInput, match="nothing to draw"):
        component_graph(replace(scores, by_pair=by_pair * np.nan))


def test_scores_that_speak_neither_for_nor_against_are_drawn_alike():
    scores = scores_on()
    graph = component_graph(replace(scores, by_pair=np.abs(scores.by_pair), signed=False))
    assert not graph.signed and (graph.pushes == 1).all() and "neither" in graph.lines_mean
    assert not scores_of_graph(graph).signed and "neither" in graph._repr_html_()


def test_circuits_have_the_scores_that_they_know():
    scores = scores_on()
    chosen = choose_edges(scores, 12)
    graph = component_graph(chosen, scores)
    assert len(graph.edges) == len(chosen) and (graph.edges.weight == scores.matrix[chosen.kept]).all()
    names = ["input->m0", "m0->logits"]
    bare = component_graph(circuit_of(scores.layout, names, method="by hand", task="ioi"))
    assert not bare.scored and [bare.edge_name(i) for i in range(2)] == names and (bare.pushes > 0).all()
    found = [{"edge": names[0], "worse by": 0.5, "kept": True}, {"edge": names[1], "worse by": -0.25, "kept": True}]
    searched = component_graph(circuit_of(scores.layout, names, method="ACDC", task="ioi", found=found))
    assert (
        searched.scored and searched.edges.weight.tolist() == [-0.5, 0.25] and searched.pushes.tolist() == [0.5, -0.25]
    )
    assert searched.searched and "search found" in searched.lines_mean and not graph.searched
    assert circuit_of_graph(searched).names == names
    with pytest.raises(BadInput, match="no edges"):
        component_graph(circuit_of(scores.layout, [], method="by hand", task="ioi"))
    with pytest.raises(BadInput, match="another model's"):
        component_graph(chosen, scores_on(LAYOUTS["own keys"]))


def test_it_is_stored_and_read_as_what_it_is(graph, home):
    folder = save_graph(replace(graph, pinned=[2], supernodes={"both": [3, 4]}), place("graph", "task"))
    read = load_graph(folder)
    assert type(read) is ComponentGraph and read.of_task and (read.side == graph.side).all()
    assert (read.edges.weight == graph.edges.weight).all() and read.facts == graph.facts
    assert read.pinned == [2] and read.supernodes == {"both": [3, 4]} and read.summary() == graph.summary()
    assert not load_graph(save_graph(every_kind(), place("graph", "prompt"))).of_task


def test_choices_of_edges(graph):
    score = graph.edges.weight
    assert set(np.flatnonzero(shown_edges(graph, 7))) == set(np.argsort(-np.abs(score))[:7])
    assert set(np.flatnonzero(shown_edges(graph, 7, "for"))) == set(np.argsort(score)[:7])
    assert (score[shown_edges(graph, 7, "against")] > 0).all()
    grown = shown_edges(graph, 30, "grown")
    wanted = chosen(scores_of_graph(graph), 30, "greedy")
    assert grown.sum() == wanted.sum() == 30 and wanted[tuple(edges_of_graph(graph)[grown].T)].all()
    with pytest.raises(BadInput, match="no choice"):
        shown_edges(graph, 7, "best")


def test_the_picture_holds_the_chosen_edges_by_sign(graph):
    kept = shown_edges(graph, 20)
    figure = graph_figure(graph, shown=of_edges(graph, kept))
    drawn = {
        name: sum(t.x.count(None) for t in figure.data if t.name == name and t.mode == "lines")
        for name in (FOR, OPPOSED)
    }
    assert drawn == {FOR: int((graph.pushes[kept] > 0).sum()), OPPOSED: int((graph.pushes[kept] < 0).sum())}
    root, one = len(graph.nodes) - 1, int(graph.edges.source[kept][0])
    lines = [
        sum(
            t.x.count(None)
            for t in graph_figure(graph, shown=of_edges(graph, kept), node=node).data
            if t.mode == "lines"
        )
        for node in (root, one)
    ]
    assert lines == [20, int(((graph.edges.source == one) | (graph.edges.target == one))[kept].sum())]
    assert "a0.h0" in graph._repr_html_() or "a0.h0" in str(graph.rows(100))


def test_tables_say_which_side_reads(graph):
    head = graph.find("a1.h2")[0]
    assert graph.find("L1H2") == [head]
    rows = edge_rows(graph, head)
    edges = [row for row in rows if row["node"] is not None]
    assert {row["side"] for row in edges} == {"q"} and rows[-1]["unit"] == "sum of edges"
    assert all(np.sign(row["pushes"]) == -np.sign(row["weight"]) for row in edges)
    columns = [one["key"] for one in node_table(graph, of_edges(graph, shown_edges(graph, 9)))["columns"]]
    assert "token" not in columns and "net" in columns
    around = node_edges(graph, "a1.h2").nodes[0]
    assert around.incoming[0][0].endswith(" (q)") and sum(w for _, w in around.incoming) + around.weaker_incoming != 0


def test_pins_are_drawn_with_the_edges_between_them(graph):
    from circuits.graph.marking.marks import Marks

    a, b = graph.find("a0.h0")[0], graph.find("a1.h2")[0]
    found = drawing(graph, Marks(pinned=(a, b)), 1.0)
    assert {one["title"] for one in found["nodes"]} == {"input", "a0.h0", "a1.h2", "logits"}
    weights = {(s, t): w for s, t, w, *_ in found["edges"]}
    between = graph.edges.weight[(graph.edges.source == a) & (graph.edges.target == b)]
    assert np.isclose(weights[f"n{a}", f"n{b}"], between.sum(), rtol=1e-3)


def test_files_of_others(graph):
    told = to_openwork(graph)
    assert len(told["edges"]) == len(graph.edges) and {e["side"] for e in told["edges"]} == {"", "q", "k", "v"}
    mib = mib_of_graph(graph)["edges"]
    name = graph.edge_name(0)
    assert mib[name]["score"] == pytest.approx(-float(graph.edges.weight[0]), rel=1e-5) and mib[name]["in_graph"]
    with pytest.raises(BadInput, match="circuit of components"):
        to_neuronpedia(graph)
    with pytest.raises(BadInput, match="graph of a prompt"):
        mib_of_graph(every_kind())


REFUSED: dict[str, dict[str, Any]] = {
    "edge-heads": {"target": "logits", "source": "a0.h0"},
    "qk-attribution": {"head": "L1H0", "query": 1, "key": 0},
    "compare-graphs": {"a": "task", "b": "prompt"},
    "merge-graphs": {"graphs": ["task", "prompt"]},
    "subgraph-report": {"nodes": ["a0.h0"]},
    "subgraph-test": {"nodes": ["a0.h0"]},
    "sufficiency": {"nodes": ["a0.h0"]},
    "suggest-groups": {},
    "group-by-neighbours": {},
    "subgraph-scores": {"pinned": ["a0.h0"]},
    "export": {"to": "graph.json"},
    "prune": {},
}
"""What is asked of graphs of prompts alone, with what else it needs."""
ANSWERED: dict[str, dict[str, Any]] = {
    "node-edges": {"node": "a0.h0"},
    "show": {},
    "pin": {"nodes": ["a0.h0", "top:2"]},
    "supernodes": {"put": ["both=a0.h0,a1.h2"]},
}
"""What is asked of any graph."""


def test_every_method_of_graphs_answers_or_says_what_it_wants(graph, home, toy, tmp_path, monkeypatch):
    save_graph(graph, place("graph", "task"))
    save_graph(every_kind(), place("graph", "prompt"))
    monkeypatch.chdir(tmp_path)
    methods = {read().name: read() for read in known().values()}
    of_graphs = {name for name, about in methods.items() if any(p.kind is KINDS["GraphName"] for p in about.parameters)}
    assert of_graphs == {*REFUSED, *ANSWERED}
    for name, more in {**REFUSED, **ANSWERED}.items():
        asked = {"graph": "task", **more} if not {"a", "graphs"} & {*more} else more
        function = getattr(ow, methods[name].function)
        given = (toy,) if methods[name].of_model else ()
        if name in ANSWERED:
            assert function(*given, **asked).rows()
            continue
        with pytest.raises(BadInput, match="circuit of components"):
            function(*given, **asked)
    assert load_graph("task").supernodes == {"both": [graph.find("a0.h0")[0], graph.find("a1.h2")[0]]}


def test_what_rests_on_sums_is_refused(graph, toy, tmp_path):
    for ask in (
        lambda: graph.scores,
        lambda: graph.prune(),
        lambda: ow.collapse(graph),
        lambda: ow.check_edges(toy, graph),
        lambda: ow.oracle_rows(toy, graph, [5]),
        lambda: ow.unit_evidence(toy, graph, []),
        lambda: ow.write_unit_files(graph, tmp_path, []),
    ):
        with pytest.raises(BadInput, match="circuit of components"):
            ask()
