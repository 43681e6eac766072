"""What a task loses when edges between components carry the corrupted run: path patching along direct edges.

A cut edge gives its receiver what its sender writes in the corrupted run, all else runs freely (`edge_attribution.run`), so MLPs
between the two stay as they are: only the direct way is cut. `way` is what each pair has to lose, from the whole model's
metric to that of the model with every edge cut: a share of it is 0 for what is untouched, 1 for what is as bad as the corrupted
prompt.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.edge_attribution.components import components
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.runs import Comparison
from circuits.faithfulness.metrics import gap
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Edges = Bool[np.ndarray, "sender receiver"]


class Cuts:
    """Some pairs, ready for edges to be cut. BadInput where the metric is the same with every edge cut as with none."""

    def __init__(self, model: "TransformerBridge", pairs: Pairs):
        made = components(model)
        self.layout: Layout = made.layout
        self._compared = Comparison(model, made, pairs, "metric")
        every = made.layout.edges
        self.whole, self.nothing = self._compared.values(np.stack([every, np.zeros_like(every)]))
        gap(float(self.whole.mean()), float(self.nothing.mean()))
        self.way = self.whole - self.nothing

    def lost(self, cut: Edges) -> Float[np.ndarray, " pair"]:
        """By how much each pair's metric falls with these edges cut."""
        return self.whole - self._values(self.layout.edges & ~cut)

    def left(self, kept: Edges) -> Float[np.ndarray, " pair"]:
        """What each pair's metric has with these edges alone that it has not with none."""
        return self._values(kept) - self.nothing

    def _values(self, kept: Edges) -> Float[np.ndarray, " pair"]:
        return self._compared.values(kept[None])[0]


def between(layout: Layout, senders: Int[np.ndarray, " senders"], receivers: Int[np.ndarray, " receivers"]) -> Edges:
    """The edges from any of these senders to any of these receivers."""
    found = np.zeros(layout.edges.shape, bool)
    if len(senders) and len(receivers):
        found[np.ix_(senders, receivers)] = True
    return found & layout.edges


def out_of(layout: Layout, senders: Int[np.ndarray, " senders"]) -> Edges:
    """All edges out of these senders."""
    return between(layout, senders, np.arange(len(layout.receivers)))


def logits_of(layout: Layout) -> Int[np.ndarray, " receivers"]:
    """The logits among a model's receivers."""
    return np.array([len(layout.receivers) - 1])
