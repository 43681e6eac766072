"""Random draws that depend on what is drawn and on nothing else: each token and each unit has its own fixed random number.

So a sample comes out the same however the stream is cut, where it was interrupted, and how long it is.
"""

import numpy as np
from jaxtyping import Float, Int, UInt64

from probe.activations.shuffle import GOLDEN, splitmix

_MASK = (1 << 64) - 1


def mixed(items: Int[np.ndarray, " n"], seed: int, salt: int) -> UInt64[np.ndarray, " n"]:
    """64 well mixed bits of each number."""
    start = np.uint64(((seed + 1) * GOLDEN + (salt << 17)) & _MASK)
    return splitmix((np.asarray(items).astype(np.uint64) + start) * np.uint64(GOLDEN))


def paired(one: UInt64[np.ndarray, " n"], other: UInt64[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """A draw from above 0 to 1 for each pair of mixed numbers, in steps of 2**-24."""
    product = (one | np.uint64(1)) * (other | np.uint64(1))
    product ^= product >> np.uint64(29)
    product >>= np.uint64(40)
    return (product.astype(np.float32) + np.float32(1)) * np.float32(2**-24)
