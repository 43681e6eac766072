"""Pins, groups and labels stay when a graph is traced again."""

from dataclasses import replace

import numpy as np
from every_kind import every_kind

from circuits.comparison.carry_marks import carried
from circuits.graph.graph import UNITS


def marked():
    graph = every_kind()
    a, b, c = (int(i) for i in np.flatnonzero(graph.nodes.where(*UNITS))[:3])
    texts = list(graph.unit_tokens)
    texts[a] = "years"
    return replace(graph, pinned=[a, b], supernodes={"both": [b, c]}, unit_tokens=texts), (a, b, c)


def test_marks_are_carried_to_the_same_nodes_wherever_they_are_numbered():
    old, (a, b, c) = marked()
    bare = replace(every_kind(), pinned=[], supernodes={})
    order = np.r_[0:b, b + 1 : len(bare.nodes)]  # b is no node of the new graph, so all after it have other numbers
    nodes = type(bare.nodes)(**{k: v[order] for k, v in vars(bare.nodes).items() if isinstance(v, np.ndarray)})
    where = {int(i): k for k, i in enumerate(order)}
    edges = bare.edges
    keep = ~(np.isin(edges.source, b) | np.isin(edges.target, b))
    moved = type(edges)(
        *(np.array([where[int(i)] for i in part[keep]], np.int32) for part in (edges.source, edges.target)),
        edges.weight[keep],
    )
    parts = {n: getattr(bare, n)[order] for n in ("constant", "probability")}
    texts = [bare.unit_tokens[i] for i in order]
    new = carried(old, replace(bare, nodes=nodes, edges=moved, unit_tokens=texts, **parts))
    assert new.pinned == [where[a]] and new.supernodes == {"both": [where[c]]}
    assert new.unit_tokens[where[a]] == "years"


def test_another_prompt_keeps_nothing():
    old, _ = marked()
    other = replace(every_kind(), tokens=["<|bos|>", "two", "x", "y"], pinned=[], supernodes={})
    assert carried(old, other) is other


def test_tracing_again_on_the_dashboard_keeps_what_was_marked(home, toy):
    """The same question again, where nobody kept its result."""
    from app.jobs import results, work
    from app.jobs.table import job_table
    from app.library import recent_records
    from app.methods.method_jobs import kept_as, work_of
    from circuits.graph.store import choose_nodes, load_graph
    from probe.methods.call import Call

    call = Call.checked("trace", "toy", {"prompt": "one two", "max_nodes": 8})
    name = kept_as(call)
    for again in (False, True):
        key = work.submit(work_of(call))
        assert job_table().wait(job_table().latest(key).id).state == "done"
        graph = load_graph(name)
        if again:
            break
        unit = int(np.flatnonzero(graph.nodes.where(*UNITS))[0])
        choose_nodes(name, pinned=[unit], supernodes={"mine": [unit]}, labels={unit: "twos"})
        (results.folder_of(key) / "manifest.json").unlink()
        recent_records.forget()
    assert graph.pinned == [unit] and graph.supernodes == {"mine": [unit]} and graph.unit_tokens[unit] == "twos"
