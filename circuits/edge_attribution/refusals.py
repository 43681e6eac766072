"""What would cost hours and mean nothing is refused with the first pairs: two runs that are the same, numbers that are not
finite, a metric without gradient. Pairs that do not belong together or to this model: `probe.tasks.refusals`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.errors import BadInput
from probe.tasks.pairs import METRICS, Pairs
from probe.tasks.refusals import pair_named


def require_two_runs(pairs: Pairs, some: list[int], alike: Bool[Tensor, " batch"], ends: tuple[Tensor, Tensor]) -> None:
    """BadInput where a run's metric is no number, or two prompts' runs are alike: all that was written is the same."""
    for which, values in zip(("clean", "corrupted"), ends, strict=True):
        if (bad := _first(~values.isfinite())) is not None:
            raise BadInput(
                f"The metric ({METRICS[pairs.measure]}) of {pair_named(pairs, some[bad])} is {float(values[bad])} in its "
                f"{which} run, so nothing can be attributed. Load the model in float32 or bfloat16, or choose another metric."
            )
    if (bad := _first(alike)) is not None:
        raise BadInput(
            f"The two runs of {pair_named(pairs, some[bad])} are identical: every component writes the same in both. "
            "Give prompts that the model tells apart."
        )


def require_scores(
    pairs: Pairs, some: list[int], scores: Float[Tensor, "batch sender receiver"], steep: Bool[Tensor, " batch"]
) -> None:
    """BadInput for scores that are no numbers, and where the metric had no gradient."""
    if (bad := _first(~scores.isfinite().flatten(1).all(1))) is not None:
        raise BadInput(
            f"The scores of {pair_named(pairs, some[bad])} hold values that are not finite: the gradient of the metric "
            f"({METRICS[pairs.measure]}) is not. Choose another metric, or load the model in float32."
        )
    if (bad := _first(~steep)) is not None:
        raise BadInput(
            f"The metric ({METRICS[pairs.measure]}) of {pair_named(pairs, some[bad])} has no gradient: every score is 0. It is "
            "saturated there; choose logit_diff."
        )


def _first(wrong: torch.Tensor) -> int | None:
    found = wrong.nonzero()
    return int(found[0]) if len(found) else None
