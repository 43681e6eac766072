"""Groups of units: planted ones are found, chance is told from them, edits are pure, collapsing loses nothing."""

import json

import numpy as np
import pytest
from wired import scattered, wired

from circuits.graph.store import load_graph
from circuits.supernodes.collapse import DARK, OTHER
from circuits.supernodes.similarity import Weights, cosine, shared_tokens
from circuits.supernodes.suggest import collapse, stored_supernodes, suggest_supernodes
from probe.errors import BadInput


def planted(seed: int, noise: float = 0.3):
    """40 sources, 6 + 5 units with one pattern of incoming and outgoing edges a group, 15 units with their own, 20 readers."""
    rng = np.random.default_rng(seed)
    part = [0] * 6 + [1] * 5 + list(range(2, 17))
    rng.shuffle(part)
    into, out = rng.normal(size=(17, 40)), rng.normal(size=(17, 20))
    into += 2 * np.sign(into.sum(1, keepdims=True)) / 5  # no group stands at zero, where a little noise decides its way
    nodes = [("token", -1, p, p) for p in range(40)] + [("latent", 0, 39, i) for i in range(len(part))]
    nodes += [("neuron", 1, 39, i) for i in range(20)] + [("logit", 2, 39, 0)]
    first, readers, logit = 40, 40 + len(part), 60 + len(part)
    edges = []
    for i, p in enumerate(part):
        edges += [(s, first + i, into[p, s] + noise * rng.normal()) for s in range(40)]
    for r in range(20):
        edges += [(first + i, readers + r, out[p, r] + noise * rng.normal()) for i, p in enumerate(part)]
    edges += [(readers + r, logit, 1.0) for r in range(20)]
    graph = wired(nodes, edges, {logit: 1.0})
    groups = [{first + i for i, p in enumerate(part) if p == g} for g in (0, 1)]
    return graph, groups, list(range(first, readers))


@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_are_found_from_edges_alone(seed):
    graph, groups, units = planted(seed)
    found = suggest_supernodes(graph, units)
    assert [set(g.nodes) for g in found.groups] == groups
    assert all(g.score > 0.7 > found.by_chance(5) and not g.weak for g in found.groups)


def test_random_graphs_give_no_group_that_chance_does_not():
    """20 shuffles leave a chance of about 1 in 21 a graph; 4 of 20 would be far beyond it (p < 0.02)."""
    strong = 0
    for seed in range(20):
        graph = scattered(seed, per_layer=12, n_pos=6)
        found = suggest_supernodes(graph, np.flatnonzero(graph.nodes.where("neuron")).tolist())
        strong += any(not g.weak for g in found.groups)
    assert strong < 4


def test_shared_tokens_make_a_group_and_name_it():
    graph, _, units = planted(0)
    tops = {u: [f"w{u}", f"v{u}", f"x{u}"] for u in units}
    for u in units[:3]:
        tops[u] = [" Paris", "France", f"x{u}"]
    found = suggest_supernodes(graph, units, tops=tops, weights=Weights(influence=0.0))
    group = found.groups[0]
    assert set(group.nodes) == set(units[:3]) and group.name == "France / Paris" and group.shared == ("France", "Paris")
    assert group.parts["tokens"] == pytest.approx(1 / 2) and not group.weak


def test_blank_tokens_show_and_name_no_group():
    graph, _, units = planted(0)
    found = suggest_supernodes(
        graph, units[:3], tops={u: [" ", "\n"] for u in units[:2]}, weights=Weights(influence=0.0)
    )
    assert found.groups[0].shared == ("↵", "·") and found.names == ["L0F0+L0F1"]


def test_decoder_directions_make_a_group_and_opposites_do_not():
    graph, _, units = planted(0)
    rng = np.random.default_rng(0)
    directions = {u: rng.normal(size=64) for u in units}
    directions[units[1]] = 2 * directions[units[0]] + 0.1 * rng.normal(size=64)
    directions[units[2]] = -directions[units[0]]
    found = suggest_supernodes(graph, units, directions=directions, weights=Weights(influence=0.0))
    assert [set(g.nodes) for g in found.groups] == [{units[0], units[1]}] and not found.groups[0].weak
    assert found.groups[0].name == "L0F0+L0F1"


def test_likeness_by_hand():
    sets = [frozenset("abc"), frozenset("bcd"), None]
    assert shared_tokens(sets)[0, 1] == pytest.approx(2 / 4) and np.isnan(shared_tokens(sets)[0, 2])
    rows = np.array([[1.0, 0], [1, 1], [-1, 0], [0, 0], [np.nan, 1]])
    assert cosine(rows)[0, :3].tolist() == pytest.approx([1, 2**-0.5, 0])
    assert np.isnan(cosine(rows)[:, 3:]).all()


def test_edits_return_new_records():
    graph, groups, units = planted(0)
    found = suggest_supernodes(graph, units)
    big, small = found.names
    one = next(iter(groups[0]))
    named = found.rename(big, "six")
    assert found.names == [big, small] and named.names == ["six", small] and named["six"].nodes == found[big].nodes
    moved = named.move(one, small)
    assert one not in moved["six"].nodes and one in moved[small].nodes
    assert moved[small].score < named[small].score and moved[small].edited  # scored anew, and worse
    assert one not in [n for g in named.move(one, None).groups for n in g.nodes]
    two = list(found[big].nodes[:2])
    split = named.split("six", two, "pair")
    assert split["pair"].nodes == tuple(two) and len(split["six"].nodes) == 4
    joined = split.join(["pair", "six"])
    assert joined.names == [small, "pair"] and set(joined["pair"].nodes) == groups[0]
    alone = named.split("six", list(named["six"].nodes[:5]), "five").move(named["six"].nodes[5], "five")
    assert alone.names == [small, "five"]  # an empty group goes


def test_wrong_edits_say_why():
    graph, groups, units = planted(0)
    found = suggest_supernodes(graph, units)
    big, small = found.names
    for wrong, say in (
        (lambda: found.rename("nobody", "x"), "no group 'nobody'"),
        (lambda: found.rename(big, small), "taken"),
        (lambda: found.rename(big, " "), "empty"),
        (lambda: found.move("L9F9", big), "no node"),
        (lambda: found.split(big, [next(iter(groups[1]))], "x"), "not in the group"),
        (lambda: found.split(big, list(found[big].nodes), "x"), "both sides"),
        (lambda: found.join([big]), "two groups"),
        (lambda: suggest_supernodes(graph, [0]), "Only units"),
    ):
        with pytest.raises(BadInput, match=say):
            wrong()


def test_groups_are_kept_with_the_graph(tmp_path):
    graph, groups, units = planted(0)
    found = suggest_supernodes(graph, units)
    again = load_graph(found.rename(found.names[0], "six").store().save(tmp_path / "g"))
    kept = stored_supernodes(again)
    assert kept.names == ["six", found.names[1]] and set(kept["six"].nodes) == groups[0]
    assert kept.rename("six", "seven").names[0] == "seven" and kept["six"].score is None


def test_collapsing_by_hand():
    nodes = [("token", -1, 0, 1), ("rest", 0, 0, -1), ("neuron", 0, 0, 5), ("neuron", 1, 0, 6), ("neuron", 1, 0, 7)]
    edges = [(0, 2, 2.0), (1, 2, -0.5), (2, 3, 1.0), (0, 3, 3.0), (2, 4, 4.0), (2, 5, 1.0), (3, 5, -2.0), (4, 5, 7.0)]
    graph = wired([*nodes, ("logit", 2, 0, 9)], edges, {5: 1.0}, supernodes={"both": [2, 3]})
    small = collapse(graph)
    assert small.names == ["both", "token@0 ' t0'", "logit ' w9'", OTHER, DARK]
    found = {(r["from"], r["to"]): (r["weight"], r["absolute"]) for r in small.edge_rows()}
    assert found == {
        ("token@0 ' t0'", "both"): (5.0, 5.0),
        (DARK, "both"): (-0.5, 0.5),
        ("both", "logit ' w9'"): (-1.0, 3.0),
        ("both", OTHER): (4.0, 4.0),
        (OTHER, "logit ' w9'"): (7.0, 7.0),
    }
    assert small.inner[0] == 1.0 and small.value[0] == 1.5 + 4.0 and small.residual == 0
    assert graph.name(4) in collapse(graph, alone=[4]).names and OTHER not in collapse(graph, alone=[4]).names


@pytest.mark.parametrize("seed", range(3))
def test_collapsing_conserves_edges_flow_and_values(seed):
    graph = scattered(seed, per_layer=10)
    units = np.random.default_rng(seed).permutation(np.flatnonzero(graph.nodes.where("neuron")))
    graph.supernodes.update({"a": units[:5].tolist(), "b": units[5:9].tolist(), "c": units[9:11].tolist()})
    small = collapse(graph)
    group = np.empty(len(graph.nodes), int)
    for i, members in enumerate(small.members):
        group[members] = i
    for i, members in enumerate(small.members):
        across = np.isin(graph.edges.target, members) & (group[graph.edges.source] != i)
        assert small.weight[small.target == i].sum() == pytest.approx(graph.edges.weight[across].sum(), abs=1e-12)
    assert small.residual < 1e-12 and small.influence.sum() == pytest.approx(graph.influence.sum())
    # All influence that reaches a leaf's group flows along edges out of it.
    token = small.names.index(graph.name(0))
    assert small.flow[small.source == token].sum() == pytest.approx(graph.influence[0])


def test_a_node_in_two_groups_is_refused():
    graph = scattered(0, supernodes={"a": [20, 21], "b": [21]})
    with pytest.raises(BadInput, match="can be in one group"):
        collapse(graph)


def test_the_records_show_themselves():
    graph, _, units = planted(1)
    graph.tokens[0] = "<img src=x>"
    found = suggest_supernodes(graph, units).rename(suggest_supernodes(graph, units).names[0], "<script>")
    for record in (found, found.collapse()):
        assert json.dumps(record.to_dict(), allow_nan=False) and record.rows()
        assert "<script>" not in record._repr_html_() and "<script>" not in record.figure().to_json()


def test_one_unit_or_none_gives_no_groups():
    graph, _, units = planted(0)
    assert suggest_supernodes(graph, units[:1]).groups == () and suggest_supernodes(graph, []).groups == ()
