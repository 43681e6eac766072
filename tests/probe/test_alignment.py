"""Alignment of two token sequences: known cases by hand, and what must hold of any two."""

import numpy as np
import pytest

from probe.text.alignment import Column, align


def sides(a, b):
    return [(c.a, c.b, c.same) for c in align(a, b).columns]


def test_identity():
    found = align([5, 6, 7], [5, 6, 7])
    assert found.pairs == [(0, 0), (1, 1), (2, 2)] and found.n_same == 3


def test_insertion_and_deletion_leave_one_gap():
    assert sides([1, 2, 3], [1, 9, 2, 3]) == [(0, 0, True), (None, 1, False), (1, 2, True), (2, 3, True)]
    assert sides([1, 9, 2, 3], [1, 2, 3]) == [(0, 0, True), (1, None, False), (2, 1, True), (3, 2, True)]


def test_a_replaced_token_stands_opposite_what_replaced_it():
    assert sides([1, 2, 3], [1, 8, 3]) == [(0, 0, True), (1, 1, False), (2, 2, True)]


def test_a_name_of_two_tokens_against_one_of_three():
    assert sides([1, 2, 3, 4], [1, 7, 8, 9, 4]) == [
        (0, 0, True),
        (1, 1, False),
        (2, 2, False),
        (None, 3, False),
        (3, 4, True),
    ]


def test_all_different():
    found = align([1, 2], [3, 4])
    assert found.pairs == [(0, 0), (1, 1)] and found.n_same == 0


@pytest.mark.parametrize(("a", "b", "n"), [([], [], 0), ([1, 2], [], 2), ([], [1], 1)])
def test_empty(a, b, n):
    found = align(a, b)
    assert len(found.columns) == n and found.pairs == []


def test_columns_in_their_order():
    found = align([1, 2, 3], [1, 9, 2, 3])
    assert [c.a for c in found.columns] == [0, None, 1, 2] and [c.b for c in found.columns] == [0, 1, 2, 3]
    assert found.columns[1] == Column(None, 1, False)


@pytest.mark.parametrize("seed", range(20))
def test_every_position_stands_once_and_in_order(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, rng.integers(0, 30)).tolist(), rng.integers(0, 4, rng.integers(0, 30)).tolist()
    found = align(a, b).columns
    assert [c.a for c in found if c.a is not None] == list(range(len(a)))
    assert [c.b for c in found if c.b is not None] == list(range(len(b)))
    assert all(c.same == (a[c.a] == b[c.b]) for c in found if c.same)
    assert all(c.a is not None or c.b is not None for c in found)


def test_frequent_tokens_are_not_taken_for_noise():
    """difflib leaves frequent elements of long sequences out unless told not to; the tail must still align."""
    a = [7] * 300
    assert align([1, *a], [2, *a]).n_same == 300
