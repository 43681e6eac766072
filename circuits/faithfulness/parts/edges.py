"""Edges between heads and MLPs as parts of a circuit: see `circuits.edge_attribution.runs`."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.components import components
from circuits.edge_attribution.runs import Comparison, bytes_of_circuits
from circuits.faithfulness.parts.parts import Kept, Parts
from circuits.search.circuit import connected
from circuits.search.grown import grown
from probe.interventions.ablations import Ablation
from probe.memory import require
from probe.tasks.pairs import Pairs
from probe.words import counted

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class EdgeParts(Parts):
    """Every edge of a model, on the pairs of a task."""

    kind = "edges"

    def __init__(
        self,
        model: "TransformerBridge",
        pairs: Pairs,
        ablation: Ablation = "resample",
        reference: Pairs | None = None,
        apart: bool = False,
    ):
        self.model, self.made, self.pairs = model, components(model, apart), len(pairs)
        self.layout, self.ablation = self.made.layout, ablation
        self.compared = Comparison(model, self.made, pairs, "metric", ablation, reference)
        self.names = [self.layout.name(int(u), int(v)) for u, v in np.argwhere(self.layout.edges)]
        told = self.compared.convention
        self.convention = {"metric": told["metric"], "pairs": len(pairs), "removed carries": told["removed carries"]}

    def values(self, kept: Bool[np.ndarray, "circuit part"]) -> Float[np.ndarray, "circuit pair"]:
        """The metric of each circuit on each pair."""
        return self.compared.values(self.matrices(kept))

    def bytes_on(self, pairs: Pairs) -> int:
        """What circuits on these pairs hold. BadInput where it is not there."""
        held = bytes_of_circuits(self.model, self.made, pairs)
        require(held, f"Circuits on {counted(len(pairs), 'pair')}", self.model.W_E.device)
        return held

    def matrices(self, kept: Bool[np.ndarray, "circuit part"]) -> Bool[np.ndarray, "circuit sender receiver"]:
        """Circuits as matrices."""
        found = np.zeros((len(kept), *self.layout.edges.shape), bool)
        found[:, self.layout.edges] = kept
        return found

    def weighted(self, kept: Kept) -> float:
        """The edges themselves."""
        return float(kept.mean())

    def tidy(self, kept: Kept) -> Kept:
        """Without edges that do nothing."""
        return connected(self.layout, self.matrices(kept[None])[0], self.ablation)[self.layout.edges]

    def random(self, size: int, draw: np.random.Generator, connected: bool = False) -> Kept:
        """As many edges, drawn from all; connected: grown from the logits."""
        if not connected:
            return super().random(size, draw)
        worth = np.where(self.layout.edges, draw.random(self.layout.edges.shape), -np.inf)
        return grown(self.layout, worth, size)[self.layout.edges]
