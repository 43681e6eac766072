"""The circuit's page opens every graph there is: all kinds of nodes, imported, pruned, of unknown conservation."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from every_kind import LAYOUT, every_kind, exported
from foreign_graphs import attribute, circuit_tracer, neuronpedia
from pages import as_json
from records import small_graph

from app.cli import run as cli_run
from app.figures import linkgraph
from app.jobs import repeat_job as repeating
from app.jobs import results, work
from app.jobs import table as jobs
from app.library import graphs, prompts, recent_records
from app.library.artifacts import library
from app.library.graphs import stored_graph
from app.methods import method_jobs as calls
from app.methods import result_links
from app.pages.circuit import callbacks as graph_callbacks
from app.pages.circuit import page as graph
from app.pages.circuit import panels as graph_panels
from app.pages.circuit import (
    pinned,
    suggestions,
)
from app.pages.circuit import scores as graph_scores
from app.pages.circuit import validation as graph_testing
from app.pages.circuit.node import node_facts, unit_link
from app.pages.circuit_list import compare as graphs_beside
from app.pages.circuit_list import graph_files as importing
from app.pages.circuit_list import page as circuits
from app.server.main import make_server
from circuits import TraceConfig, check_subgraph, check_sufficiency, difference, subgraph_scores, trace
from circuits.exchange.openwork_json import to_openwork
from circuits.exchange.read_neuronpedia import read_neuronpedia
from circuits.graph import in_words, naming
from circuits.graph import rows as graph_rows
from circuits.graph.figures import strongest_edges
from circuits.graph.graph import KINDS, CircuitGraph, Edges, Nodes
from circuits.graph.graph_arguments import top_units as strongest
from circuits.graph.marking.marks import Marks
from circuits.graph.node_positions import arrange
from circuits.graph.rows import edge_rows
from circuits.graph.store import load_graph, save_graph
from circuits.supernodes.groups import Group
from circuits.supernodes.scores_beside import pinned_units
from circuits.supernodes.subgraph_layout import drawing
from probe.artifacts.folder import place
from probe.artifacts.manifest import read_manifest, write_manifest
from probe.errors import BadInput
from probe.methods.call import Call
from probe.model.load import stamp

GRAPHS = {
    "every kind": every_kind,
    "circuit-tracer": lambda: read_neuronpedia(circuit_tracer("old")),
    "attribute": lambda: read_neuronpedia(attribute()),
    "neuronpedia": lambda: read_neuronpedia(neuronpedia()),
    "pruned": lambda: read_neuronpedia(exported(node_threshold=0.7, edge_threshold=0.8)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_has_a_page(name, home):
    found: CircuitGraph = GRAPHS[name]()
    save_graph(found, place("graph", "g"))
    page = as_json(graph.layout("g", {}))
    assert as_json(circuits.layout({})) and as_json(to_openwork(found))
    shown = arrange(found, 1.0)
    assert found.roots[shown.nodes].sum() == found.roots.sum()
    for node in range(len(found.nodes)):
        as_json(node_facts(found, node))
        for way in ("in", "out"):
            as_json(graph_rows.edge_table(found, node, way))
        assert as_json(linkgraph.link_figure(found, shown, node))
    as_json(graph_rows.node_table(found, shown))
    assert ("unknown" in page) == bool(np.isnan(found.residual))


@pytest.mark.parametrize("prompt", ["", "  ", "long " * 5000, "half \ud800"])
def test_a_prompt_that_no_page_takes_hides_no_graph(prompt, home):
    save_graph(
        replace(small_graph(), model="toy", prompt=prompt.encode("utf8", "replace").decode()), place("graph", "g")
    )
    text = as_json(graph.layout("g", {}))
    assert "Subgraph" in text and ("/p/" in text) == prompt.startswith("half")


def test_connections_add_up_where_the_parts_are_known():
    """To the node's own value: exactly, and for a pruned file with what was left out as a row of its own."""
    for found, closing in ((every_kind(), 2), (GRAPHS["pruned"](), 3)):
        for node in np.flatnonzero(found.explained):
            rows = edge_rows(found, int(node))
            assert rows[-1]["unit"] == "sum = value"
            assert rows[-1]["weight"] == pytest.approx(found.nodes.value[node], abs=1e-5)
            assert sum(r["weight"] for r in rows[:-1]) == pytest.approx(found.nodes.value[node], abs=1e-5)
            assert any(r["unit"] == "edges left out" for r in rows[-closing:]) <= (closing == 3)
    unknown = GRAPHS["circuit-tracer"]()
    rows = edge_rows(unknown, unknown.find("L1F9")[0])
    assert rows[-1]["unit"] == "sum of edges" and rows[-1]["weight"] == pytest.approx(4.0)


def test_what_nodes_are_called():
    found = every_kind()
    names = {LAYOUT[i]: naming.short(found, i) for i in range(len(LAYOUT))}
    assert (
        names["head", 0, 1, 2] == "L0H2"
        and names["mlp", 1, 3, -1] == "L1 MLP"
        and names["first", 0, 0, -1] == "L0 first"
    )
    assert names["latent", 1, 3, 5] == "L1F5" and names["direction", 3, 3, 0] == "direction"
    imported = GRAPHS["circuit-tracer"]()
    (node,) = imported.find("L1F9")
    assert naming.titled(imported, node) == "L1F9 · my label" and naming.titled(imported, node, 4).endswith("my …")
    assert all(word in naming.described(imported, node) for word in ("L1F9", "my label"))


def test_units_and_slots_are_named():
    assert in_words.units(every_kind()) == "neurons, latents, MLPs, heads"
    assert in_words.basis(every_kind()) == "layers 2, resid_post.1, neurons elsewhere"
    for value, words in ((float("nan"), "unknown"), (4e-7, "4e−7"), (0.0, "0")):
        assert in_words.conservation(replace(every_kind(), residual_relative=value))[0] == words


@pytest.mark.parametrize("name", GRAPHS)
def test_the_snippet_opens_what_cannot_be_traced_again(name, home):
    found = GRAPHS[name]()
    save_graph(found, place("graph", "g"))
    python, shell = graph_panels.made_again(found, "g")
    names: dict[str, Any] = {}
    exec(python, names)
    assert names["graph"].prompt == found.prompt and shell is None


def test_hostile_graphs_have_a_page_without_markup(home):
    value = circuit_tracer()
    nasty = "<img src=x onerror=alert(1)>"
    value["metadata"].update(prompt=nasty, prompt_tokens=[nasty, "</script>"], scan="../../etc/passwd", slug=nasty)
    value["metadata"]["generation_settings"] = {nasty: nasty}
    value["nodes"][2]["clerp"], value["qParams"]["supernodes"] = nasty, [[nasty, "1_9_1"]]
    found = read_neuronpedia(value)
    save_graph(replace(found, facts={"imported": "not a mapping"}), place("graph", "g"))
    assert as_json(graph.layout("g", {})) and graph._prompt_link(load_graph(place("graph", "g"))) is None
    shown = arrange(found, 1.0)
    assert "<img" not in as_json(linkgraph.link_figure(found, shown, 0))


def test_downloads_of_every_graph(home):
    server = make_server(port=0)
    try:
        client = server.app.test_client()
        for name, make in GRAPHS.items():
            save_graph(make(), place("graph", name.replace(" ", "-")))
            for form in ("neuronpedia", "openwork"):
                answer = client.get(
                    f"/export/graph/{name.replace(' ', '-')}/{form}.json", headers={"Host": "127.0.0.1"}
                )
                assert answer.status_code == 200 and answer.get_json()["nodes"], (name, form)
    finally:
        server.server_close()


# -- the subgraph, the test in place, two graphs, import and trash -----------------------------------------------------------


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_can_be_marked_and_drawn(name, home):
    found: CircuitGraph = GRAPHS[name]()
    save_graph(found, place("graph", "g"))
    done = graphs.mark("g", {"op": "top", "n": 4})
    assert not done.wrong, done.said
    drawn, words = pinned.drawing("g", 1.0)
    assert (
        as_json(drawn)
        and "edges" in words
        and {n["node"] for n in drawn["nodes"]} >= set(done.marks.pinned) - _grouped(done)
    )
    assert as_json(pinned.pin_table("g")) and len(pinned.pin_table("g")["rows"]) == len(done.marks.chosen)
    whole = as_json(graph_scores.scores_in_sight("g", 0.8, 0.9))
    assert "pruned" in whole and "pinned" in whole
    assert as_json(graph.layout("g", {"k": "0.5", "e": "nan", "n": "0"}))


def _grouped(now: graphs.Marked) -> set[int]:
    return {i for members in now.marks.groups.values() for i in members}


def test_the_scores_in_sight_are_those_of_the_record(home):
    found = replace(every_kind(), pinned=[], supernodes={})
    save_graph(found, place("graph", "g"))
    units = np.flatnonzero(found.nodes.where("neuron", "latent", "mlp", "head"))[:3].tolist()
    graphs.mark("g", {"op": "pin", "nodes": units})
    assert pinned_units(stored_graph("g")) == tuple(units)
    mine = graph_scores.pinned("g", graphs.body("g"), tuple(units))
    assert (mine.nodes, mine.scores) == (3, subgraph_scores(found, units, n_random=0).scores)
    left, same = graph_scores.pruned("g", graphs.body("g"), 0.7, 0.8), found.prune(0.7, 0.8)
    assert (left.nodes, left.edges, left.scores) == (same.nodes.sum(), same.edges.sum(), same.scores)
    assert pinned_units(replace(found, pinned=[0])) == (), "a token explains nothing by itself"
    assert graph_scores.pinned("g", graphs.body("g"), ()) is None


def test_addresses_hold_the_sliders_and_malformed_ones_are_left_out():
    found = every_kind()
    first = graph_panels.shares(found, {})
    assert graph_panels.shares(found, {"k": "0.55", "e": "0.7"}) == (0.55, 0.7)
    assert graph_panels.shares(found, {"k": "nan", "e": "x"}) == first
    assert graph_panels.shares(found, {"k": "7", "e": "-1"}) == (1.0, 0.3)


def test_search_finds_by_name_label_and_token():
    found = GRAPHS["circuit-tracer"]()
    (node,) = found.find("L1F9")
    for text in ("l1f9", "MY LABEL", "L1F9@"):
        assert {"node": node} in [r["pick"] for r in graph_rows.found_table(found, text)["rows"]], text
    every = every_kind()
    at_two = {r["pick"]["node"] for r in graph_rows.found_table(every, "<b>two")["rows"]}
    assert at_two == {i for i in range(len(every.nodes)) if every.nodes.pos[i] == 2 or "<b>two" in every.unit_tokens[i]}
    assert "No node" in graph_rows.found_table(every, "nowhere")["note"]


def test_units_lead_to_their_pages(home):
    found = replace(every_kind(), model="toy")
    prompt = prompts.prompt_id(found.prompt)
    ends = {
        k: unit_link(found, LAYOUT.index(v))
        for k, v in {"neuron": ("neuron", 1, 3, 5), "head": ("head", 1, 3, 5), "token": ("token", -1, 0, 10)}.items()
    }
    assert ends["neuron"] == f"/units/neuron/1/5?m=toy&p={prompt}&t=3" and ends["token"] is None
    assert ends["head"].startswith("/heads?m=toy") and "h=1.5" in ends["head"]
    assert unit_link(found, LAYOUT.index(("latent", 2, 3, 5))) is None, "its dictionary is not stored"
    assert unit_link(GRAPHS["circuit-tracer"](), 3) is None


@pytest.fixture(scope="module")
def traced(toy):
    """A graph of the toy model, as it was traced."""
    return trace(toy, "one two three", config=TraceConfig(max_nodes=40))


def of_pins(name: str, **more: Any) -> Call:
    """The test of what is pinned, as the page asks it."""
    return Call.checked("subgraph-test", "toy", {**graph_testing.given(name), **more})


def done(call: Call) -> str:
    """The key of its result, once it is there."""
    key = work.submit(calls.work_of(call))
    jobs.job_table().wait(jobs.job_table().latest(key).id)
    assert work.result(key) is not None, jobs.job_table().latest(key).message
    return key


def test_the_pinned_subgraph_is_tested_in_the_model(traced, toy, home):
    save_graph(traced, place("graph", "g"), model=stamp(toy))
    root = int(traced.probability.argmax())
    units = sorted([*strongest(traced, 3), int(np.flatnonzero(traced.nodes.where("token"))[1]), root])
    graphs.mark("g", {"op": "pin", "nodes": units})
    assert graph_testing.cannot(traced) == ""
    assert [traced.find(n) for n in graph_testing.given("g")["nodes"]] == [[i] for i in units]
    graphs.mark("g", {"op": "unpin", "nodes": units})
    units = strongest(traced, 4)
    graphs.mark("g", {"op": "pin", "nodes": units})
    key = done(of_pins("g", n_random=3, sufficient=True))
    found, same = work.result(key), check_subgraph(toy, traced, units, n_random=3)
    assert found.test.to_dict() == same.to_dict() and found.alone is not None
    assert calls.key_for(of_pins("g", n_random=3, sufficient=True)) == key
    recent_records.forget()  # as after a restart: by its address, by the page alone, by the list of results
    jobs.forget()
    for query in ({"test": key}, {}):
        page = as_json(graph.layout("g", query))
        assert page.count(f'"data": "{key}"') == 2 and "the graph predicted" in page and "too few random" in page
    folder = results.folder_of(key)
    write_manifest(folder, replace(read_manifest(folder), created="2001-01-01T00:00:00+00:00"))
    assert calls.key_for(of_pins("g", n_random=3, sufficient=True)) != key, (
        "what is asked of a graph traced anew is another question"
    )
    page = as_json(graph.layout("g", {}))
    assert "the graph predicted" not in page, "a test of a graph that was traced anew since"
    assert f"/results/{folder.name}" in page, "and it is listed, whatever was pinned"


def test_a_test_that_was_stored_before_is_shown(traced, toy, home):
    save_graph(traced, place("graph", "g"), model=stamp(toy))
    units = strongest(traced, 2)
    pair = check_subgraph(toy, traced, units, n_random=1), check_sufficiency(toy, traced, units, n_random=1)
    key, asked = "subgraph-test:0123456789abcdef", {"mode": "ablate", "n_random": 1, "nodes": ["a", "b"]}
    results.keep(
        key,
        "Test 2 pinned nodes of g",
        pair,
        page=f"/circuits/g?test={quote(key, safe='')}",
        about=("g",),
        options=asked,
    )
    for query in ({"test": key}, {}):
        page = as_json(graph.layout("g", query))
        assert "the graph predicted" in page and "Alone, with the other" in page
    assert graph_testing.tested_before(key).test.to_dict() == pair[0].to_dict()
    asked = {
        "name": "g",
        "of": graphs.body("g"),
        "nodes": units,
        "options": {"mode": "restore", "restore": "two two three"},
    }
    repeating.TASKS["test"]({**asked, "enough": False})
    job = jobs.job_table().wait(jobs.job_table().active()[0].id)
    assert job.state == "done", job.message


def test_what_was_asked_of_a_graph_runs_again_after_a_restart(traced, toy, home):
    save_graph(traced, place("graph", "g"), model=stamp(toy))
    save_graph(traced, place("graph", "h"), model=stamp(toy))
    recent_records.forget()
    graphs.mark("g", {"op": "pin", "nodes": strongest(traced, 2)})
    keys = [work.submit(calls.work_of(of_pins("g", mode="scale", factor=0.5, n_random=1))), suggestions.suggest("g")]
    keys.append(beside("g", "h", match="end"))
    graphs.mark("g", {"op": "top", "n": 1})  # what is pinned now is another question
    found = {}
    for i, key in enumerate(keys):
        job = jobs.job_table().wait(jobs.job_table().latest(key).id)
        assert job.state == "done", job.message
        found[key] = work.result(key)
        raw = {**json.loads((home / "jobs" / f"{job.id}.json").read_text()), "state": "interrupted"}
        (home / "jobs" / f"old-{i}.json").write_text(json.dumps(raw))
        (home / "jobs" / f"{job.id}.json").unlink()
        shutil.rmtree(results.folder_of(key), ignore_errors=True)
    recent_records.forget()
    jobs.forget()
    for i, key in enumerate(keys):
        old = jobs.job_table().get(f"old-{i}")
        assert old is not None and repeating.can_repeat(old) and not work.is_there(key)
        repeating.repeat(old.id)
        again = jobs.job_table().wait(jobs.job_table().latest(key).id)
        assert (again.state, again.link) == ("done", old.link) and again.id != old.id, again.message
        assert work.result(key) is not None
    assert work.result(keys[0]).to_dict() == found[keys[0]].to_dict()
    assert "match=end" in jobs.job_table().latest(keys[2]).link
    groups = jobs.job_table().latest(keys[1]).again[1]
    test = {"name": "g", "of": graphs.body("g"), "nodes": [1], "options": {"mode": "ablate"}, "enough": False}
    for name, wrong in (
        ("test", {**test, "of": "0"}),
        ("test", {**test, "nodes": [10**6]}),
        ("test", {**test, "nodes": "ab"}),
        ("test", {**test, "options": {"n_random": "x"}}),
        ("groups", {**groups, "among": [-1]}),
        ("compare", {"name": "g", "other": "gone", "match": "end"}),
        ("compare", {"name": "g", "other": "h", "match": "sideways"}),
    ):
        file = {"kind": "graph", "title": "odd", "state": "interrupted", "again": [name, wrong], "created": 1.0}
        (home / "jobs" / "odd.json").write_text(json.dumps(file))
        jobs.forget()
        with pytest.raises(BadInput):
            repeating.repeat("odd")


def test_what_the_page_asks_of_nothing_is_refused_in_a_sentence(traced, toy, home):
    save_graph(traced, place("graph", "g"), model=stamp(toy))
    with pytest.raises(BadInput, match="Nothing is pinned"):
        of_pins("g").run(toy)
    graphs.mark("g", {"op": "top", "n": 1})
    with pytest.raises(BadInput, match="prompt"):
        of_pins("g", mode="patch").run(toy)


def test_graphs_that_cannot_be_tested_say_why(home):
    assert "imported" in graph_testing.cannot(GRAPHS["circuit-tracer"]())
    assert "none of those known" in graph_testing.cannot(every_kind())
    assert "'stream'" in graph_testing.cannot(replace(every_kind(), model="toy"))


def test_suggestions_are_taken_or_put_aside(traced, toy, home):
    recent_records.forget()
    save_graph(traced, place("graph", "g"), model=stamp(toy))
    key = suggestions.suggest("g")
    link = jobs.job_table().wait(jobs.job_table().latest(key).id).link
    record = work.result(key)
    assert len(record.nodes) and "shared tokens" in suggestions.told("g", key)["words"]
    assert f'"data": "{key}"' in as_json(graph.layout("g", {"groups": key})) and link.startswith("/circuits/g?groups=")
    group = Group("both", tuple(strongest(traced, 2)), 0.9)
    recent_records.remember("work", "", key, replace(record, groups=(group,)))
    (row,) = suggestions.told("g", key)["rows"]
    assert row["nodes"] == list(group.nodes) and row["name"] == "both"
    graphs.look("g", {"dismiss": row["key"]})
    assert not suggestions.told("g", key)["rows"]
    save_graph(replace(traced, model="unknown/model"), place("graph", "h"))
    alone = suggestions.suggest("h")
    jobs.job_table().wait(jobs.job_table().latest(alone).id)
    assert suggestions.told("h", alone)["words"].split(". ")[1].startswith("Alike by shared neighbours;")


def beside(a: str, b: str, **asked: str) -> str:
    """The key of the comparison that the page of two graphs asks, once it is there."""
    assert as_json(graphs_beside.layout(a, b, asked))
    return done(Call.checked("compare-graphs", "", {"a": a, "b": b, **asked}))


def test_two_graphs_beside_each_other(home):
    recent_records.forget()
    one, other = every_kind(), every_kind(seed=1)
    save_graph(one, place("graph", "a"))
    save_graph(other, place("graph", "b"))
    key = beside("a", "b")
    found = work.result(key)
    assert found.to_dict() == difference(one, other).to_dict()
    page = as_json(graphs_beside.layout("a", "b", {"result": key}))
    titles = ("What is in both", "Nodes of both that changed most", "Edges that changed most", "Influence in b")
    assert all(
        words in page for words in (*titles, "in both, ", f"share {found.overlap:.3f}", "compare-graphs --a a --b b")
    )
    link = result_links.node_links(["a", "b"])
    for r in found.rows(100):
        address, _ = link(r["node"], r)
        assert address in page or r["in"] == "both"
        node, of = int(re.search(r"n=(\d+)", address)[1]), other if r["in"] == "b" else one
        assert of.name(node).split(" ")[0] == r["node"].split(" ")[0]
    assert link("L9N9", {}) == (None, "")
    assert as_json(graphs_beside.small_links("a", "dark"))
    with pytest.raises(BadInput, match="not differ from itself"):
        graphs_beside.layout("a", "a", {})
    with pytest.raises(BadInput, match="No graph named"):
        graphs_beside.layout("a", "c", {})
    with pytest.raises(BadInput, match="match"):
        graphs_beside.layout("a", "b", {"match": "sideways"})


@pytest.fixture
def client(home):
    server = make_server(port=0)
    yield server.app.test_client()
    server.server_close()


def post(client, body: bytes, name: str = "my graph.json", **headers: str):
    return client.post(f"/import/graph?name={quote(name)}", data=body, headers={"Host": "127.0.0.1", **headers})


def test_files_are_imported_under_safe_names_of_their_own(client):
    body = json.dumps(exported()).encode()
    names = [
        post(client, body, n).get_json()["name"]
        for n in ("my graph.json", "my graph.json", "../../etc/passwd", "", "漢.JSON")
    ]
    assert names == ["my-graph", "my-graph-2", "passwd", "imported", "imported-2"]
    whole, read = every_kind(), load_graph(place("graph", "my-graph"))
    assert read.pinned and len(read.edges) == len(whole.edges) and read.supernodes == whole.supernodes
    assert as_json(circuits.layout({})).count("/circuits/") >= 5 and as_json(graph.layout("my-graph", {}))
    assert not any((home_of() / "incoming").iterdir()), "nothing is left behind"


def home_of():
    from probe.artifacts.folder import home

    return home()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"not json", "not JSON"),
        (b"[]", "holds a list"),
        (b"{}", "no metadata"),
        (b'{"report": {}, "nodes": []}', "Neuronpedia JSON instead"),
        (b'{"metadata": {"prompt_tokens": []}, "nodes": [], "links": []}', "no logit"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 200_000, "deep"),
        (b'{"a": NaN}', "NaN"),
    ],
)
def test_files_that_are_no_graphs_get_a_sentence(client, body, words):
    said = post(client, body).get_json()["refused"]
    assert words in said and "Traceback" not in said and not list((home_of() / "graphs").glob("*"))


def test_imports_are_limited_and_only_from_our_own_pages(client, monkeypatch):
    body = json.dumps(exported()).encode()
    assert post(client, body, Origin="http://evil.example").status_code == 403
    assert post(client, body, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    padded = body[:-1] + b" " * 3_000_000 + b"}"
    assert post(client, padded).status_code == 200, "more than callbacks may post"
    monkeypatch.setattr(importing, "LARGEST", 1000)
    refused = post(client, body)
    assert "larger than" in refused.get_data(as_text=True)
    assert client.get("/import/graph", headers={"Host": "127.0.0.1"}).status_code in (200, 405)


def test_what_is_deleted_is_in_the_trash_and_comes_back(home):
    save_graph(every_kind(), place("graph", "g"))
    graphs.mark("g", {"op": "pin", "nodes": [15]})
    rows, said = circuits.changed({"delete": "g"})
    assert (
        not rows["rows"]
        and said["back"].startswith("trash/graphs/g.")
        and (home_of() / said["back"] / "manifest.json").is_file()
    )
    rows, again = circuits.changed({"back": said["back"]})
    assert (
        [r["name"] for r in rows["rows"]] == ["g"]
        and "is back" in again["words"]
        and 15 in graphs.marked("g").marks.pinned
    )
    _, gone = circuits.changed({"back": said["back"]})
    assert gone["wrong"] and "no longer" in gone["words"]
    for bad in ("../prompts", "nothing", "", "."):
        assert circuits.changed({"delete": bad})[1]["wrong"]
    circuits.changed({"delete": "g"})
    save_graph(every_kind(), place("graph", "g"))
    where = next((home_of() / "trash" / "graphs").iterdir()).name
    assert circuits.changed({"back": where})[1]["words"] == "'g-2' is back."


def test_damaged_graphs_are_listed_and_can_be_deleted(home):
    folder = save_graph(every_kind(), place("graph", "g"))
    (folder / "manifest.json").write_text("{")
    rows = circuits.listed(library())["rows"]
    assert rows[0]["name"] == "g" and rows[0]["damaged"]
    assert not circuits.changed({"delete": "g"})[0]["rows"]


def test_long_prompts_have_a_page(home):
    n = 1000
    found = long_graph(n)
    save_graph(found, place("graph", "g"))
    graphs.mark("g", {"op": "top", "n": 20})
    drawn, _ = pinned.drawing("g", 1.0)
    assert len(drawn["nodes"]) < 60 and as_json(graph.layout("g", {}))
    _, shown = graph_callbacks.arranged("g", 0.8)
    assert len(as_json(linkgraph.link_figure(found, shown))) < 1_000_000


def long_graph(n: int) -> CircuitGraph:
    """n tokens, n neurons that read one token each, one logit that reads them all."""
    kind = np.r_[np.zeros(n, int), np.full(n, KINDS.index("neuron")), KINDS.index("logit")]
    layer, pos = np.r_[np.full(n, -1), np.zeros(n, int), 1], np.r_[np.arange(n), np.arange(n), n - 1]
    weight = np.random.default_rng(0).normal(size=2 * n).astype(np.float32)
    source, target = np.r_[np.arange(n), np.arange(n, 2 * n)], np.r_[np.arange(n, 2 * n), np.full(n, 2 * n)]
    value = np.r_[np.full(n, np.nan), weight[:n], weight[n:].sum()]
    nodes = Nodes(kind, layer, pos, np.arange(2 * n + 1), value, np.where(kind == KINDS.index("neuron"), 1.0, np.nan))
    probability, text = np.r_[np.zeros(2 * n), 0.5], [f" {i}" for i in range(n)]
    return CircuitGraph(
        prompt="long",
        token_ids=list(range(n)),
        tokens=text,
        nodes=nodes,
        edges=Edges(source, target, weight),
        constant=np.zeros(2 * n + 1),
        probability=probability,
        unit_tokens=[*text, *([""] * n), " x"],
        residual=0.0,
        residual_relative=0.0,
        n_layers=1,
        model="toy",
    )


def test_snippets_of_every_panel_run(traced, toy, home, capsys):
    save_graph(traced, place("graph", "g"), model=stamp(toy))
    save_graph(traced, place("graph", "h"), model=stamp(toy))
    graphs.mark("g", {"op": "top", "n": 3})
    done(of_pins("g", n_random=1))
    beside("g", "h")
    page = [*graph.layout("g", {}), *graphs_beside.layout("g", "h", {}), *circuits.layout({})]
    found = [c for c in codes(page) if c.startswith(("from ", "import ")) and "graph.json" not in c]
    assert len(found) >= 8
    for code in found:
        exec(code, {})
    shell = [c for c in codes(page) if c.startswith("openwork ") and "import" not in c and "trace" not in c]
    assert len(shell) >= 5
    for line in shell:
        assert cli_run(shlex.split(line)[1:]) == 0, line


def codes(component: Any) -> list[str]:
    """Every text that a page offers to copy."""
    tree = json.loads(as_json(component))
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("data-copy"), str):
                found.append(node["data-copy"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(tree)
    return list(dict.fromkeys(found))


def test_pages_draw_an_edge_by_what_it_does_to_its_target():
    """Into a unit below zero, on the link graph, in the subgraph and in the list of connections."""
    found = small_graph()
    target = int(next(i for i in np.flatnonzero(found.nodes.where("neuron")) if len(found.incoming(int(i)))))
    down = replace(found.nodes, value=found.nodes.value.copy(), activation=found.nodes.activation.copy())
    down.value[target] = down.activation[target] = -abs(down.value[target])
    turned = replace(found, nodes=down)
    raw = {int(s): float(w) for s, w in zip(found.incoming(target).source, found.incoming(target).weight, strict=True)}
    rows = graph_rows.edge_table(turned, target, "in")
    for row in (r for r in rows["rows"] if r.get("pick")):
        assert row["weight"] == pytest.approx(raw[row["pick"]["node"]])
        assert row["pushes"] == pytest.approx(-row["weight"])
    assert "below zero" in rows["note"] and "note" in graph_rows.edge_table(found, target, "in")
    assert not graph_rows.edge_table(found, target, "in")["note"] or (found.way < 0).any()
    shown = arrange(turned, 1.0)
    source = next(iter(raw))
    for one, sign in ((found, found.way[target]), (turned, -1)):
        against = {(s, t): w for s, t, w in zip(*strongest_edges(one, shown, target, 60), strict=True)}
        assert np.sign(against[source, target]) == np.sign(raw[source]) * sign
    drawn = drawing(turned, Marks(pinned=(target, source)), 1.0)
    (edge,) = [e for e in drawn["edges"] if e[0] == f"n{source}" and e[1] == f"n{target}"]
    assert edge[4] == (raw[source] > 0)


def test_a_page_that_is_looked_at_again_shows_what_was_edited_elsewhere(home):
    save_graph(every_kind(), place("graph", "g"))
    made = read_manifest(place("graph", "g"))
    before = graphs.marked("g").marks.revision
    assert pinned.seen_again("g", before) is None
    graphs.mark("g", {"op": "top", "n": 2})  # another tab
    now = pinned.seen_again("g", before)
    assert (
        now["revision"] != before
        and now["pinned"] == list(graphs.marked("g").marks.pinned)
        and "Edited meanwhile" in now["said"]
        and now["state"] == "stale"
    )
    after = read_manifest(place("graph", "g"))
    assert after.created == made.created and after.versions == made.versions and not made.changed and after.changed
    said = dict(in_words.provenance(stored_graph("g"), after))
    assert said["made"] == made.created[:16].replace("T", " ") and "pins and labels changed" in said
