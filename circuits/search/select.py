"""Choosing a circuit of a given size from scores: the best edges, grown from the output, or the best connected set.

top          the edges of largest score, each by itself (`signed`: those that most help the right answer)
greedy       grown from the logits: always the best edge into what is already in (Hanna et al. 2024)
stable       the same as top, among edges whose score has one sign in all of many bootstrap samples of the pairs
optimal      the connected set of largest total, as an integer program (the MIB shared task found it above greedy)
"""

import heapq
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.scores import EdgeScores
from probe.errors import BadInput

Rule = Literal["top", "greedy", "stable", "optimal"]
Kept = Bool[np.ndarray, "sender receiver"]
SAMPLES = 200
"""Bootstrap samples of the pairs for `stable`."""


def chosen(scores: EdgeScores, size: int, rule: Rule = "top", *, signed: bool = False, seed: int = 0) -> Kept:
    """`size` edges of a model by their scores (fewer where no more are connected, or stable).

    signed: by how much an edge speaks for the right answer; otherwise by its size, whichever way it speaks. BadInput for a size
    that the model does not have, and for a rule there is not.
    """
    total = int(scores.layout.edges.sum())
    if not 0 <= size <= total:
        raise BadInput(f"A circuit of {size} edges was asked for; this model has {total}.")
    if rule not in _RULES:
        raise BadInput(f"There is no rule '{rule}'; choose {', '.join(_RULES)}.")
    worth = np.where(scores.layout.edges, -scores.matrix if signed else np.abs(scores.matrix), -np.inf)
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
            for u in np.flatnonzero(layout.edges[:, v]):
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
    """One variable an edge and one a sender. An edge needs its sender fed and its receiver's component read."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array, vstack

    layout, edges = scores.layout, scores.edges
    n, m = len(edges), len(layout.senders)
    free = set(range(len(layout.inputs)))
    ones = np.ones(n)
    at = np.arange(n)
    uses = coo_array((ones, (at, edges[:, 0])), (n, m))  # the sender of each edge
    tie = coo_array((ones, (at, at)), (n, n))
    rows = [_side(tie, uses)]  # x_e <= y_u
    owned = [np.flatnonzero(layout.components[:, v]) for v in edges[:, 1]]
    tied = [(e, u) for e, own in enumerate(owned) for u in own]  # an edge into a component is used only if that is in
    if tied:
        pairs = np.array(tied)
        k = len(pairs)
        mine = coo_array((np.ones(k), (np.arange(k), pairs[:, 0])), (k, n))
        whose = coo_array((np.ones(k), (np.arange(k), pairs[:, 1])), (k, m))
        rows.append(_side(mine, whose))
    out = coo_array((ones, (edges[:, 0], at)), (m, n))  # a sender that is in writes to someone, and is fed
    fed = coo_array((np.ones(len(tied)), ([u for _, u in tied], [e for e, _ in tied])), (m, n))
    hidden = np.array([u not in free for u in range(m)])
    eye = coo_array((np.ones(m), (np.arange(m), np.arange(m))), (m, m))
    rows += [_side(eye, out, flip=True), _side(coo_array(np.diag(hidden.astype(float))), fed, flip=True)]
    budget = coo_array((ones, (np.zeros(n, int), at)), (1, n + m))
    whole = vstack([*rows, budget])
    upper = np.concatenate([np.zeros(whole.shape[0] - 1), [size]])
    cost = np.concatenate([-worth[tuple(edges.T)], np.zeros(m)])
    found = milp(
        cost, constraints=LinearConstraint(whole, -np.inf, upper), integrality=np.ones(n + m), bounds=Bounds(0, 1)
    )
    if found.x is None:
        raise BadInput(f"No connected circuit of {size} edges was found: {found.message}")
    kept = np.zeros(worth.shape, bool)
    kept[tuple(edges[found.x[:n] > 0.5].T)] = True
    return kept


def _side(left: "object", right: "object", flip: bool = False) -> "object":
    """left - right <= 0, with the edges' columns first and the senders' second; flip: the left side is of senders."""
    from scipy.sparse import hstack

    return hstack([-right, left]) if flip else hstack([left, -right])  # type: ignore[operator]


_RULES = {"top": _top, "greedy": _greedy, "stable": _stable, "optimal": _optimal}
