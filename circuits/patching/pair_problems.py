"""Why two prompts cannot be patched into each other, in a sentence: of unequal length, the same, with nothing to restore."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.patching.sides import Side
from probe.words import figures


def pair_problem(
    clean: Side,
    corrupted: Side,
    logits: list[Float[Tensor, " d_vocab"]],
    answers: list[int],
    named: list[str],
    metric: Any,
) -> str:
    """Why these two cannot be patched into each other, with what to do; "" where they can."""
    if clean.token_ids == corrupted.token_ids:
        return "Both prompts are the same tokens, so there is nothing to patch. Change a word in one of them."
    if len(clean.token_ids) != len(corrupted.token_ids):
        return _unequal_lengths(clean, corrupted)
    if metric == "logit_diff" and answers[0] == answers[1]:
        return (
            f"Both answers are {named[0]!r}, so their logits do not differ. Name a right and a wrong answer, "
            "like ' Mary' and ' John', or choose another metric."
        )
    if torch.equal(logits[0], logits[1]):
        return "Both runs predict exactly the same, so no patch can matter. Choose prompts that call for different answers."
    size = max(1.0, abs(clean.value), abs(corrupted.value))
    if not abs(clean.value - corrupted.value) > 1e-9 * size:  # also NaN
        return (
            f"The metric is {figures(clean.value, 6)} in the clean and {figures(corrupted.value, 6)} in the corrupted run, "
            "so there is no "
            "difference to restore. Choose other answers or another metric."
        )
    return ""


def _unequal_lengths(clean: Side, corrupted: Side) -> str:
    n, m = len(clean.tokens), len(corrupted.tokens)
    at = next(
        (i for i, (a, b) in enumerate(zip(clean.token_ids, corrupted.token_ids, strict=False)) if a != b), min(n, m)
    )
    words = [repr(s.tokens[at]) if at < len(s.tokens) else "the end" for s in (clean, corrupted)]
    return (
        f"The clean prompt has {n} tokens and the corrupted one {m}; patching needs equally many, because a position is put in "
        f"the place of the same position. They first differ at position {at}: {words[0]} and {words[1]}. "
        "Choose words with the same number of tokens there."
    )
