"""What an evaluation of circuits takes, measured in one run of the longest pair before it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from circuits.edge_attribution.components import components
from circuits.edge_attribution.runs import ROWS_BYTES, bytes_of_pair
from circuits.search.plan import seconds_of
from probe.interventions.ablations import STEPS
from probe.memory import require
from probe.show.record import Record
from probe.tasks.pairs import Pairs
from probe.words import counted, estimate, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, kw_only=True)
class FaithfulnessPlan(Record):
    """circuits: that are run. pairs: each on so many. passes: prompts run forward. seconds: about, from one that was timed.
    bytes: beside the model."""

    circuits: int
    pairs: int
    passes: int
    seconds: float
    bytes: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{counted(self.circuits, 'circuit')} on {counted(self.pairs, 'pair')}: {self.passes:,} prompts run forward, about "
            f"{estimate(self.seconds)}, {size(self.bytes)} of memory beside the model."
        )


def plan_runs(
    model: "TransformerBridge",
    looked: Sequence[Pairs],
    circuits: int,
    kind: str = "edges",
    ablation: str = "resample",
    scoring: int = 0,
) -> FaithfulnessPlan:
    """What so many circuits on these pairs take. scoring: prompts run for the scores, each way counted. BadInput where the memory
    is not there."""
    pairs = sum(map(len, looked))
    each = circuits * (1 + 3 * STEPS if ablation == "optimal" else 1)  # a step is a run forward and back
    passes = pairs * (each + 2) + scoring
    one = seconds_of(model, looked[0])
    layout = components(model).layout if kind == "edges" else None
    if layout is not None:
        one *= 1 + 0.1 * min(10.0, layout.edges.shape[0] / 100)  # edges are mixed at every receiver
    held = (
        max(bytes_of_pair(model, components(model), p) * len(p) for p in looked)
        if kind == "edges"
        else _held(model, looked)
    )
    total = held + 4 * ROWS_BYTES
    require(total, f"Circuits on {counted(pairs, 'pair')}", model.W_E.device)
    return FaithfulnessPlan(circuits=circuits, pairs=pairs, passes=passes, seconds=passes * one, bytes=total)


def _held(model: "TransformerBridge", looked: Sequence[Pairs]) -> int:
    """What nodes carry on every pair: at most all heads, MLPs and neurons of a layer."""
    cfg = model.cfg
    width = cfg.n_layers * max(int(cfg.d_model) + cfg.n_heads * cfg.d_head, int(cfg.d_mlp or 0))
    return 4 * width * max(len(p) * max(map(len, p.clean)) for p in looked)
