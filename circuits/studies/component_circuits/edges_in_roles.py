"""Do the edges that attribution finds run between the components that play the roles, or between any?

Of the best edges by EAP-IG that run from a head or an MLP (not from the input), the share of their summed size that lies on the
edges of the roles. Roles are given by where heads look, without asking attribution; the control gives them to others.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.scores import EdgeScores
from circuits.search.select import chosen
from circuits.studies.claim import Measured
from circuits.studies.component_circuits.circuit_claims import size_of
from circuits.studies.component_circuits.cuts import Edges
from circuits.studies.component_circuits.shares import drawn_again
from probe.statistics import Interval


def in_roles(
    scores: EdgeScores, roles: Edges, others: Sequence[Edges], seed: int, among: Callable[[str, str], bool]
) -> Measured:
    """Share of the best edges on the roles' edges. others: the edges of roles given to others. among: which edges count, by the
    names of their sender and receiver."""
    layout = scores.layout
    counted = np.array([among(layout.senders[u], layout.receivers[v]) for u, v in scores.edges])
    best = chosen(scores, size_of(scores))[tuple(scores.edges.T)] & counted
    size = np.abs(scores.score) * best
    on = [one[tuple(scores.edges.T)] for one in (roles, *others)]
    shares = [_share(size, one) for one in on]
    low, high = np.nanquantile(_again(scores, best, on[0]), [0.025, 0.975])
    return Measured(
        interval=Interval(shares[0], float(low), float(high)),
        n=len(scores.by_pair),
        over="pairs",
        draws=np.array(shares[1:]),
        seed=seed,
    )


def _share(size: Float[np.ndarray, " edge"], on: Bool[np.ndarray, " edge"]) -> float:
    return float(size[on].sum() / max(size.sum(), 1e-30))


def _again(scores: EdgeScores, best: np.ndarray, on: np.ndarray) -> Float[np.ndarray, " sample"]:
    """The share, pairs drawn again and again."""
    size = np.abs(drawn_again(len(scores.by_pair)) @ scores.by_pair[:, best])  # sample edge
    return size[:, on[best]].sum(1) / np.maximum(size.sum(1), 1e-30)
