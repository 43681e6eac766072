"""Which head is looked at first, where nobody has chosen one: the one that most looks one token back, which is easy to read."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float


def first_head(metrics: Mapping[str, Float[np.ndarray, "layer head"]]) -> tuple[int, int]:
    """Its layer and its number, by the scores of all heads (`probe.heads.pattern_scores`)."""
    back = np.nan_to_num(metrics["previous_token"])
    layer, head = np.unravel_index(int(back.argmax()), back.shape)
    return int(layer), int(head)
