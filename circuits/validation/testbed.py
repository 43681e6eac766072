"""One prompt ready for tests: the graph, the model frozen as the graph has it, and runs in which nodes can be changed."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from circuits.attribution.refreeze import refreeze
from circuits.attribution.vectors import Places, Write
from circuits.graph.graph import CircuitGraph
from circuits.replacement.placement import place_dictionaries
from circuits.validation.changed_run import ChangeableRun
from circuits.validation.frozen_run import FrozenRun
from circuits.validation.predict import Change, shift

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


class Testbed:
    """Raises BadInput where model, dictionaries and graph do not belong together."""

    __test__ = False  # pytest takes what begins with Test for its own

    def __init__(self, model: "TransformerBridge", graph: CircuitGraph, dictionaries: Sequence[Any] = ()):
        self.model, self.graph = model, graph
        self.placed = place_dictionaries(model, dictionaries)
        self.tokens = torch.tensor([graph.token_ids], device=model.W_E.device)
        with torch.no_grad():
            self.places = Places(refreeze(model, graph, dictionaries), graph)
            self.run = ChangeableRun(model, self.places, self.tokens, self.placed)

    @cached_property
    def _frozen_run(self) -> FrozenRun:
        return FrozenRun(self.model, self.places)

    def direct(self, change: Change) -> Float[np.ndarray, " node"]:
        """How far every explained node's value moves with everything but the changed writes held."""
        r = shift(self.graph, change)
        writes = [
            Write(w.point, w.pos, float(r[n]) * w.vector) for n in change.nodes for w in self.places.writes(int(n))
        ]
        if not any(bool(w.vector.any()) for w in writes):
            return np.zeros(len(self.graph.nodes))
        with torch.no_grad():
            return self._frozen_run.moved(writes).double().cpu().numpy()
