"""One prompt ready for tests: the graph, the model frozen as the graph has it, and runs in which nodes can be changed."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from circuits.graph import CircuitGraph
from circuits.tracing.frozen import freeze
from circuits.tracing.places import Places, Write
from circuits.tracing.placing import dictionary_names, place_dictionaries
from circuits.truth.held import HeldRun
from circuits.truth.live import LiveRun
from circuits.truth.predict import Change, shift
from probe.errors import BadInput

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

LARGEST_GAP = 1e-2
"""Relative difference between a graph's values and the model's above which they do not belong together."""


class Testbed:
    """Raises BadInput where model, dictionaries and graph do not belong together."""

    __test__ = False  # pytest takes what begins with Test for its own

    def __init__(self, model: "TransformerBridge", graph: CircuitGraph, dictionaries: Sequence[Any] = ()):
        self.model, self.graph = model, graph
        self.placed = place_dictionaries(model, dictionaries)
        self._check_layers()
        self._check_units()
        self.tokens = torch.tensor([graph.token_ids], device=model.W_E.device)
        with torch.no_grad():
            self.places = Places(freeze(model, self.tokens, self.placed), graph)
            self.live = LiveRun(model, self.places, self.tokens, self.placed)
        self._check_values()

    @cached_property
    def _held(self) -> HeldRun:
        return HeldRun(self.model, self.places)

    def direct(self, change: Change) -> Float[np.ndarray, " node"]:
        """How far every explained node's value moves with everything but the changed writes held."""
        r = shift(self.graph, change)
        writes = [
            Write(w.point, w.pos, float(r[n]) * w.vector) for n in change.nodes for w in self.places.writes(int(n))
        ]
        if not any(bool(w.vector.any()) for w in writes):
            return np.zeros(len(self.graph.nodes))
        with torch.no_grad():
            return self._held.moved(writes).double().cpu().numpy()

    def _check_layers(self) -> None:
        if self.graph.n_layers != self.model.cfg.n_layers:
            raise BadInput(
                f"The graph is of a model with {self.graph.n_layers} layers ({self.graph.model or 'unnamed'}); this one has "
                f"{self.model.cfg.n_layers}. Load the model the graph was made from."
            )
        given = dictionary_names(self.placed)
        if set(given) != set(self.graph.dictionaries):
            raise BadInput(
                f"The graph was traced with dictionaries at {sorted(self.graph.dictionaries) or 'no layer'}, and those given "
                f"stand at {sorted(given) or 'no layer'}. Give those it was made with: {self.graph.dictionaries or 'none'}."
            )

    def _check_units(self) -> None:
        nodes, widths = (
            self.graph.nodes,
            {"neuron": int(self.model.cfg.d_mlp or 0), "head": int(self.model.cfg.n_heads)},
        )
        most = {k: int(nodes.unit[nodes.where(k)].max(initial=-1)) for k in widths}
        if any(most[k] >= n for k, n in widths.items()) or max(self.graph.token_ids) >= self.model.cfg.d_vocab:
            raise BadInput(
                f"The graph has units this model lacks, so it was not made from it. Load {self.graph.model or 'its model'}."
            )

    def _check_values(self) -> None:
        """The model must compute what the graph says it did."""
        kept, found = self.graph.nodes.value, self.live.clean.value
        known = np.isfinite(found) & np.isfinite(kept)
        gap = np.abs(kept - found)[known].max(initial=0.0) / max(np.abs(kept[known]).max(initial=0.0), 1e-30)
        if not gap <= LARGEST_GAP:
            raise BadInput(
                f"This model's values differ from the graph's by {gap:.1e} of the largest, so the graph was not made from it. "
                f"Load {self.graph.model or 'the graph’s model'} with the same dictionaries."
            )
