"""Information flow routes: how much of what a receiver reads each sender wrote, without gradients (Ferrando & Voita 2024).

    near(u, v)  = max(|y|_1 - |y - x_u|_1, 0)        y: the stream that v reads, x_u: what u wrote there
    score(u -> v) = mean over positions of  near(u, v) / sum_u' near(u', v)

What points along the whole makes it longer, and the more the nearer it is to the whole. All receivers of one stream have the same
score, and each receiver's sum to 1 (biases, which nobody writes, have no share). As in the circuit track of MIB (Mueller et al.
2025), the mean is over all positions. Nothing is compared with the corrupted run, so a score says neither for nor against.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.attribute import attributed
from circuits.edge_attribution.components import Components
from circuits.edge_attribution.estimate import Estimate, Scored, one_run, tokens_of
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.plan import EdgeConfig, plan_of
from circuits.edge_attribution.scores import EdgeScores
from probe.errors import OpenworkError
from probe.methods import Doc, method
from probe.model.writes import wide
from probe.plain_values import takes_fields
from probe.progress import SILENT, Progress
from probe.tasks.catalogue import TaskName
from probe.tasks.pairs import Drawn, Pairs, pairs_of

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class Routes(Estimate):
    """Shares of what is read."""

    signed = False

    def says(self) -> tuple[str, dict[str, Any]]:
        sign = "share of what the receiver reads that its sender wrote, mean over positions; it says neither for nor against"
        return "information flow routes", {"sign": sign, "norm": "1, parts that shorten the whole count as 0"}

    def passes(self, layout: Layout) -> int:
        return 0

    def scored(self, model: "TransformerBridge", made: Components, pairs: Pairs, some: list[int]) -> Scored:
        """Scores of every edge for these pairs, which are equally long."""
        clean, corrupted = tokens_of(model, pairs, some)
        fallen = one_run(model, made, pairs, some, corrupted)[1]
        streams = tuple({reader.stream for reader in made.readers})
        held, whole = one_run(model, made, pairs, some, clean, streams)
        written, layout = made.writers.all(held), made.layout
        found = written.new_zeros(len(some), *layout.edges.shape)
        known: dict[tuple[str, int], Tensor] = {}
        for reader in made.readers:
            n = layout.before(reader.layer, reader.side)
            read = (reader.stream.name, n)
            if read not in known:
                known = {read: shares(wide(held[reader.stream.name]), written[:, :n]).mean(-1)}
            found[:, :n, layout.reading(reader.layer, reader.side)] = known[read][..., None]
        if not bool(found.isfinite().all()):
            raise OpenworkError(
                "The streams of these pairs hold values that are not finite. Load the model in float32 or bfloat16."
            )
        return Scored(scores=found, clean=whole, corrupted=fallen)


plan_flow_routes = plan_of(Routes)


@method(
    "flow-routes",
    group="circuits",
    plan="plan_flow_routes",
    paper="Information Flow Routes (Ferrando & Voita 2024)",
)
@takes_fields("drawn", Drawn)
@takes_fields("config", EdgeConfig)
def flow_routes(
    model: "TransformerBridge",
    task: Annotated[TaskName, Doc("A task, or a JSONL file of pairs.")] = "ioi",
    *,
    n: Annotated[int, Doc("Pairs of the task.", least=1, most=10_000)] = 32,
    drawn: Drawn = Drawn(),
    config: EdgeConfig = EdgeConfig(),
    progress: Progress = SILENT,
) -> EdgeScores:
    """How much of what each component reads every other one wrote: information flow routes, of the clean prompts alone.

    No gradient and no metric: what is large is taken to matter. Fast, and a baseline for what looks at the task.

    >>> scores = ow.flow_routes(model, "greater-than", n=2)
    >>> float(scores.matrix[:, -1].sum().round(5)), scores.of("input->a0.h0<q>")
    (1.0, 1.0)
    """
    return attributed(model, pairs_of(model, task, n, drawn), Routes(), config, progress)


def shares(
    whole: Float[Tensor, "batch pos d_model"], parts: Float[Tensor, "batch sender pos d_model"]
) -> Float[Tensor, "batch sender pos"]:
    """What share of the whole each part has; one part after the other, since all differences at once are as much again."""
    size = whole.abs().sum(-1)
    near = torch.stack([(size - (whole - part).abs().sum(-1)).clamp(min=0) for part in parts.unbind(1)], 1)
    return near / near.sum(1, keepdim=True).clamp_min(torch.finfo(near.dtype).tiny)
