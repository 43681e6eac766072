"""What stands at the margins of one head's pattern: how much each key receives, how spread each query looks; means over heads."""

import numpy as np
from jaxtyping import Float


def received(pattern: Float[np.ndarray, "q_pos k_pos"]) -> Float[np.ndarray, " k_pos"]:
    """The mean attention each key gets from the queries that can see it: key k is seen by the queries from k on."""
    return pattern.sum(0) / np.arange(len(pattern), 0, -1)


def entropy(pattern: Float[np.ndarray, "*many q_pos k_pos"]) -> Float[np.ndarray, "*many q_pos"]:
    """The entropy of each query's attention, in nats; a key without attention adds nothing."""
    return -(pattern * np.log(np.maximum(pattern, 1e-30))).sum(-1)


def mean_of_known(values: Float[np.ndarray, "*many"], axis: int) -> Float[np.ndarray, "*fewer"]:
    """The mean over an axis (layers, heads) of what is there; NaN where nothing is."""
    known = np.isfinite(values)
    count = np.where(known.any(axis), np.maximum(known.sum(axis), 1), np.nan)
    return np.asarray(np.where(known, values, 0).sum(axis) / count)
