"""Scores of pinned units: by hand, at the two ends, and what folding must conserve."""

import json

import numpy as np
import pytest
from every_kind import every_kind
from wired import incoming, scattered, wired

from circuits.graph.influence import scores
from circuits.graph.marking.marks import Marks
from circuits.supernodes.edge_widths import NARROWEST, WIDEST, edge_width
from circuits.supernodes.folding import fold
from circuits.supernodes.html import boxes_html
from circuits.supernodes.subgraph import nodes_mask, subgraph_scores
from circuits.supernodes.subgraph_layout import drawing
from probe.errors import BadInput

NODES = [("token", -1, 0, 1), ("error", 0, 0, -1), ("latent", 0, 0, 5), ("latent", 0, 0, 6), ("logit", 1, 0, 2)]
EDGES = [(0, 2, 2.0), (0, 3, -1.0), (1, 4, 1.0), (2, 4, 2.0), (3, 4, -1.0)]


def test_one_of_two_latents_by_hand():
    """Latent 6 (-1) joins the error node (1): it now sends 0, and all of the logit comes through latent 5 from the token.

    Kept apart, the error sends |1| + |-1| of 4: half of the influence.
    """
    found = subgraph_scores(wired(NODES, EDGES, {4: 1.0}), [2], n_random=0)
    assert (found.replacement, found.completeness) == (1.0, 1.0)
    assert found.strict.replacement == pytest.approx(1 / 2)
    # Nodes weigh influence + probability: token 1/2, latent 1/2, error 1/2, logit 1, which loses its half.
    assert found.strict.completeness == pytest.approx((0.5 + 0.5 + 0.5 + 0.5) / 2.5)
    other = subgraph_scores(wired(NODES, EDGES, {4: 1.0}), ["L0F6@0"], n_random=0)
    # Latent 5 (2) and the error (1) make 3 of the logit's 4.
    assert other.replacement == other.strict.replacement == pytest.approx(1 / 4)


def test_everything_pinned_is_the_whole_graph_and_nothing_pinned_explains_only_direct_paths():
    graph = scattered(0)
    everything = subgraph_scores(graph, range(len(graph.nodes)))
    for found in (everything.scores, everything.strict, everything.whole):
        assert found.replacement == pytest.approx(scores(graph).replacement, rel=1e-12)
        assert found.completeness == pytest.approx(scores(graph).completeness, rel=1e-12)
    assert everything.random == []
    nothing = subgraph_scores(graph, [])
    assert nothing.random == [] and nothing.nothing == (nothing.scores, nothing.strict)
    roots, e = np.flatnonzero(graph.roots), graph.edges
    direct = 0.0
    for root in roots:
        into = e.target == root
        tokens = into & graph.nodes.where("token")[e.source]
        direct += graph.probability[root] * np.abs(e.weight[tokens]).sum() / np.abs(e.weight[into]).sum()
    assert nothing.strict.replacement == pytest.approx(direct / graph.probability.sum())


@pytest.mark.parametrize("summed", [True, False])
def test_folding_conserves_every_value_that_stays(summed):
    graph = scattered(3)
    rng = np.random.default_rng(0)
    folded = fold(graph, rng.random(len(graph.nodes)) < 0.3, summed=summed)
    assert 0 < folded.nodes.where("neuron").sum() < graph.nodes.where("neuron").sum()
    at = folded.explained
    np.testing.assert_allclose(incoming(folded)[at], folded.nodes.value[at], atol=1e-12)
    assert (folded.edges.source < folded.edges.target).all()
    before = {graph.name(i): graph.nodes.value[i] for i in np.flatnonzero(graph.explained)}
    assert all(before[folded.name(int(i))] == folded.nodes.value[i] for i in np.flatnonzero(at))


def test_a_leaf_that_was_missing_is_made():
    nodes = [n for n in NODES if n[0] != "error"]
    graph = wired(nodes, [(0, 1, 2.0), (0, 2, -1.0), (1, 3, 2.0), (2, 3, -1.0)], {3: 1.0})
    folded = fold(graph, nodes_mask(graph, [1]))
    assert folded.nodes.where("error").sum() == 1 and folded.name(0) == "L0 error@0 ' t0'"
    assert subgraph_scores(graph, [1], n_random=0).replacement == pytest.approx(2 / 3)


def test_neurons_and_heads_join_rest_and_latents_join_error():
    nodes = [("token", -1, 0, 1), ("head", 0, 0, 3), ("neuron", 0, 0, 5), ("latent", 1, 0, 6), ("logit", 2, 0, 2)]
    graph = wired(nodes, [(0, i, 1.0) for i in (1, 2, 3)] + [(i, 4, 1.0) for i in (1, 2, 3)], {4: 1.0})
    folded = fold(graph, np.zeros(5, bool))
    names = [folded.name(i) for i in range(len(folded.nodes))]
    assert names == ["L0 rest@0 ' t0'", "L1 error@0 ' t0'", "token@0 ' t0'", "logit ' w2'"]
    assert folded.edges.weight.tolist() == [2.0, 1.0]


def test_the_most_influential_units_beat_random_ones():
    graph = scattered(5, per_layer=20)
    units = np.flatnonzero(graph.nodes.where("neuron"))
    best = units[np.argsort(-graph.influence[units])[:10]]
    found = subgraph_scores(graph, best.tolist(), n_random=20)
    drawn = np.array([strict.replacement for _, strict in found.random])
    assert len(drawn) == 20 and drawn.std() > 0
    assert found.strict.replacement > drawn.mean() + drawn.std() > found.nothing[1].replacement
    again = subgraph_scores(graph, best.tolist(), n_random=20)
    assert [strict.replacement for _, strict in again.random] == drawn.tolist()


def test_pins_of_the_graph_are_the_default_and_follow_the_fold():
    graph = scattered(1)
    with pytest.raises(BadInput, match="Nothing is pinned"):
        subgraph_scores(graph)
    unit = int(np.flatnonzero(graph.nodes.where("neuron"))[2])
    graph = scattered(1, pinned=[unit], supernodes={"one": [unit, unit + 1]})
    found = subgraph_scores(graph, n_random=2)
    assert [found.graph.name(i) for i in found.graph.pinned] == [graph.name(unit)]
    assert [len(g) for g in found.graph.supernodes.values()] == [1]
    assert found.pinned == [unit]


def test_the_record_shows_itself():
    found = subgraph_scores(scattered(1), [20], n_random=3)
    assert json.dumps(found.to_dict(), allow_nan=False)
    row = found.score_rows()[0]
    assert (row["score"], row["pinned"], row["strict_pinned"]) == (
        "replacement",
        found.replacement,
        found.strict.replacement,
    )
    assert "random_sd" in found._repr_html_() and len(found.figure().data) > 2


def test_a_subgraph_is_drawn_in_a_notebook_as_its_page_draws_it():
    graph = every_kind()
    units = np.flatnonzero(graph.nodes.where("neuron", "latent", "mlp", "head"))
    html = subgraph_scores(graph, units.tolist(), n_random=1)._repr_html_()
    drawn = drawing(graph, Marks(tuple(units.tolist())))
    assert html.count("<rect") == len(drawn["nodes"]) and html.count("<path") == len(drawn["edges"]) > 0
    assert (
        html.count("stroke-dasharray") == sum(against for _, _, _, _, against, _ in drawn["edges"])
        and "<b>" not in html
    )
    assert "Nothing is pinned" in boxes_html(graph, Marks())
    widths = [width for _, _, _, width, *_ in drawn["edges"]]
    assert max(widths) == WIDEST and min(widths) >= NARROWEST and f"stroke-width='{WIDEST}'" in html
    assert edge_width(0.25) == (NARROWEST + WIDEST) / 2  # half as much wider, for the root of a quarter is a half
