"""Does a model do a task at all? What it does no better than chance has no mechanism to be found, and is refused in a sentence.

Right answers are counted against the chance of one: the share must reach `WORTH`, and so many must be rarer than 1 in 100 by
chance (one-sided binomial test).
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from probe.errors import BadInput
from probe.identity import model_name
from probe.tasks.check import WORTH, metrics_of
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

ALPHA = 0.01


def require_done(
    model: "TransformerBridge",
    what: str,
    right: Bool[np.ndarray, " prompt"],
    *,
    chance: float = 0.5,
    least: float = WORTH,
    alpha: float = ALPHA,
    remedy: str = "",
) -> None:
    """BadInput unless a model does this: of how many prompts it is right, beside what chance would give. least: the share.
    alpha: how rare it must be by chance. remedy: what else may be done."""
    from scipy.stats import binom  # takes a while to import

    n, hits = len(right), int(right.sum())
    if hits >= least * n and float(binom.sf(hits - 1, n, chance)) <= alpha:
        return
    raise BadInput(
        f"{model_name(model)} is right in {hits} of {n} prompts of {what}, where chance gives {chance * n:.0f}; at least "
        f"{least:.0%}, and so many that chance reaches them {alpha:.0%} of the time or less, were wanted. What a model does not "
        "do has no mechanism to be found. `openwork tasks check` says which tasks a model does; take another task or another "
        f"model{remedy}."
    )


FEWEST, COIN = 8, 0.2
"""Pairs that a search or an evaluation of circuits takes to tell, and how rare it must be by tossing a coin for each: asked
before hours are spent, and claims nothing of how well the task is done."""


def require_task(model: "TransformerBridge", pairs: Pairs, at_chance: bool = False) -> None:
    """BadInput for a task that the model is at chance at: the right answer is above the wrong one as often as a coin would have
    it. at_chance: whether that is wanted."""
    if at_chance or len(pairs) < FEWEST or not all(pairs.wrong):
        return
    right = metrics_of(model, pairs)[2]
    require_done(model, pairs.task, right, least=0.5, alpha=COIN, remedy=", or ask all the same with at_chance")
