"""`openwork graph ...`: results on stdout, sentences on stderr, files and stored graphs as asked, nothing half done."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_kind import LAYOUT, every_kind, same
from foreign_graphs import circuit_tracer

from app.cli import run
from circuits.graph.checks import conservation
from circuits.graph.graph import UNITS
from circuits.graph.store import load_graph, save_graph
from probe.artifacts.folder import place
from probe.artifacts.manifest import ModelStamp, check_files, read_manifest


@pytest.fixture
def graphs(home) -> Path:
    """Two stored graphs, g and h, and a foreign file."""
    for name, seed in (("g", 0), ("h", 1)):
        save_graph(every_kind(seed), place("graph", name), model=ModelStamp("toy", "w", "t"))
    path = home / "foreign.json"
    path.write_text(json.dumps(circuit_tracer("old")))
    return path


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(["graph", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def answer(capsys, *arguments: str) -> Any:
    code, out, err = call(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_every_command_of_the_group_explains_itself(capsys):
    for name in ("show", "prune", "diff", "merge", "export", "import", "supernodes", "pin"):
        code, out, _ = call(capsys, name, "--help")
        assert code == 0 and "--json" in out
    code, out, _ = call(capsys, "--help")
    assert code == 0 and "supernodes" in out


def test_show_tells_the_most_influential_nodes(graphs, capsys):
    report, graph = answer(capsys, "show", "g", "--top", "3"), every_kind()
    first = int(graph.influence.argmax())
    assert report["top_nodes"][0]["node"] == graph.name(first) and len(report["top_nodes"]) == 3
    assert report["pinned"] == [graph.name(i) for i in graph.pinned]
    heads = answer(capsys, "show", "g", "--kind", "head")["top_nodes"]
    assert {row["node"].split("@")[0] for row in heads} == {"L0H2", "L1H5"}
    code, out, _ = call(capsys, "show", str(place("graph", "g")))
    assert code == 0 and "supernode '</script>'" in out and "25 nodes" in out


def test_the_edges_of_a_node_add_up_however_few_are_listed(graphs, capsys):
    graph = every_kind()
    for top in ("1", "50"):
        (one,) = answer(capsys, "show", "g", "--node", "L1F5", "--top", top)
        total = one["constant"] + sum(e["weight"] for e in one["incoming"]) + one["weaker_incoming"]
        assert total == pytest.approx(one["value"], rel=1e-5) and len(one["incoming"]) <= int(top)
    assert one["number"] == LAYOUT.index(("latent", 1, 3, 5)) and len(one["outgoing"]) == len(
        graph.outgoing(one["number"])
    )
    code, out, _ = call(capsys, "show", str(graphs), "--node", "L1F9")
    assert code == 0 and "value unknown" in out and "my label" in out


def test_a_pruned_graph_that_is_stored_still_adds_up(graphs, capsys):
    report = answer(capsys, "prune", "g", "--node-threshold", "0.6", "--edge-threshold", "0.9", "--save", "p")
    kept, part = every_kind().prune(0.6, 0.9), load_graph(place("graph", "p"))
    assert report["n_nodes"] == kept.nodes.sum() and report["scores"]["kept"] == pytest.approx(kept.scores.kept)
    units = kept.nodes & every_kind().nodes.where(*UNITS)
    assert part.nodes.where(*UNITS).sum() == units.sum() < every_kind().nodes.where(*UNITS).sum()
    assert conservation(part)[1] < 1e-6 and part.residual_relative < 1e-6
    assert read_manifest(place("graph", "p")).model == ModelStamp("toy", "w", "t")
    assert answer(capsys, "show", "p")["pruned_from"] == "g"


def test_diff_and_merge_print_and_store_results(graphs, capsys):
    report = answer(capsys, "diff", "g", "h", "--save", "d")
    assert {"nodes_changed", "edges_changed", "notes"} <= report.keys() and report["saved"] == str(place("result", "d"))
    stored = json.loads((place("result", "d") / "report.json").read_text())
    assert (
        stored["nodes_changed"] == report["nodes_changed"]
        and check_files(place("result", "d"), read_manifest(place("result", "d"))) == []
    )
    assert answer(capsys, "diff", "g", "g")["overlap"] == pytest.approx(1.0)
    merged = answer(capsys, "merge", "g", "h", "--save", "m")
    assert merged["prompts"] == ["one <b>two"] * 2 and place("result", "m").is_dir()
    code, out, _ = call(capsys, "merge", "g", "h", "--top", "2")
    assert code == 0 and "Edges" in out


def test_export_and_import_give_the_graph_back(graphs, home, capsys):
    target = home / "out" / "g.json"
    assert answer(capsys, "export", "g", "--to", str(target), "--whole")["bytes"] == target.stat().st_size
    answer(capsys, "import", str(target), "--save", "back")
    same(every_kind(), load_graph(place("graph", "back")))
    pruned = home / "out" / "p.json"
    answer(capsys, "export", "g", "--to", str(pruned), "--node-threshold", "0.5")
    assert len(json.loads(pruned.read_text())["nodes"]) < len(LAYOUT)


def test_labels_are_read_and_written(graphs, home, capsys):
    labels, target = home / "labels.json", home / "g.json"
    labels.write_text(json.dumps({"L0N5": "fires at one"}))
    answer(capsys, "export", "g", "--to", str(target), "--whole", "--labels", str(labels))
    assert "fires at one" in {n["clerp"] for n in json.loads(target.read_text())["nodes"]}
    labels.write_text(json.dumps({"five": 5}))
    code, _, err = call(capsys, "export", "g", "--to", str(home / "no.json"), "--labels", str(labels))
    assert code == 2 and "five" in err and not (home / "no.json").exists()


def test_a_foreign_file_is_imported_under_its_name_and_what_was_left_out_is_told(graphs, capsys):
    report = answer(capsys, "import", str(graphs))
    assert report["imported"]["choices_left_out"] == {"pinned nodes": 1, "members of supernodes": 1}
    graph = load_graph(place("graph", "foreign"))
    assert np.isnan(graph.residual) and graph.supernodes["twos"] and graph.name(graph.pinned[0]).startswith("L1F9@1")
    code, _, err = call(capsys, "import", str(graphs))
    assert code == 2 and "already a graph" in err
    code, out, _ = call(capsys, "import", str(graphs), "--save", "again")
    assert code == 0 and "left out: 1 pinned nodes" in out


def test_groups_are_set_renamed_removed_and_suggested(graphs, capsys):
    arguments = ["--set", "x=L0H2,L1H5@3", "--rename", "a group=b = c", "--remove", "</script>"]
    assert answer(capsys, "supernodes", "g", *arguments)["stored"]
    found = load_graph(place("graph", "g"))
    assert found.supernodes == {"b = c": [14], "x": [15, 19]}  # a node is in one group
    assert answer(capsys, "supernodes", "g")["stored"] is False
    suggested = answer(capsys, "supernodes", "g", "--suggest", "--threshold", "0", "--keep")
    assert suggested["stored"] and load_graph(place("graph", "g")).supernodes != found.supernodes
    code, _, err = call(capsys, "supernodes", "h", "--set", "x")
    assert code == 2 and "name=" in err


def test_pins_are_kept_and_scored(graphs, capsys):
    report = answer(capsys, "pin", "g", "L0N5", "15")
    assert report["pinned"] == [16, 23, 14, 15] == load_graph(place("graph", "g")).pinned
    assert {row["score"] for row in report["scores"]} == {"replacement", "completeness"}
    assert answer(capsys, "pin", "g", "L0N5", "--remove")["pinned"] == [16, 23, 15]
    assert answer(capsys, "pin", "g", "--clear") == {"pinned": [], "nodes": []}
    code, _, err = call(capsys, "pin", str(graphs), "L0F40")
    assert code == 2 and "import it first" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "none"], "none"),
        (["show", "../no graph lies here"], "no graph lies here"),
        (["show", "g", "--kind", "gremlin"], "gremlin"),
        (["show", "g", "--node", "L9N9"], "L9N9"),
        (["prune", "g", "--node-threshold", "1.5"], "node_threshold is 1.5"),
        (["prune", "g", "--save", "h"], "already a graph"),
        (["prune", "g", "--save", "a/b"], "a/b"),
        (["diff", "g", "h", "--match", "guess"], "match is 'guess'"),
        (["merge", "g", "--align", "guess"], "align is 'guess'"),
        (["export", "g", "--to", "."], "folder"),
        (["export", "g", "--to", "x.json", "--units", "u"], "--features"),
        (["import", "nowhere.json"], "No such file"),
        (["import", "pyproject.toml", "--save", "t"], "not JSON"),
        (["supernodes", "g", "--keep"], "--suggest"),
        (["supernodes", "g", "--remove", "none"], "no group"),
        (["supernodes", "g", "--rename", "none=x"], "none"),
        (["pin", "g", "L9N9"], "L9N9"),
    ],
)
def test_bad_input_gets_a_sentence_and_changes_nothing(arguments, words, graphs, capsys):
    before = {p: p.read_bytes() for p in graphs.parent.rglob("*") if p.is_file()}
    code, out, err = call(capsys, *arguments)
    assert code == 2 and words in err and "Traceback" not in err and out == ""
    assert {p: p.read_bytes() for p in graphs.parent.rglob("*") if p.is_file()} == before


def test_nothing_hostile_reaches_the_terminal(home, capsys):
    value = circuit_tracer()
    value["metadata"]["prompt"] = value["metadata"]["prompt_tokens"][0] = "\x1b[31mred\x07"
    value["metadata"]["info"]["generator"]["name"] = "\x1b]0;title\x07"
    value["nodes"][2]["clerp"] = "\x1b[2J"
    value["qParams"]["supernodes"] = [["\x1b[5m", "1_9_1"]]
    path = home / "nasty.json"
    home.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    for arguments in (
        ["import", str(path), "--save", "n"],
        ["show", "n"],
        ["show", "n", "--node", "L1F9"],
        ["supernodes", "n"],
    ):
        code, out, err = call(capsys, *arguments)
        assert code == 0 and not any(c in out + err for c in "\x1b\x07"), arguments
