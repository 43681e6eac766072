"""Pins, groups, labels, undo and redo: every edit against a known answer, alone and as it is stored; and the drawing's places."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from every_kind import LAYOUT, every_kind
from wired import crowded

from app.library import graphs
from circuits.graph.graph_arguments import top_units as strongest
from circuits.graph.marking.edits import edited
from circuits.graph.marking.history import History
from circuits.graph.marking.marks import LONGEST, MOST, Marks, group, label, pin, rename, ungroup, unpin
from circuits.graph.marking.stored_marks import View, edits_file, look, mark, marked
from circuits.graph.store import choose_nodes, load_graph, save_graph
from circuits.supernodes.boxes import GAP, apart
from circuits.supernodes.subgraph_layout import MOST_EDGES, drawing
from probe.artifacts.folder import place
from probe.artifacts.locks import lock as locks
from probe.errors import BadInput, Unavailable

NEURON, HEAD = LAYOUT.index(("neuron", 1, 3, 5)), LAYOUT.index(("head", 1, 3, 5))
TWINS = [LAYOUT.index(("latent", 2, 3, 5)), LAYOUT.index(("latent", 2, 2, 5))]
TOKEN = 0


def test_pins_keep_their_order_and_leave_their_group():
    one = pin(pin(Marks(), [5, 3]), [3, 7])
    assert one.pinned == (5, 3, 7)
    grouped = group(one, [3, 7], "a")
    assert grouped.groups == {"a": (3, 7)} and grouped.pinned == (5, 3, 7) and grouped.chosen == [5, 3, 7]
    assert unpin(grouped, [3]) == Marks((5, 7), {"a": (7,)})
    assert unpin(grouped, [3, 7]).groups == {}
    assert one == pin(pin(Marks(), [5, 3]), [3, 7]), "an edit changes nothing in place"


def test_a_node_is_in_one_group_and_names_are_their_own():
    marks = group(group(Marks(), [1, 2, 3], "a"), [3, 4], "b")
    assert marks.groups == {"a": (1, 2), "b": (3, 4)} and marks.pinned == (1, 2, 3, 4)
    assert list(rename(marks, "a", " c  d ").groups) == ["c d", "b"]
    assert rename(marks, "a", "a") == marks
    for bad in ("b", "", "   "):
        with pytest.raises(BadInput, match="name of its own"):
            rename(marks, "a", bad)
    assert ungroup(marks, "a") == Marks((1, 2, 3, 4), {"b": (3, 4)})
    assert group(marks, [1, 2], "again").groups == {"b": (3, 4), "again": (1, 2)}, "an emptied group goes"
    with pytest.raises(BadInput, match="two nodes"):
        group(marks, [1, 1], "one")
    with pytest.raises(BadInput, match="no group 'x'"):
        ungroup(marks, "x")


def test_a_label_is_of_a_unit_at_every_position():
    graph = every_kind()
    marks = label(graph, Marks(), TWINS[0], "  says\n <b>Paris ")
    assert marks.labels == dict.fromkeys(sorted(TWINS), "says <b>Paris")
    assert label(graph, marks, TWINS[1], " ").labels == {}
    assert label(graph, marks, HEAD, "copies").labels[HEAD] == "copies"
    assert NEURON not in label(graph, marks, HEAD, "copies").labels, "neuron 5 is not head 5"
    with pytest.raises(BadInput, match="no unit"):
        label(graph, marks, TOKEN, "x")
    with pytest.raises(BadInput, match=f"up to {LONGEST}"):
        label(graph, marks, HEAD, "x" * (LONGEST + 1))
    assert "\ud800" not in label(graph, marks, HEAD, "a\ud800").labels[HEAD]


def test_equal_marks_have_one_revision_whatever_the_order():
    one = group(pin(Marks(), [1, 2, 9]), [1, 2], "a")
    other = pin(group(Marks(), [2, 1], "a"), [9])
    assert one.revision == other.revision
    different = [
        pin(one, [3]),
        ungroup(one, "a"),
        rename(one, "a", "b"),
        Marks(one.pinned, one.groups, {3: "x"}),
        Marks(),
    ]
    assert len({m.revision for m in [one, *different]}) == 6


def test_undo_and_redo_go_the_way_back_and_forth():
    graph, history, states = every_kind(), History(), [Marks((4,), {}, {HEAD: "kept"})]
    for request in (
        {"op": "pin", "nodes": [14, 15, 16]},
        {"op": "group", "nodes": [14, 15], "name": "g"},
        {"op": "label", "nodes": [NEURON], "text": "mine"},
        {"op": "rename", "name": "g", "text": "h"},
        {"op": "label", "nodes": [HEAD], "text": ""},
        {"op": "ungroup", "name": "h"},
        {"op": "clear"},
    ):
        after, words = edited(graph, states[-1], request)
        history = History.from_dict(json.loads(json.dumps(history.done(states[-1], after, words).to_dict())))
        states.append(after)
    marks = states[-1]
    for before in states[-2::-1]:
        marks, history = history.undone(marks)
        assert marks == before
    with pytest.raises(BadInput, match="nothing to undo"):
        history.undone(marks)
    for after in states[1:]:
        marks, history = history.redone(marks)
        assert marks == after
    with pytest.raises(BadInput, match="nothing to do again"):
        history.redone(marks)
    marks, history = history.undone(marks)
    history = history.done(marks, pin(marks, [1]), "pinned")
    assert not history.future, "a new edit ends what could be done again"


def test_what_a_page_asks_for_is_checked():
    graph = every_kind()
    n = len(graph.nodes)
    bad = [
        {"op": "pin", "nodes": [n]},
        {"op": "pin", "nodes": [-1]},
        {"op": "pin", "nodes": ["1"]},
        {"op": "pin", "nodes": [True]},
    ]
    bad += [
        {"op": "top", "n": 0},
        {"op": "top", "n": MOST + 1},
        {"op": "top", "n": "5"},
        {"op": "rm"},
        {},
        {"op": "label", "nodes": []},
    ]
    bad += [{"op": "toggle", "nodes": []}, {"op": "pin", "nodes": 3}, {"op": "ungroup", "nodes": [14]}]
    bad += [{"op": "prune", "keep": keep, "edges": 0.9} for keep in (None, 2, "0.5", True)]
    for request in bad:
        with pytest.raises(BadInput):
            edited(graph, Marks(), request)
    with pytest.raises(BadInput, match=f"up to {MOST}"):
        pin(Marks(), range(MOST + 1))
    top, words = edited(graph, Marks(), {"op": "top", "n": 3})
    units = [i for i, (kind, *_) in enumerate(LAYOUT) if kind in ("neuron", "latent", "mlp", "head")]
    assert set(top.pinned) == set(sorted(units, key=lambda i: -graph.influence[i])[:3]) and "3 most" in words
    kept, words = edited(graph, Marks(), {"op": "prune", "keep": 0.5, "edges": 0.9})
    left = graph.prune(0.5, 0.9).nodes & graph.nodes.where("neuron", "latent", "mlp", "head")
    assert list(kept.pinned) == np.flatnonzero(left).tolist() and "sliders keep" in words
    grouped = group(Marks(), [14, 15], "g")
    assert edited(graph, grouped, {"op": "ungroup", "nodes": [15]}) == (ungroup(grouped, "g"), "ungrouped 'g'")
    on, _ = edited(graph, Marks(), {"op": "toggle", "nodes": [14]})
    assert on.pinned == (14,) and edited(graph, on, {"op": "toggle", "nodes": [14]})[0] == Marks()


def test_an_edit_is_on_disk_at_once_and_undone_after_a_restart(home):
    save_graph(every_kind(), place("graph", "g"))
    first = marked("g")
    assert first.marks.pinned == (16, 23) and not first.history.past
    now = mark("g", {"op": "pin", "nodes": [15]}, first.marks.revision)
    assert "Pinned" in now.said and not now.stale
    mark("g", {"op": "label", "nodes": [TWINS[0]], "text": "twin"})
    again = load_graph(place("graph", "g"))
    assert again.pinned == [16, 23, 15] and [again.unit_tokens[i] for i in TWINS] == ["twin", "twin"]
    np.testing.assert_array_equal(again.edges.weight, every_kind().edges.weight)
    back = mark("g", {"op": "undo"})
    assert [load_graph(place("graph", "g")).unit_tokens[i] for i in TWINS] == ["", ""] and "Undone" in back.said
    assert mark("g", {"op": "redo"}).marks.labels[TWINS[0]] == "twin"
    refused = mark("g", {"op": "rename", "name": "a group", "text": "</script>"})
    assert refused.wrong and "name of its own" in refused.said and refused.marks == marked("g").marks


def test_numbers_already_computed_survive_an_edit(home):
    save_graph(every_kind(), place("graph", "g"))
    graph = graphs.stored_graph("g")
    influence = graph.influence
    edited_graph = graphs.mark("g", {"op": "pin", "nodes": [15]}).graph
    assert edited_graph is graphs.stored_graph("g") and edited_graph.influence is influence
    fresh = load_graph(place("graph", "g"))
    np.testing.assert_array_equal(fresh.influence, influence)
    assert fresh.find("L1N5@3") == edited_graph.find("L1N5@3")


def test_the_edit_of_another_tab_is_kept_and_said(home):
    save_graph(every_kind(), place("graph", "g"))
    seen = marked("g").marks.revision
    mark("g", {"op": "pin", "nodes": [15]}, seen)
    late = mark("g", {"op": "pin", "nodes": [17]}, seen)
    assert late.stale and "edited elsewhere" in late.said and {15, 17} <= set(late.marks.pinned)
    mark("g", {"op": "unpin", "nodes": [15]}, late.marks.revision)
    undo = mark("g", {"op": "undo"}, late.marks.revision)
    assert undo.wrong and undo.stale and 15 not in undo.marks.pinned, "another's edit is not taken back unseen"


def test_an_edit_in_the_shell_is_seen_and_ends_the_history(home):
    save_graph(every_kind(), place("graph", "g"))
    now = mark("g", {"op": "pin", "nodes": [15]})
    choose_nodes(place("graph", "g"), pinned=[14])
    fresh = marked("g")
    assert fresh.marks.pinned == (14,) and not fresh.history.past
    assert mark("g", {"op": "clear"}, now.marks.revision).stale


def test_a_graph_traced_anew_under_the_name_starts_afresh(home):
    save_graph(every_kind(), place("graph", "g"))
    mark("g", {"op": "pin", "nodes": [15]})
    look("g", {"move": {"n15": [3, 4]}})
    assert marked("g").view.at == {"n15": [3.0, 4.0]}
    save_graph(every_kind(seed=1), place("graph", "g"), replace=True)
    now = marked("g")
    assert not now.history.past and now.view == View()


def test_edits_from_many_threads_are_all_kept(home):
    save_graph(every_kind(), place("graph", "g"))
    threads = [threading.Thread(target=mark, args=("g", {"op": "pin", "nodes": [i]})) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(range(8)) <= set(load_graph(place("graph", "g")).pinned) and len(marked("g").history.past) == 8


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"history": 3}', '{"body": "x", "history": {"past": [1]}}', "\x00"])
def test_a_torn_history_is_no_reason_to_refuse_the_graph(home, text):
    save_graph(every_kind(), place("graph", "g"))
    edits_file(place("graph", "g")).parent.mkdir(parents=True, exist_ok=True)
    edits_file(place("graph", "g")).write_text(text)
    assert not marked("g").history.past
    assert mark("g", {"op": "pin", "nodes": [15]}).history.past


def test_views_are_kept_and_checked(home):
    save_graph(every_kind(), place("graph", "g"))
    for change in ({"open": "a group"}, {"move": {"n3": [1, 2.5]}}, {"dismiss": "1,2"}, {"move": {"n4": [0, 0]}}):
        look("g", change)
    view = marked("g").view
    assert view.opened == ["a group"] and view.at == {"n3": [1.0, 2.5], "n4": [0.0, 0.0]} and view.dismissed == ["1,2"]
    look("g", {"close": "a group", "tidy": True})
    assert marked("g").view == View(dismissed=["1,2"])
    for bad in ([1], ["a", "b"], [1e9, 0], 3):
        with pytest.raises(BadInput, match="two numbers"):
            look("g", {"move": {"n3": bad}})


# -- places ----------------------------------------------------------------------------------------------------------------


def test_boxes_stand_as_near_as_can_be_without_touching():
    """Against a brute-force least squares over the same order."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = int(rng.integers(1, 7))
        wanted, widths = rng.normal(0, 200, n), rng.uniform(50, 150, n)
        found = np.array(apart(wanted.tolist(), widths.tolist()))
        least = (widths[1:] + widths[:-1]) / 2 + GAP
        assert (np.diff(found) >= least - 1e-9).all()
        best = ((found - wanted) ** 2).sum()
        for _ in range(300):  # any other places in this order are no nearer
            other = found + rng.normal(0, 5, n)
            if (np.diff(other) >= least).all():
                assert ((other - wanted) ** 2).sum() >= best - 1e-9
    assert apart([0.0, 1000.0], [100, 100]) == [0.0, 1000.0]


def boxes_of(found: dict, inner: set[int]) -> list[dict]:
    return [n for n in found["nodes"] if n["node"] not in inner] + found["groups"]


@pytest.mark.parametrize("opened", [[], ["g"]])
def test_no_two_boxes_overlap_and_layers_go_up(opened):
    graph = crowded()
    members = strongest(graph, 60)[20:32]
    marks = group(pin(Marks(), strongest(graph, 60)), members, "g")
    found = drawing(graph, marks, 0.98, opened)
    outer = boxes_of(found, set(members))
    for i, a in enumerate(outer):
        for b in outer[:i]:
            apart_x = abs(a["x"] - b["x"]) >= (a["w"] + b["w"]) / 2 - 0.11  # places are sent to a tenth
            assert apart_x or abs(a["y"] - b["y"]) >= (a["h"] + b["h"]) / 2 - 0.11, (a["id"], b["id"])
    height = {n["node"]: n["y"] for n in found["nodes"]}
    for low in height:
        for high in height:
            if graph.nodes.layer[low] < graph.nodes.layer[high] and not {low, high} & set(members):
                assert height[low] > height[high]
    if opened:
        (frame,) = found["groups"]
        for n in (n for n in found["nodes"] if n["node"] in members):
            assert (
                abs(n["x"] - frame["x"]) <= (frame["w"] - n["w"]) / 2
                and abs(n["y"] - frame["y"]) <= (frame["h"] - n["h"]) / 2
            )


def test_edges_of_a_closed_group_are_sums():
    graph = every_kind()
    marks = Marks((14, 15, 16, 17, 22), {"g": (14, 15)})
    found = drawing(graph, marks, 1.0)
    weights = {(s, t): w for s, t, w, *_ in found["edges"]}
    e = graph.edges
    for target in (16, 17, 22):
        known = e.weight[np.isin(e.source, [14, 15]) & (e.target == target)]
        assert (("g:g", f"n{target}") in weights) == bool(len(known))
        if len(known):
            assert weights["g:g", f"n{target}"] == pytest.approx(float(known.sum()), rel=1e-3)
    single = drawing(graph, marks, 1.0, ["g"])
    for s, t, w, *_ in single["edges"]:
        if s[0] == t[0] == "n":
            assert w == pytest.approx(
                float(e.weight[(e.source == int(s[1:])) & (e.target == int(t[1:]))].sum()), rel=1e-3
            )


def test_nothing_pinned_draws_nothing_and_dragged_boxes_stay():
    graph = every_kind()
    assert drawing(graph, Marks())["nodes"] == []
    found = drawing(graph, Marks((14,)), at={"n14": [1234.0, 5.0], "n999": [0, 0]})
    (box,) = [n for n in found["nodes"] if n["id"] == "n14"]
    assert (box["x"], box["y"]) == (1234.0, 5.0)
    x, _, wide, _ = found["box"]
    assert x + wide > 1234 + box["w"] / 2


def test_the_largest_subgraph_is_quick_and_within_its_limits():
    import time

    graph = crowded(n=1200)
    assert len(graph.influence) == 1210, "computed once, before the clock starts"
    start = time.perf_counter()
    found = drawing(graph, pin(Marks(), strongest(graph, MOST)), 1.0)
    assert time.perf_counter() - start < 2
    assert len(found["edges"]) == MOST_EDGES and len(found["nodes"]) <= MOST + 30
    assert len(json.dumps(found, allow_nan=False)) < 1_000_000
    ends = {i for s, t, *_ in found["edges"] for i in (s, t)}
    assert all(n["id"] in ends for n in found["nodes"] if n["pinned"]), "none stands alone"


PINNER = """
import sys
from circuits.graph.marking.stored_marks import mark
for node in map(int, sys.argv[1:]):
    answer = mark("shared", {"op": "pin", "nodes": [node]})
    assert not answer.wrong, answer.said
"""


def test_two_processes_that_edit_one_graph_lose_nothing(home):
    """Each edit reads, changes and writes; without taking turns, a good part of these would be overwritten."""
    save_graph(every_kind(), place("graph", "shared"))
    halves = [[str(i) for i in range(first, 12, 2)] for first in (0, 1)]
    both = [subprocess.Popen([sys.executable, "-c", PINNER, *nodes]) for nodes in halves]
    assert [p.wait(timeout=120) for p in both] == [0, 0]
    assert set(range(12)) <= set(load_graph("shared").pinned)
    assert [p.name for p in place("graph", "shared").parent.iterdir()] == ["shared"]  # no lock is left


def test_a_turn_can_be_taken_again_inside_and_not_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "WAIT", 0.05)
    said = []

    def other():
        try:
            with locks.exclusive(tmp_path / ".lock", "the thing"):
                said.append("in")
        except Unavailable as error:
            said.append(str(error))

    with locks.exclusive(tmp_path / ".lock", "the thing"), locks.exclusive(tmp_path / ".lock", "the thing"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    other()
    assert "Cannot write the thing: process" in said[0] and said[1:] == ["in"]
    assert not list(tmp_path.iterdir())
    with pytest.raises(Unavailable, match="Cannot write that"), locks.exclusive(tmp_path / "none" / ".lock", "that"):
        pass


def test_a_lock_that_was_taken_away_is_none(tmp_path, monkeypatch):
    """Who waits may open the file, and get its lock, just when the one before has removed it: then it must be made anew."""
    file, lock, calls = tmp_path / ".lock", locks.locked, []

    def late(handle):
        if not calls:
            file.unlink()  # the one before leaves between our opening and our locking
        calls.append(lock(handle))
        return calls[-1]

    monkeypatch.setattr(locks, "locked", late)
    with locks.exclusive(file, "the thing"):
        assert calls == [True, True] and file.exists()
        monkeypatch.setattr(locks, "locked", lock)
        monkeypatch.setattr(locks, "WAIT", 0.05)
        with pytest.raises(Unavailable):
            locks._taken(file, "the thing")
    assert not file.exists()


def test_turns_of_many_threads_never_overlap(tmp_path):
    inside, most = [0], [0]

    def work():
        for _ in range(15):
            with locks.exclusive(tmp_path / ".lock", "the thing"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.001)
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
