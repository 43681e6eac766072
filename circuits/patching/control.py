"""A null control: the same cells patched from runs that have nothing to do with the question.

A cell that moves the metric as far from an unrelated donor as from the real one is sensitive, not informative. Each donor
is the real donor's tokens in another order (the first stays, because heads without work look there), never in its own, which
would be the real donor again; or a prompt given.
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
        return [_shuffled(donor.token_ids, rng) for _ in range(control)]
    found = [encode_prompt(model, text) for text in ([control] if isinstance(control, str) else control)]
    for text, ids in zip(control, found, strict=False):
        if len(ids) != len(donor.token_ids):
            raise BadInput(
                f"The control prompt {text!r} has {len(ids)} tokens and the others {len(donor.token_ids)}; "
                "patching needs equally many."
            )
    return found


def _shuffled(ids: list[int], rng: np.random.Generator) -> list[int]:
    """The tokens after the first in another order; every order that differs is equally likely."""
    first, *others = ids
    if len(set(others)) < 2:
        raise BadInput(
            "All tokens after the first are the same, so no order of them is another. Give control prompts instead."
        )
    while True:
        drawn = [first, *(int(i) for i in rng.permutation(others))]
        if drawn != ids:
            return drawn
