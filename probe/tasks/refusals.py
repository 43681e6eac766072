"""Pairs that do not belong together, or to this model, are refused before work starts."""

from typing import TYPE_CHECKING

from probe.errors import BadInput, brief
from probe.model.fingerprint import stamp
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def require_pairs(model: "TransformerBridge", pairs: Pairs) -> None:
    """BadInput for pairs of another tokenizer, of unequal length, or of two prompts that are the same."""
    if not len(pairs):
        raise BadInput("There are no pairs; at least one is needed.")
    if pairs.model.tokenizer != stamp(model).tokenizer:
        raise BadInput(
            f"These pairs are tokens of {pairs.model.name}, whose tokenizer is another than that of {stamp(model).name}. "
            "Draw them for this model with task_pairs."
        )
    for i, (clean, corrupted) in enumerate(zip(pairs.clean, pairs.corrupted, strict=True)):
        if len(clean) != len(corrupted):
            raise BadInput(
                f"{pair_named(pairs, i)} has {len(clean)} tokens clean and {len(corrupted)} corrupted; runs are compared "
                "position by position. Choose words of as many tokens."
            )
        if clean == corrupted:
            raise BadInput(
                f"{pair_named(pairs, i)} has the same prompt twice, so nothing changes. Give another corrupted one."
            )


def pair_named(pairs: Pairs, i: int) -> str:
    """A pair in a sentence: its number, and its clean prompt."""
    text = pairs.examples[i].clean
    return f"pair {i} ({brief(text)})" if text else f"pair {i}"
