"""What an attribution of edges takes, measured on one pair before it starts."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import torch

from circuits.edge_attribution.components import Components, components
from circuits.edge_attribution.gradients import backward
from circuits.edge_attribution.graph_bytes import graph_bytes
from probe.doc import Doc
from probe.memory import require
from probe.plain_values import Settings
from probe.show.record import Record
from probe.tasks.pairs import Pairs
from probe.words import counted, size

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

MEMORY = 1_073_741_824
_SLACK = 64 << 20
"Bytes of buffers that no formula counts."


@dataclass(frozen=True)
class EdgeConfig(Settings):
    """How much is done at once; it changes the time and no result."""

    memory: Annotated[int, Doc(least=1)] = MEMORY
    "Bytes for the pairs of a pass."
    batch: Annotated[int | None, Doc(least=1)] = None
    "Pairs a pass; by default as many as fit into memory."


@dataclass(frozen=True, kw_only=True)
class EdgePlan(Record):
    """edges: of the model. pairs: of the task. batch: pairs a pass. passes: backward passes. bytes: beside the model."""

    edges: int
    pairs: int
    batch: int
    passes: int
    bytes: int

    def summary(self) -> str:
        """One sentence."""
        return (
            f"{counted(self.edges, 'edge')} on {counted(self.pairs, 'pair')}: {counted(self.passes, 'run')} forward and back, "
            f"{self.batch} together, about {size(self.bytes)} of memory beside the model."
        )


def plan_edges(model: "TransformerBridge", pairs: Pairs, steps: int, config: EdgeConfig) -> EdgePlan:
    """Pairs a pass and memory. BadInput where they do not fit."""
    made = components(model)
    longest = max(range(len(pairs)), key=lambda i: len(pairs.clean[i]))
    each = _bytes_of_one(model, made, pairs, longest)
    batch = min(len(pairs), config.batch or max(1, config.memory // each))
    edges, groups = int(made.layout.edges.sum()), pairs.groups(batch)
    kept = 4 * made.layout.edges.size * batch + 4 * edges * len(pairs)
    total = _SLACK + kept + each * max(map(len, groups))
    require(total, f"Edges of {counted(len(pairs), 'pair')}", model.W_E.device)
    return EdgePlan(edges=edges, pairs=len(pairs), batch=batch, passes=len(groups) * max(1, steps), bytes=total)


def _bytes_of_one(model: "TransformerBridge", made: Components, pairs: Pairs, index: int) -> int:
    """What one pair holds: what autograd keeps of it, counted in a pass of its own, and what every sender writes."""
    tokens = torch.tensor([pairs.clean[index]], device=model.W_E.device)
    kept = graph_bytes(
        model, lambda: backward(model, tokens, made.readers, lambda logits: pairs.metric(logits, [index]))
    )
    d_model, widest = int(model.cfg.d_model), max(made.layout.heads) + 1
    written = 4 * tokens.numel() * d_model * (len(made.layout.senders) + 3 * widest)
    streams = 4 * tokens.numel() * d_model * 4 * made.layout.n_layers  # what a run is read from
    return kept + written + streams
