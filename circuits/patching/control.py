"""A null control: the same cells patched from runs that have nothing to do with the question.

A cell that moves the metric as far from an unrelated donor as from the real one is sensitive, not informative. A donor drawn here
holds the words that both prompts share, in a random order, and none of those by which they differ: not at their own place and not
at another, since what a head moves to the last token it moves from wherever it finds it. At every position where the shared words
allow it, the word is another than the real donor's. The first token stays where both prompts begin alike, because heads without
work look there. Or donors are prompts given.

A control need not be 0 where a cell works: an unrelated donor brings nothing of the donor's answer, but it takes away what the
cell said for the unpatched run's, which alone can be half of a difference of two logits. What stands above the control is what
the real donor brings.
"""

from typing import TYPE_CHECKING

import numpy as np

from circuits.patching.sides import Side
from probe.errors import BadInput
from probe.text.prompts import Prompts, read_prompt, several

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

DRAWN = "words that both prompts share, drawn at random; none of those by which they differ"


def control_ids(
    model: "TransformerBridge", donor: Side, base: Side, control: int | Prompts, seed: int
) -> list[list[int]]:
    """Tokens of the unrelated donors. BadInput for a prompt of another length, and where nothing is left to draw from."""
    if isinstance(control, int):
        if control < 0:
            raise BadInput(f"{control} control donors were asked for; give 0 or more, or control prompts.")
        rng = np.random.default_rng(seed)
        return [_drawn(donor.token_ids, base.token_ids, rng) for _ in range(control)]
    found = [read_prompt(model, one) for one in several(control)]
    for text, ids in found:
        if len(ids) != len(donor.token_ids):
            raise BadInput(
                f"The control prompt {text!r} has {len(ids)} tokens and the others {len(donor.token_ids)}; "
                "patching needs equally many."
            )
    return [ids for _, ids in found]


def _drawn(donor: list[int], base: list[int], rng: np.random.Generator) -> list[int]:
    """One donor: at every position but a shared first one, some word of both prompts that is not the donor's own there."""
    studied = {i for pair in zip(donor, base, strict=True) if pair[0] != pair[1] for i in pair}
    pool = [i for i in donor[1:] if i not in studied]
    if not pool:
        raise BadInput(
            "After the first token both prompts share no word to make an unrelated donor of. Give control prompts instead."
        )
    found = []
    for at, own in enumerate(donor):
        other = [i for i in pool if i != own] or pool
        found.append(own if at == 0 and own not in studied else other[rng.integers(len(other))])
    return found
