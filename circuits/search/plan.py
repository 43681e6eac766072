"""What a search of a circuit takes, at most, measured in a run of the longest pair before it starts."""

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from probe.show.record import Record
from probe.tasks.pairs import Pairs
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class SearchPlan(Record):
    """edges: that are tried. pairs: on so many each. passes: prompts run forward, at most. seconds: about, from a run that was
    timed. bytes: beside the model."""

    method: str
    edges: int
    pairs: int
    passes: int
    seconds: float
    bytes: int

    def summary(self) -> str:
        """One sentence."""
        if not self.passes:
            return f"{self.method} chooses from what is stored: seconds, and no run of the model."
        return (
            f"{counted(self.edges, 'edge')} on {counted(self.pairs, 'pair')}: at most {self.passes:,} prompts run forward, about "
            f"{estimate(self.seconds)}, {size(self.bytes)} of memory beside the model."
        )


def seconds_of(model: "TransformerBridge", pairs: Pairs, rows: int = 2) -> float:
    """Of one prompt run forward, as long as the longest, among so many rows; after one run to warm up."""
    ids = max(pairs.clean, key=len)
    tokens = torch.tensor([ids] * rows, device=model.W_E.device)
    with torch.no_grad():
        model(tokens)
        start = perf_counter()
        model(tokens)
    return (perf_counter() - start) / rows
