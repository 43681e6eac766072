"""A null control: the same cells patched from runs that have nothing to do with the question.

A cell that moves the metric as far from an unrelated donor as from the real one is sensitive, not informative. Each donor
is the real donor's tokens in another order (the first stays, because heads without work look there), or a prompt given.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from circuits.patching.sides import Side
from probe.errors import BadInput
from probe.tokens import encode_prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def control_ids(model: "TransformerBridge", donor: Side, control: int | Sequence[str], seed: int) -> list[list[int]]:
    """Tokens of the unrelated donors. BadInput for a prompt of another length."""
    if isinstance(control, int):
        rng = np.random.default_rng(seed)
        first, *others = donor.token_ids
        return [[first, *(int(i) for i in rng.permutation(others))] for _ in range(control)]
    found = [encode_prompt(model, text) for text in ([control] if isinstance(control, str) else control)]
    for text, ids in zip(control, found, strict=False):
        if len(ids) != len(donor.token_ids):
            raise BadInput(
                f"The control prompt {text!r} has {len(ids)} tokens and the others {len(donor.token_ids)}; "
                "patching needs equally many."
            )
    return found
