"""One MLP run alone, at the last position, on streams of one's own; that it is the model's own is looked at first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.edge_attribution.components import components
from circuits.studies.factual_recall.facts_asked import Facts
from probe.errors import BadInput
from probe.interventions.forward import capture
from probe.model.anatomy import anatomy
from probe.model.sites import Site
from probe.model.writes import mlp_norm

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

NEAR = 1e-3
"""How far what an MLP writes alone may be from what it writes in the model, relative to its largest number."""


def mlp_that_reads(model: "TransformerBridge", layer: int) -> int | None:
    """The first MLP that reads what a layer's heads write: its own, or the next where both read one stream. None: there is
    none."""
    parallel = components(model).layout.parallel
    found = layer + 1 if parallel[layer] else layer
    return found if found < len(parallel) else None


@dataclass(frozen=True)
class MLPAlone:
    """layer: whose. stream: what it reads in each fact's prompt. writes: what it writes then."""

    model: "TransformerBridge"
    layer: int
    stream: Float[Tensor, "fact d_model"]
    writes: Float[Tensor, "fact d_model"]

    @classmethod
    def of(cls, facts: Facts, layer: int) -> "MLPAlone":
        """At the last position of the clean prompts. BadInput where it cannot be run alone."""
        read = Site("resid_pre" if components(facts.model).layout.parallel[layer] else "resid_mid", layer)
        held = capture(facts.model, facts.clean, [read, Site("mlp_write", layer)])
        found = cls(facts.model, layer, held[read][:, -1], held[Site("mlp_write", layer)][:, -1])
        if not bool(
            (found(found.stream) - found.writes).abs().max() <= NEAR * found.writes.abs().max().clamp_min(1e-6)
        ):
            raise BadInput(
                f"The MLP of layer {layer} does something else alone than in the model, so its heads' shares are not known."
            )
        return found

    @torch.no_grad()
    def __call__(self, stream: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """What it writes for these streams."""
        block, norm = self.model.blocks[self.layer], mlp_norm(self.model, self.layer)
        x = stream[:, None]
        x = block.mlp(x if norm is None else getattr(block, norm)(x))
        if getattr(block, "ln2_post", None) is not None:
            x = block.ln2_post(x)
        return x[:, 0] * anatomy(self.model).factors.get(Site("mlp_write", self.layer), 1.0)

    def change(self, w: Float[Tensor, "fact d_model"]) -> Float[Tensor, "fact d_model"]:
        """What it writes because w is part of what it reads."""
        return self.writes - self(self.stream - w.to(self.stream))

    def gain(self, w: Float[Tensor, "fact d_model"]) -> Float[Tensor, " fact"]:
        """How many times w itself it adds to the stream: -1 erases it."""
        return (self.change(w) * w).sum(-1) / w.square().sum(-1)

    def share(self, w: Float[Tensor, "fact d_model"]) -> Float[Tensor, " fact"]:
        """Which part of what it writes is there because of w."""
        return (self.change(w) * self.writes).sum(-1) / self.writes.square().sum(-1).clamp_min(1e-30)
