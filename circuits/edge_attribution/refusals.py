"""What would cost hours and mean nothing is refused before it starts, or with the first pairs: pairs that do not belong together
or to this model, two runs that are the same, numbers that are not finite, a metric without gradient."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.errors import BadInput, brief
from probe.model.fingerprint import stamp
from probe.tasks.pairs import METRICS, Pairs

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
                f"{_named(pairs, i)} has {len(clean)} tokens clean and {len(corrupted)} corrupted; edges are compared position "
                "by position. Choose words of as many tokens."
            )
        if clean == corrupted:
            raise BadInput(
                f"{_named(pairs, i)} has the same prompt twice, so nothing changes. Give another corrupted one."
            )


def require_two_runs(pairs: Pairs, some: list[int], alike: Bool[Tensor, " batch"], ends: tuple[Tensor, Tensor]) -> None:
    """BadInput where a run's metric is no number, or two prompts' runs are alike: all that was written is the same."""
    for which, values in zip(("clean", "corrupted"), ends, strict=True):
        if (bad := _first(~values.isfinite())) is not None:
            raise BadInput(
                f"The metric ({METRICS[pairs.measure]}) of {_named(pairs, some[bad])} is {float(values[bad])} in its {which} "
                "run, so nothing can be attributed. Load the model in float32 or bfloat16, or choose another metric."
            )
    if (bad := _first(alike)) is not None:
        raise BadInput(
            f"The two runs of {_named(pairs, some[bad])} are identical: every component writes the same in both. Give prompts "
            "that the model tells apart."
        )


def require_scores(
    pairs: Pairs, some: list[int], scores: Float[Tensor, "batch sender receiver"], steep: Bool[Tensor, " batch"]
) -> None:
    """BadInput for scores that are no numbers, and where the metric had no gradient."""
    if (bad := _first(~scores.isfinite().flatten(1).all(1))) is not None:
        raise BadInput(
            f"The scores of {_named(pairs, some[bad])} hold values that are not finite: the gradient of the metric "
            f"({METRICS[pairs.measure]}) is not. Choose another metric, or load the model in float32."
        )
    if (bad := _first(~steep)) is not None:
        raise BadInput(
            f"The metric ({METRICS[pairs.measure]}) of {_named(pairs, some[bad])} has no gradient: every score is 0. It is "
            "saturated there; choose logit_diff."
        )


def _first(wrong: torch.Tensor) -> int | None:
    found = wrong.nonzero()
    return int(found[0]) if len(found) else None


def _named(pairs: Pairs, i: int) -> str:
    text = pairs.examples[i].clean
    return f"pair {i} ({brief(text)})" if text else f"pair {i}"
