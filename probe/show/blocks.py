"""Arrays too long to be drawn, as the largest of blocks: every strong entry is still seen."""

import numpy as np
from jaxtyping import Float


def largest_of_blocks(values: Float[np.ndarray, "..."], block: int, axes: int) -> Float[np.ndarray, "..."]:
    """The largest entry of each block of `block` along each of the last `axes` axes; what is missing at an end counts as 0."""
    if block == 1:
        return values
    kept = values.ndim - axes
    many = [-(-n // block) for n in values.shape[kept:]]
    pad = [m * block - n for m, n in zip(many, values.shape[kept:], strict=True)]
    wide = np.pad(values, [(0, 0)] * kept + [(0, p) for p in pad])
    split = wide.reshape(*values.shape[:kept], *(size for m in many for size in (m, block)))
    return split.max(axis=tuple(kept + 1 + 2 * i for i in range(axes)))
