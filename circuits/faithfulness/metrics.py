"""What a curve of circuits by size comes to, and how a ranking compares with a circuit that is known.

f(C) = (m(C) - m(nothing)) / (m(model) - m(nothing))            1: the circuit alone does what the model does
CPR  = area under f over the share of edges kept                (Mueller et al. 2025, MIB: circuit performance ratio)
CMD  = area between f and 1                                     (circuit-model distance; 0 is best)
AUROC = chance that an edge of the known circuit is ranked above one that is not; ties count half (Mann-Whitney)
"""

import numpy as np
from jaxtyping import Bool, Float

from probe.errors import BadInput

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of a model's edges at which MIB looks."""
_LEAST = 1e-6


def faithfulness(value: Float[np.ndarray, "*some"], whole: float, nothing: float) -> Float[np.ndarray, "*some"]:
    """f of metrics. BadInput where the model without any edge does as well as with all."""
    return np.asarray((value - nothing) / gap(whole, nothing))


def gap(whole: float, nothing: float) -> float:
    """What all edges together are worth. BadInput where that is nothing: no circuit could be told from another."""
    if not abs(whole - nothing) > _LEAST * max(1.0, abs(whole)):
        raise BadInput(
            f"The metric is {whole:.4g} in the whole model and {nothing:.4g} with every edge removed, so no circuit can be told "
            "from another. Choose a task the model does, another metric, or another ablation."
        )
    return whole - nothing


def area(shares: Float[np.ndarray, " size"], f: Float[np.ndarray, "*some size"]) -> Float[np.ndarray, "*some"]:
    """CPR: the area under f, by trapezoids from the smallest share to the largest."""
    return np.asarray(np.trapezoid(f, shares, axis=-1))


def distance(shares: Float[np.ndarray, " size"], f: Float[np.ndarray, "*some size"]) -> Float[np.ndarray, "*some"]:
    """CMD: the area between f and 1."""
    return np.asarray(np.trapezoid(np.abs(1 - np.asarray(f)), shares, axis=-1))


def auroc(score: Float[np.ndarray, " edge"], true: Bool[np.ndarray, " edge"]) -> float:
    """How well a score tells the edges of a known circuit from the others. An edge without a score (NaN) ranks last, so what a
    method never reached counts against it. BadInput where the circuit is everything or nothing."""
    from scipy.stats import rankdata

    n = int(true.sum())
    if n in (0, len(true)):
        raise BadInput(f"The known circuit has {n} of {len(true)} edges, so there is nothing to tell apart.")
    filled = np.where(np.isnan(score), -np.inf, score)
    ranks = rankdata(filled)
    return float((ranks[true].sum() - n * (n + 1) / 2) / (n * (len(true) - n)))
