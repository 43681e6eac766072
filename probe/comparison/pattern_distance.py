"""How far apart the attention patterns of a head are in two prompts, row by row. Pure arrays; no model."""

import numpy as np
from jaxtyping import Float

from probe.text.alignment import Alignment


def pattern_distances(
    a: Float[np.ndarray, "layer head q_a k_a"], b: Float[np.ndarray, "layer head q_b k_b"], alignment: Alignment
) -> Float[np.ndarray, "layer head pair"]:
    """Half the summed absolute difference between two rows of attention, each laid out over the columns of the alignment; a
    token without a counterpart is a column in which the other row is 0."""
    pairs, n = alignment.pairs, len(alignment.columns)
    at_a = [i for i, c in enumerate(alignment.columns) if c.a is not None]
    at_b = [i for i, c in enumerate(alignment.columns) if c.b is not None]
    found = np.zeros((*a.shape[:2], len(pairs)))
    for layer in range(a.shape[0] if pairs else 0):
        difference = np.zeros((a.shape[1], len(pairs), n))
        difference[:, :, at_a] += a[layer][:, [i for i, _ in pairs]]
        difference[:, :, at_b] -= b[layer][:, [j for _, j in pairs]]
        found[layer] = np.abs(difference).sum(-1) / 2
    return found
