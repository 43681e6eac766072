"""Choosing a circuit of a given size from scores: the best edges, grown from the output, or the best connected set.

top          the edges of largest score, each by itself (`signed`: those that most help the right answer)
greedy       grown from the logits: always the best edge into what is already in (Hanna et al. 2024)
stable       the same as top, among edges whose score has one sign in all of many bootstrap samples of the pairs
optimal      the connected set of largest total, as an integer program (the MIB shared task found it above greedy), to one part
             in ten thousand, where its solver stops
"""

import heapq
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import ComponentCircuit, connected
from probe.errors import BadInput, brief

Rule = Literal["top", "greedy", "stable", "optimal"]
Kept = Bool[np.ndarray, "sender receiver"]
SAMPLES = 200
"""Bootstrap samples of the pairs for `stable`."""


def choose_edges(
    scores: EdgeScores, size: int, rule: Rule = "top", *, signed: bool = False, seed: int = 0
) -> ComponentCircuit:
    """The circuit of `size` edges by their scores, without what dangles: fewer where not all of them are on a way to the logits.

    rule: `top`, `greedy`, `stable` or `optimal`. signed: whether an edge counts by how much it speaks for the right answer, or by
    its size. seed: of the samples of `stable`.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> len(ow.choose_edges(scores, 20, "optimal"))
    20
    """
    kept = connected(scores.layout, chosen(scores, size, rule, signed=signed, seed=seed))
    told = {**scores.convention, "rule": rule, "signed": signed, "edges asked": size}
    return ComponentCircuit(
        method=f"{scores.method}, {rule}", task=scores.task, layout=scores.layout, kept=kept, convention=told
    )


def chosen(scores: EdgeScores, size: int, rule: Rule = "top", *, signed: bool = False, seed: int = 0) -> Kept:
    """`size` edges of a model by their scores (fewer where no more are connected, stable or measured).

    signed: by how much an edge speaks for the right answer; otherwise by its size, whichever way it speaks. BadInput for a size
    that the model does not have, and for a rule there is not.
    """
    total = int(scores.layout.edges.sum())
    if not 0 <= size <= total:
        raise BadInput(f"A circuit of {size} edges was asked for; this model has {total}.")
    if rule not in _RULES:
        raise BadInput(f"There is no rule {brief(rule)}; choose {', '.join(_RULES)}.")
    if signed and not scores.signed:
        raise BadInput(
            f"Scores by {scores.method} say neither for nor against the right answer, so no edge can be chosen by that; leave "
            "`signed` out."
        )
    known = np.isfinite(scores.matrix)  # neither what is no edge nor what was not measured
    worth = np.where(known, -scores.matrix if signed else np.abs(scores.matrix), -np.inf)
    return _RULES[rule](scores, worth, size, seed)


def _top(scores: EdgeScores, worth: Float[np.ndarray, "sender receiver"], size: int, seed: int = 0) -> Kept:
    kept = np.zeros(worth.shape, bool)
    kept.flat[np.argsort(-worth, axis=None, kind="stable")[:size]] = True
    return kept & np.isfinite(worth)


def _stable(scores: EdgeScores, worth: Float[np.ndarray, "sender receiver"], size: int, seed: int = 0) -> Kept:
    if len(scores.by_pair) < 2:
        raise BadInput("One pair has no samples; `stable` needs several pairs.")
    n, draw = len(scores.by_pair), np.random.default_rng(seed)
    shares = draw.multinomial(n, np.full(n, 1 / n), SAMPLES) / n  # sample pair
    low, high = np.full(scores.by_pair.shape[1], np.inf), np.full(scores.by_pair.shape[1], -np.inf)
    for share in shares:
        mean = share @ scores.by_pair
        low, high = np.minimum(low, mean), np.maximum(high, mean)
    worth = worth.copy()
    worth[tuple(scores.edges[(low <= 0) & (high >= 0)].T)] = -np.inf
    return _top(scores, worth, size)


def _greedy(scores: EdgeScores, worth: Float[np.ndarray, "sender receiver"], size: int, seed: int = 0) -> Kept:
    layout, kept = scores.layout, np.zeros(worth.shape, bool)
    inside = np.zeros(len(layout.senders), bool)
    frontier: list[tuple[float, int, int]] = []

    def opens(receivers: np.ndarray) -> None:
        for v in receivers:
            for u in np.flatnonzero(np.isfinite(worth[:, v])):
                heapq.heappush(frontier, (-worth[u, v], int(u), int(v)))

    opens(np.array([len(layout.receivers) - 1]))
    opened = np.zeros(len(layout.receivers), bool)
    while frontier and kept.sum() < size:
        _, u, v = heapq.heappop(frontier)
        kept[u, v] = True
        if not inside[u]:
            inside[u] = True
            new = np.flatnonzero(layout.components[u] & ~opened)
            opened[new] = True
            opens(new)
    return kept


def _optimal(scores: EdgeScores, worth: Float[np.ndarray, "sender receiver"], size: int, seed: int = 0) -> Kept:
    """One variable an edge and one a sender. An edge needs its sender, and someone who reads through it; a sender needs an edge
    out of it and, unless it is an input, one into it."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    layout, edges = scores.layout, np.argwhere(np.isfinite(worth))
    n, m = len(edges), len(layout.senders)
    writes = csr_array((np.ones(n), (np.arange(n), edges[:, 0])), (n, m))
    reads = csr_array(layout.components.T.astype(float))[edges[:, 1]]
    inner, hidden = edges[:, 1] < len(layout.receivers) - 1, np.arange(m) >= len(layout.inputs)
    rules = [  # each row of each is at most 0
        hstack([eye_array(n), -writes]),
        hstack([eye_array(n), -reads], format="csr")[inner],
        hstack([-writes.T, eye_array(m)]),
        hstack([-reads.T, eye_array(m)], format="csr")[hidden],
    ]
    budget = csr_array(np.concatenate([np.ones(n), np.zeros(m)])[None])
    whole = vstack([*rules, budget], format="csr")
    upper = np.concatenate([np.zeros(n + inner.sum() + m + hidden.sum()), [size]])
    cost = np.concatenate([-worth[tuple(edges.T)], np.zeros(m)])
    within = LinearConstraint(whole, -np.inf, upper)
    found = milp(cost, constraints=within, integrality=np.ones(n + m), bounds=Bounds(0, 1))
    if found.x is None:
        raise BadInput(f"No connected circuit of {size} edges was found: {found.message}")
    kept = np.zeros(worth.shape, bool)
    kept[tuple(edges[found.x[:n] > 0.5].T)] = True
    return kept


_RULES = {"top": _top, "greedy": _greedy, "stable": _stable, "optimal": _optimal}
