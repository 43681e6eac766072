"""The benchmark of graphs compares what it says it compares: matching by name, gaps, and what only one graph has."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from graph_compare import Named, circuit_tracer_nodes, compare, openwork

from circuits.graph.graph import KINDS, CircuitGraph, Edges, Nodes

NODES = [("token", -1, 0, 7), ("latent", 0, 0, 3), ("latent", 1, 0, 5), ("logit", 2, 0, 9)]
MATRIX = np.array([[0, 0, 0, 0], [2, 0, 0, 0], [-4, 0.5, 0, 0], [1, 3, -8, 0]], np.float32)


def shuffled(seed: int = 0) -> Named:
    order = np.random.default_rng(seed).permutation(4)
    return Named([NODES[i] for i in order], MATRIX[np.ix_(order, order)])


def test_the_same_graph_in_another_order_agrees_exactly() -> None:
    found = compare(Named(NODES, MATRIX), shuffled())
    assert (found.nodes, found.edges, found.largest_gap, found.row_gap) == (4, 6, 0.0, 0.0)
    assert (found.only_left, found.only_right) == (0, 0)


def test_gaps_are_of_the_largest_edge_and_of_the_targets_own() -> None:
    other = MATRIX.copy()
    other[1, 0] = 1  # 2 -> 1: an eighth of the largest edge, half of that target's own largest
    found = compare(Named(NODES, MATRIX), Named(NODES, other))
    assert found.largest_gap == 1 / 8
    assert found.row_gap == 1 / 2


def test_a_node_that_only_one_has_counts_by_its_edges() -> None:
    silent, loud = np.zeros((5, 5), np.float32), np.zeros((5, 5), np.float32)
    silent[:4, :4] = loud[:4, :4] = MATRIX
    loud[3, 4] = 2
    nodes = [*NODES, ("error", 1, 0, -1)]
    assert compare(Named(NODES, MATRIX), Named(nodes, silent)).only_right_edge == 0
    found = compare(Named(nodes, loud), Named(NODES, MATRIX))
    assert (found.only_left, found.only_left_edge, found.only_right_edge) == (1, 2 / 8, 0)


def test_names_that_repeat_or_share_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        compare(Named([NODES[0]] * 4, MATRIX), Named(NODES, MATRIX))
    with pytest.raises(ValueError, match="no node in common"):
        compare(Named([("token", -1, 9, i) for i in range(4)], MATRIX), Named(NODES, MATRIX))


def test_rows_of_circuit_tracer_are_features_errors_by_layer_tokens_logits() -> None:
    names = circuit_tracer_nodes(np.array([[1, 0, 5]]), np.array([7, 8]), np.array([9]), layers=2)
    errors = [("error", layer, pos, -1) for layer in (0, 1) for pos in (0, 1)]
    assert names == [("latent", 1, 0, 5), *errors, ("token", -1, 0, 7), ("token", -1, 1, 8), ("logit", 2, 1, 9)]


def test_our_graph_becomes_a_matrix_without_the_kinds_the_other_has_not() -> None:
    kinds = ["token", "bias", "latent", "latent", "logit"]
    columns = np.array([[-1, 0, 0, 1, 2], [0] * 5, [7, -1, 3, 5, 9]])
    nodes = Nodes(np.array([KINDS.index(k) for k in kinds]), *columns, np.zeros(5), np.zeros(5))
    edges = [(0, 2, 2), (1, 2, 6), (0, 3, -4), (2, 3, 0.5), (0, 4, 1), (2, 4, 3), (3, 4, -8)]
    source, target, weight = (np.array(column) for column in zip(*edges, strict=True))
    graph = CircuitGraph(
        prompt="",
        token_ids=[7],
        tokens=["a"],
        nodes=nodes,
        edges=Edges(source, target, weight),
        constant=np.zeros(5),
        probability=np.zeros(5),
        unit_tokens=[""] * 5,
        residual=0,
        residual_relative=0,
        n_layers=2,
    )
    found = openwork(graph)
    assert list(found.nodes) == NODES
    assert np.array_equal(found.matrix, MATRIX)
