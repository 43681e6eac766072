"""Choosing a circuit of a given size from scores: the best edges, grown from the output, or the best connected set.

top          the edges of largest score, each by itself (`signed`: those that most help the right answer)
greedy       grown from the logits: always the best edge into what is already in (Hanna et al. 2024)
stable       the same as top, among edges whose score has one sign in all of many bootstrap samples of the pairs
optimal      the connected set of largest total, as an integer program (the MIB shared task found it above greedy), to one part
             in ten thousand, where its solver stops
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.edge_attribution.scores import EdgeScores
from circuits.node_attribution.scores import NodeScores
from circuits.search.circuit import ComponentCircuit, connected
from circuits.search.grown import growth
from circuits.search.stored import ScoresName, read_edge_scores
from probe.artifacts.records import of_same_model
from probe.errors import BadInput, brief
from probe.methods import Doc, method

Rule = Literal["top", "greedy", "stable", "optimal"]
RULES = ("top", "greedy", "stable", "optimal")
Kept = Bool[np.ndarray, "sender receiver"]
SAMPLES = 200
"""Bootstrap samples of the pairs for `stable`."""


@method("choose-edges", group="circuits")
def choose_edges(
    scores: Annotated[ScoresName, Doc("Stored scores of edges.")],
    size: Annotated[int, Doc("Edges of the circuit, before what dangles goes.", least=0)],
    rule: Annotated[
        Rule,
        Doc(
            "`top`: the best edges; `greedy`: grown from the logits; `stable`: of one sign in all samples; `optimal`: "
            "the best connected set, an integer program."
        ),
    ] = "top",
    *,
    signed: Annotated[
        bool, Doc("Whether an edge counts by how it speaks for the right answer, or by its size.")
    ] = False,
    seed: Annotated[int, Doc("Of the samples of `stable`.", least=0)] = 0,
) -> ComponentCircuit:
    """The circuit of so many edges by their scores, without what dangles: fewer where not all of them are on a way to the logits.

    What dangles does nothing where removed edges carry the corrupted run's values; where they carry a constant, name the edges
    (`named_circuit`) to keep it. Raises BadInput for a size that the model does not have, scores
    that say nothing, and where nothing is left.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> len(ow.choose_edges(scores, 20, "optimal"))
    20
    """
    scores = read_edge_scores(scores)
    kept = connected(scores.layout, chosen(scores, size, rule, signed=signed, seed=seed))
    if size and not kept.any():
        raise BadInput(
            f"None of the {size:,} edges chosen by {rule} lies on a way from the input to the logits, so nothing is left of the "
            "circuit. Ask for more edges, or choose them by optimal."
        )
    told = {
        **scores.convention,
        "rule": rule,
        "signed": signed,
        "edges asked": size,
        "scores have a sign": scores.signed,
    }
    record = ComponentCircuit(
        method=f"{scores.method}, {rule}",
        task=scores.task,
        layout=scores.layout,
        kept=kept,
        score=scores.matrix,
        convention=told,
    )
    of_same_model(record, scores)
    return record


def chosen(scores: EdgeScores, size: int, rule: Rule = "top", *, signed: bool = False, seed: int = 0) -> Kept:
    """`size` edges of a model by their scores (fewer where no more are connected, stable or measured).

    signed: by how much an edge speaks for the right answer; otherwise by its size, whichever way it speaks. BadInput for a size
    that the model does not have, and for a rule there is not.
    """
    return all_chosen(scores, [size], rule, signed=signed, seed=seed)[0]


def all_chosen(
    scores: EdgeScores, sizes: Sequence[int], rule: Rule = "top", *, signed: bool = False, seed: int = 0
) -> list[Kept]:
    """Circuits of several sizes: of every rule but `optimal` the smaller are the first edges of the larger."""
    total = int(scores.layout.edges.sum())
    if wrong := [size for size in sizes if not 0 <= size <= total]:
        raise BadInput(f"A circuit of {wrong[0]} edges was asked for; this model has {total}.")
    if rule not in RULES:
        raise BadInput(f"There is no rule {brief(rule)}; choose {', '.join(RULES)}.")
    require_sign(scores, signed)
    known = np.isfinite(scores.matrix)  # neither what is no edge nor what was not measured
    if max(sizes, default=0) and not scores.matrix[known].any():
        raise BadInput(
            "Every score is 0 or missing, so no edge is better than another. Make the scores of another metric."
        )
    worth = np.where(known, -scores.matrix if signed else np.abs(scores.matrix), -np.inf)
    if rule == "stable":
        worth = _stable(scores, worth, seed)
    if rule == "optimal":
        return [_optimal(scores, worth, size) for size in sizes]
    if rule == "greedy":
        order = growth(scores.layout, worth, max(sizes, default=0))
    else:
        order = np.argsort(-worth, axis=None, kind="stable")[: int(np.isfinite(worth).sum())]
    return [_of(order[:size], worth.shape) for size in sizes]


def require_sign(scores: EdgeScores | NodeScores, signed: bool) -> None:
    """BadInput where parts are to be chosen by a sign that the scores do not have."""
    if signed and not scores.signed:
        raise BadInput(
            f"Scores by {scores.method} say neither for nor against the right answer, so nothing can be chosen by that; leave "
            "`signed` out."
        )


def _of(flat: Int[np.ndarray, " edge"], shape: tuple[int, ...]) -> Kept:
    kept = np.zeros(shape, bool)
    kept.flat[flat] = True
    return kept


def _stable(
    scores: EdgeScores, worth: Float[np.ndarray, "sender receiver"], seed: int
) -> Float[np.ndarray, "sender receiver"]:
    """The worth of edges whose score has one sign in all samples; that of others is none."""
    worth = worth.copy()
    worth[tuple(scores.edges[~one_signed(scores.by_pair, seed)].T)] = -np.inf
    return worth


def one_signed(by_pair: Float[np.ndarray, "pair part"], seed: int = 0) -> Bool[np.ndarray, " part"]:
    """Which scores have one sign in the mean of every bootstrap sample of the pairs. BadInput for one pair."""
    if len(by_pair) < 2:
        raise BadInput("One pair has no samples; `stable` needs several pairs.")
    n, draw = len(by_pair), np.random.default_rng(seed)
    shares = draw.multinomial(n, np.full(n, 1 / n), SAMPLES) / n  # sample pair
    low, high = np.full(by_pair.shape[1], np.inf), np.full(by_pair.shape[1], -np.inf)
    for share in shares:
        mean = share @ by_pair
        low, high = np.minimum(low, mean), np.maximum(high, mean)
    return (low > 0) | (high < 0)


def _optimal(scores: EdgeScores, worth: Float[np.ndarray, "sender receiver"], size: int) -> Kept:
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
