"""Influence, its signed form and cancellation: worked by hand, against the matrix series, and at full size."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from paths import PYTHONPATH
from wired import scattered, wired

from circuits.graph.graph import Edges
from circuits.graph.influence import (
    cancellation,
    fewest,
    influence,
    normalised,
    prune,
    scores,
    signed_by_root,
    signed_influence,
)
from circuits.supernodes.similarity import profiles
from probe.errors import BadInput

TWO_PATHS = [("token", -1, 0, 1), ("neuron", 0, 0, 5), ("neuron", 0, 0, 6), ("logit", 1, 0, 2)]


def series(graph, share):
    """w (N + N^2 + ...) with a dense matrix, term by term, until a term is zero."""
    n = len(graph.nodes)
    N = np.zeros((n, n))
    np.add.at(N, (graph.edges.target, graph.edges.source), share)
    term, total = graph.probability @ N, np.zeros(n)
    for _ in range(n):
        total, term = total + term, term @ N
    assert not term.any()
    return total


@pytest.mark.parametrize("seed", range(4))
def test_the_solve_is_the_series(seed):
    graph = scattered(seed)
    np.testing.assert_allclose(influence(graph), series(graph, normalised(graph)), rtol=1e-12, atol=1e-15)
    below = (graph.nodes.value < 0) & graph.nodes.where("neuron")
    signed = normalised(graph) * np.sign(graph.edges.weight) * np.where(below[graph.edges.target], -1, 1)
    np.testing.assert_allclose(signed_influence(graph), series(graph, signed), rtol=1e-10, atol=1e-14)


def test_the_order_of_edges_does_not_matter_and_parallel_edges_add_up():
    graph = scattered(1)
    order = np.random.default_rng(0).permutation(len(graph.edges))
    e = graph.edges
    mixed = dataclasses.replace(graph, edges=Edges(e.source[order], e.target[order], e.weight[order]))
    np.testing.assert_allclose(influence(mixed), influence(graph), rtol=1e-12)
    twice = Edges(np.repeat(e.source, 2), np.repeat(e.target, 2), np.repeat(e.weight / 2, 2))
    np.testing.assert_allclose(influence(dataclasses.replace(graph, edges=twice)), influence(graph), rtol=1e-12)


def test_twelve_nodes_by_hand():
    """Three tokens, an error, six latents in three layers, two logits of probability 1/2 each.

    Shares: logit 10 <- 8: 1/2, 9: 1/2; logit 11 <- 9: 1/4, 7: 3/4. 9 <- 6, 3: 1/2 each; 8 <- 6: 1; 7 <- 4: 1/3, 5: 2/3;
    6 <- 0, 1: 1/2 each; 5 <- 1: 1; 4 <- 2: 1.  Influence then, from the top: 9: 1/4 + 1/8; 8: 1/4; 7: 3/8;
    6: 3/16 + 1/4; 3: 3/16; 5: 1/4; 4: 1/8; 0: 7/32; 1: 7/32 + 1/4; 2: 1/8.
    """
    nodes = [("token", -1, p, p) for p in range(3)] + [("error", 1, 0, -1)]
    nodes += [("latent", 0, 2, 4), ("latent", 0, 2, 5), ("latent", 0, 2, 6)]
    nodes += [("latent", 1, 2, 7), ("latent", 1, 2, 8), ("latent", 2, 2, 9), ("logit", 3, 2, 0), ("logit", 3, 2, 1)]
    edges = [(2, 4, -3.0), (1, 5, 2.0), (0, 6, 1.0), (1, 6, 1.0), (4, 7, 1.0), (5, 7, -2.0), (6, 8, 5.0)]
    edges += [(3, 9, 2.0), (6, 9, -2.0), (8, 10, 1.0), (9, 10, -1.0), (7, 11, 3.0), (9, 11, 1.0)]
    graph = wired(nodes, edges, {10: 0.5, 11: 0.5})
    wanted = np.array([7 / 32, 15 / 32, 1 / 8, 3 / 16, 1 / 8, 1 / 4, 7 / 16, 3 / 8, 1 / 4, 3 / 8, 0, 0])
    np.testing.assert_allclose(influence(graph), wanted, rtol=1e-14)
    # Node 6 raises logit 10 through 8 (1/4) and through 9 (-1 * -1: 1/8), lowers logit 11 through 9 (-1/16): nothing cancels
    # within one root, though the roots together see less.
    assert signed_influence(graph)[6] == pytest.approx(1 / 4 + 1 / 8 - 1 / 16)
    assert signed_by_root(graph)[:, 6].tolist() == pytest.approx([3 / 8, -1 / 16])
    assert cancellation(graph)[6] == pytest.approx(0, abs=1e-15)
    leaves = 13 / 16 + 3 / 16
    assert scores(graph).replacement == pytest.approx(13 / 16 / leaves)


def test_paths_that_cancel_exactly_show_one():
    graph = wired(TWO_PATHS, [(0, 1, 1.0), (0, 2, 1.0), (1, 3, 2.0), (2, 3, -2.0)], {3: 1.0})
    assert influence(graph)[0] == 1.0 and signed_influence(graph)[0] == 0.0
    assert cancellation(graph)[:3].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(cancellation(graph)[3])  # the root has no influence to lose
    rows = {row["node"]: row["cancellation"] for row in graph.rows()}
    assert rows[graph.name(0)] == 1.0 and rows[graph.name(3)] is None
    kept = prune(graph, 1.0, 1.0)
    assert kept.cancellation[0] == 1.0 and kept.rows()[0]["cancellation"] == 1.0
    assert "cancellation" in kept._repr_html_() and json.dumps(kept.to_dict(), allow_nan=False)


def test_a_part_that_cancels_shows_its_size():
    graph = wired(TWO_PATHS, [(0, 1, 1.0), (0, 2, 1.0), (1, 3, 3.0), (2, 3, -1.0)], {3: 0.5})
    # 3/4 - 1/4 of the logit's 1/2 is left of all of it.
    assert cancellation(graph)[0] == pytest.approx(1 / 2) and signed_influence(graph)[0] == pytest.approx(1 / 4)


def test_raising_one_logit_and_lowering_another_is_no_cancelling():
    nodes = [("token", -1, 0, 1), ("neuron", 0, 0, 5), ("logit", 1, 0, 2), ("logit", 1, 0, 3)]
    graph = wired(nodes, [(0, 1, 1.0), (1, 2, 1.0), (1, 3, -1.0)], {2: 0.4, 3: 0.4})
    assert signed_influence(graph)[1] == 0.0 and cancellation(graph)[1] == 0.0


def test_two_ways_up_agree_though_one_leads_through_a_unit_below_zero():
    """A token drives one neuron to -2 and another to +2; what each writes raises the logit by 1, so nothing cancels."""
    graph = wired(TWO_PATHS, [(0, 1, -2.0), (0, 2, 2.0), (1, 3, 1.0), (2, 3, 1.0)], {3: 0.5})
    assert graph.nodes.value[1] == -2
    assert signed_influence(graph)[0] == pytest.approx(0.5) and cancellation(graph)[0] == pytest.approx(0)
    incoming, _ = profiles(graph, np.array([1, 2]))
    assert np.sign(incoming[0, 0]) == np.sign(incoming[1, 0]) or not incoming[:, 0].any()


def test_flipping_every_sign_on_one_path_undoes_the_cancelling():
    graph = scattered(2)
    e = graph.edges
    positive = dataclasses.replace(graph, edges=Edges(e.source, e.target, np.abs(e.weight) * graph.way[e.target]))
    assert np.nanmax(cancellation(positive)) < 1e-12 < 0.1 < np.nanmax(cancellation(graph))


def test_an_edge_that_runs_downwards_is_refused():
    graph = wired(TWO_PATHS, [(0, 1, 1.0), (2, 1, 1.0), (1, 3, 1.0)], {3: 1.0})
    with pytest.raises(BadInput, match="node 2 to node 1 does not run upwards"):
        influence(graph)


def test_a_weight_that_is_no_number_is_refused():
    graph = wired(TWO_PATHS, [(0, 1, 1.0), (1, 3, np.nan)], {3: 1.0})
    with pytest.raises(BadInput, match="into logit ' w2' hold a NaN"):
        influence(graph)


def test_a_graph_without_edges_has_no_influence():
    graph = wired(TWO_PATHS, [], {3: 1.0})
    assert not influence(graph).any() and np.isnan(cancellation(graph)).all()


def test_nodes_are_found_by_name():
    graph = scattered(0)
    unit = int(np.flatnonzero(graph.nodes.where("neuron"))[3])
    assert graph.find(graph.name(unit)) == graph.find(graph.name(unit).split(" ")[0]) == graph.find(unit) == [unit]
    everywhere = graph.find(graph.name(unit).split("@")[0])
    assert unit in everywhere and {int(graph.nodes.unit[i]) for i in everywhere} == {int(graph.nodes.unit[unit])}
    for wrong in ("L9N9999", len(graph.nodes), -1):
        with pytest.raises(BadInput, match="no node"):
            graph.find(wrong)


WORKER = """
import threading
from wired import scattered
from circuits.graph.influence import influence

done = threading.Event()
worker = threading.Thread(target=lambda: (influence(scattered(0)), done.set(), threading.Event().wait()), daemon=True)
worker.start()
assert done.wait(60)
print("solved")
"""


def test_python_ends_in_good_order_while_a_thread_that_solved_lives():
    """As a server's worker does; with unbuffered output, where an error left behind would become the exit code."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": PYTHONPATH}
    ended = subprocess.run([sys.executable, "-c", WORKER], env=environment, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "solved\n", "")


@pytest.mark.parametrize(
    ("share", "n"), [(0.0, 1), (0.4, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.81, 3), (1.0, 3), (2.0, 3)]
)
def test_the_fewest_that_hold_a_share(share, n):
    assert fewest(np.array([0.3, 0.2, 0.0, 0.5]), share) == n


@pytest.mark.slow
def test_millions_of_edges_take_a_second():
    rng, n = np.random.default_rng(0), 3000
    target, source = np.tril_indices(n, -1)
    few = wired(TWO_PATHS, [], {3: 1.0})
    tile = np.r_[np.zeros(n - 1, int), 3]
    fields = {f: getattr(few.nodes, f)[tile] for f in few.nodes.__dataclass_fields__}
    big = dataclasses.replace(
        few,
        nodes=type(few.nodes)(**fields),
        edges=Edges(source, target, rng.normal(size=len(source)).astype(np.float32)),
        constant=np.zeros(n),
        probability=np.r_[np.zeros(n - 1), 1.0],
    )
    start = time.perf_counter()
    found = influence(big)
    assert time.perf_counter() - start < 5  # a second alone; the machine may be busy
    assert found[0] > 0 and np.isfinite(found).all()
