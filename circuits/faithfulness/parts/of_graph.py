"""Units of one prompt's attribution graph as parts of a circuit: neurons, latents, heads and MLPs at their positions.

A removed unit is silenced in the model, which runs freely: to 0, to its mean over prompts (at the first position over first
positions, elsewhere over all others), or to what it is in a corrupted prompt of as many tokens. The metric is the value of the
root that the graph explains first. Units that are no nodes, errors, tokens and biases stay as they are.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from circuits.faithfulness.parts.parts import Kept, Parts
from circuits.faithfulness.sufficiency import mean_levels
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.validation.node_change import levels_in
from circuits.validation.predict import Change, change_of
from circuits.validation.random_sets import random_sets
from circuits.validation.testbed import Testbed
from probe.errors import BadInput
from probe.text.prompts import Prompt

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Silencing = Literal["zero", "mean", "resample"]
SILENCED: dict[str, str] = {
    "zero": "0",
    "mean": "its mean over the prompts given",
    "resample": "what it is in the corrupted prompt",
}


class GraphParts(Parts):
    """The units of a graph. prompts: of `mean` those it is taken over, of `resample` the corrupted one."""

    kind = "units"

    def __init__(
        self,
        model: "TransformerBridge",
        graph: CircuitGraph,
        silencing: str = "zero",
        prompts: Sequence[Prompt] = (),
        dictionaries: Sequence[Any] = (),
    ):
        _require_prompts(silencing, prompts)
        self.graph, self.bed, self.pairs = graph, Testbed(model, graph, dictionaries), 1
        self.units = np.flatnonzero(graph.nodes.where(*UNITS))
        self.names = [graph.name(int(i)) for i in self.units]
        roots = np.flatnonzero(graph.roots)
        self.root = int(roots[np.argmax(graph.probability[roots])])
        self.level = None
        if silencing == "mean":
            self.level = mean_levels(self.bed, prompts)
        elif silencing == "resample":
            self.level = levels_in(self.bed, prompts[0])
        self.convention = {
            "metric": f"value of {graph.name(self.root)}",
            "pairs": 1,
            "removed carries": SILENCED[silencing],
            "parts": "units of the graph; rest, errors, tokens and biases stay",
        }

    def values(self, kept: Bool[np.ndarray, "circuit part"]) -> Float[np.ndarray, "circuit pair"]:
        """The root's value with these units alone."""
        return np.array([[float(self.bed.run.changed(self._silenced(one)).value[self.root])] for one in kept])

    def like(self, kept: Kept, n: int, seed: int) -> list[Kept]:
        """Random sets with as many units of each kind and layer as a circuit has."""
        drawn = random_sets(self.graph, self.units[kept], n, seed)
        return [np.isin(self.units, one) for one in drawn]

    def _silenced(self, kept: Kept) -> Change:
        others = self.units[~kept]
        if self.level is None:
            return change_of(self.graph, others)
        return change_of(self.graph, others, "restore", level=self.level[others])


def _require_prompts(silencing: str, prompts: Sequence[Prompt]) -> None:
    """BadInput where prompts are missing, or are not asked for."""
    if silencing not in SILENCED:
        raise BadInput(
            f"The units of one prompt's graph are silenced to {', '.join(SILENCED)}; {silencing} takes the pairs of a task."
        )
    wanted = {"zero": "none", "mean": "some", "resample": "one"}[silencing]
    fits = {"none": not prompts, "some": bool(prompts), "one": len(prompts) == 1}[wanted]
    if not fits:
        raise BadInput(f"The ablation {silencing} takes {wanted} of the prompts, and {len(prompts)} came.")
