"""What an evaluation of circuits takes, measured with one circuit on the longest pair before it starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from circuits.faithfulness.parts.parts import Parts
from probe.interventions.ablations import STEPS
from probe.show.record import Record
from probe.tasks.pairs import Pairs
from probe.words import counted, estimate, size

_ROWS = 4
"""Prompts of the run that is timed."""


@dataclass(frozen=True, kw_only=True)
class FaithfulnessPlan(Record):
    """circuits: that are run. pairs: each on so many. passes: prompts run forward (and back, where constants are found). seconds:
    about, with those of the scores. bytes: beside the model. looked_at: what one of the pairs is called."""

    circuits: int
    pairs: int
    passes: int
    seconds: float
    bytes: int
    looked_at: str = "pair"

    def summary(self) -> str:
        """One sentence."""
        on = f"{counted(self.circuits, 'circuit')} on {counted(self.pairs, self.looked_at)}"
        return (
            f"{on}: {self.passes:,} prompts run forward, about "
            f"{estimate(self.seconds)}, {size(self.bytes)} of memory beside the model."
        )


def plan_runs(
    looked: Sequence[Pairs],
    circuits: int,
    made: Callable[[Pairs], Parts],
    ablation: str = "resample",
    scoring: float = 0.0,
) -> FaithfulnessPlan:
    """What so many circuits on these pairs take. made: the parts of some pairs. scoring: seconds that the scores take. BadInput
    where the memory is not there."""
    pairs = sum(map(len, looked))
    each = circuits * (1 + 3 * STEPS if ablation == "optimal" else 1)  # a step is a run forward and back
    longest = max(looked, key=lambda some: max(map(len, some.clean)))
    few = made(longest.some([max(range(len(longest)), key=lambda i: len(longest.clean[i]))] * _ROWS))
    held = max(few.bytes_on(some) for some in looked)
    kept = (np.arange(len(few)) % 2 == 0)[None]
    start = perf_counter()
    few.values(kept)
    one = (perf_counter() - start) / _ROWS
    return FaithfulnessPlan(
        circuits=circuits, pairs=pairs, passes=pairs * each, seconds=pairs * each * one + scoring, bytes=held
    )
