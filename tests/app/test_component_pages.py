"""Circuits between components on the pages of circuits: the view, the list, files, and what is not asked of them."""

import json
from urllib.parse import unquote

import pytest
from component_scores import scores_on
from every_kind import every_kind
from pages import drawn

from app.library.artifacts import library
from app.library.graphs import component_results, graph_of, opened_circuit
from app.pages.circuit import components
from app.pages.circuit.page import opened
from app.pages.circuit_list import compare
from app.pages.circuit_list import page as circuits
from app.server.main import make_server
from app.server.record_pages import path_of
from circuits import choose_edges, component_graph, eap, named_circuit
from circuits.graph.store import load_graph, save_graph
from probe.artifacts.folder import place
from probe.artifacts.records import load_record, save_record
from probe.errors import BadInput


@pytest.fixture
def task(home):
    save_graph(component_graph(scores_on()), place("graph", "task"))
    return "task"


@pytest.mark.parametrize(
    "query", ["", "?k=20&e=grown", "?k=5&e=against&n=3", "?k=nonsense&e=0.5&n=9999&t=2&test=x&groups=y"]
)
def test_the_view_of_a_circuit_of_components(task, query, monkeypatch):
    page = drawn(f"/circuits/{task}{query}", monkeypatch)
    for words in (
        "speaks for the right answer",
        "a1.h2",
        "Which edges are shown",
        "How much do its best edges keep?",
        "mib.json",
    ):
        assert words in page, words
    for words in ("neuronpedia", "Suggest these", "replacement", "conservation", "Compare with", "The prompt"):
        assert words not in page, words


def test_how_many_edges_are_shown_and_which(task):
    assert components.asked({}) == (100, "strongest") and components.asked({"k": "0", "e": "for"}) == (1, "for")
    shown = components.arranged(task, 0, 12, "grown")
    found = load_graph(place("graph", task))
    assert (
        shown.edges is not None
        and shown.edges.sum() == 12
        and components.said_of(found, shown).startswith(f"{shown.edges.sum()} of {len(found.edges)} edges")
    )


def test_a_result_is_listed_and_becomes_one_graph(home, monkeypatch):
    save_record(scores_on(), place("result", "scores"))
    rows = circuits.listed(library())["rows"]
    assert [(r["name"], r["href"], r["of_task"]) for r in rows] == [("scores", "/circuits/of/scores", True)]
    for _ in range(2):
        page = unquote(drawn("/circuits/of/scores", monkeypatch))
        ((folder, manifest),) = library().kinds["graph"]
        assert f"/circuits/{folder.name}" in page and manifest.parents == ("scores",)
    rows = circuits.listed(library())["rows"]
    assert [r["name"] for r in rows] == [folder.name] and component_results() == []
    assert rows[0]["basis"] == "components of a task" and [form for _, form in rows[0]["forms"]] == ["mib", "openwork"]
    drawn("/circuits", monkeypatch)


def test_a_result_that_is_not_there_is_refused(home):
    with pytest.raises(BadInput):
        opened("nothing", {})


def test_downloads(task):
    server = make_server(port=0)
    client = server.app.test_client()
    mib = json.loads(client.get(f"/export/graph/{task}/mib.json", headers={"Host": "127.0.0.1"}).data)
    found = load_graph(place("graph", task))
    at = [found.edge_name(i) for i in range(len(found.edges))].index("input->m0")
    assert mib["edges"]["input->m0"]["score"] == pytest.approx(-float(found.edges.weight[at]))
    answer = client.get(f"/export/graph/{task}/neuronpedia.json", headers={"Host": "127.0.0.1"})
    assert answer.status_code == 404 and "circuit of components" in answer.text
    server.server_close()


def test_it_is_not_compared_with_the_graph_of_a_prompt(task):
    save_graph(every_kind(), place("graph", "prompt"))
    with pytest.raises(BadInput, match="circuit of components"):
        compare.layout("prompt", task, {})


def test_what_is_measured_is_asked_of_the_stored_result(toy, home, monkeypatch):
    scores = eap(toy, "greater-than", n=2)
    save_record(scores, place("result", "scores"))
    save_record(choose_edges(scores, 9, "optimal"), place("result", "chosen"))
    for result, block, named, words in (
        ("scores", components.CURVE, "scores", "How much do its best edges keep?"),
        ("chosen", components.REPORT, "circuit", "Does the circuit do it alone?"),
    ):
        name = opened_circuit(load_record(result), result)
        asked = components.asked_of(block, graph_of(name), name)
        assert asked is not None and (asked["task"], asked[named]) == ("greater-than", result)
        page = drawn(f"/circuits/{name}", monkeypatch)
        assert words in page and "Not to be measured here" not in page
    save_graph(component_graph(scores), place("graph", "alone"))
    assert components.asked_of(components.CURVE, graph_of("alone"), "alone") is None
    assert "Not to be measured here" in drawn("/circuits/alone", monkeypatch)


def test_a_circuit_that_was_named_is_asked_of_a_task_that_one_chooses(toy, home, monkeypatch):
    save_record(named_circuit(toy, ["input->m0", "m0->logits"], kind="edges"), place("result", "mine"))
    name = opened_circuit(load_record(place("result", "mine")), "mine")
    assert components.asked_of(components.REPORT, graph_of(name), name) == {"circuit": "mine"}
    assert '"of": "task"' in drawn(f"/circuits/{name}", monkeypatch)


def test_a_circuit_without_edges_shows_no_picture_and_no_way_to_one(toy, home, monkeypatch):
    found = named_circuit(toy, [], kind="edges")
    assert [type(one).__name__ for one in found.panels()] == ["Sentence"]
    save_record(found, place("result", "none"))
    assert "/circuits/of/none" not in drawn("/results/none", monkeypatch)


def test_it_opens_from_python(home):
    graph = component_graph(scores_on())
    path = path_of(graph)
    assert path == path_of(graph) and load_graph(place("graph", path.rpartition("/")[2])).of_task
