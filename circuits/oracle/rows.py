"""A second implementation of a graph's rows: gradients of autograd through the hooked model.

The model runs its own forward pass. Hooks detach what the graph calls frozen (attention patterns, norm divisors), put each
neuron's frozen ratio in the place of its nonlinearity (half of a gated product to each factor), and detach every MLP's output
but for a dictionary's skip, and the residual stream where an SAE stands. A zero is added at every point where something enters
the stream; the gradient of a target with respect to it, times what a source writes there, is the edge. Only the vectors that
sources write come from `circuits.attribution.vectors`; nothing of the sweep is used, so the two can be held against each other.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.graph.graph import KINDS, CircuitGraph
from circuits.oracle.hooks import FROZEN_PARTS, HookedRun, hooked_run
from circuits.oracle.targets import target_value
from circuits.replacement.placement import Placed, place_dictionaries
from probe.errors import BadInput
from probe.model.sites import Site

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.replacement.frozen import FrozenModel


def oracle_row(
    model: "TransformerBridge",
    graph: CircuitGraph,
    target: int,
    dictionaries: Sequence[Any] = (),
    *,
    frozen: "FrozenModel | None" = None,
    held: Sequence[str] = FROZEN_PARTS,
) -> Float[np.ndarray, " node"]:
    """`oracle_rows` of one target."""
    return oracle_rows(model, graph, [target], dictionaries, frozen=frozen, held=held)[0]


@torch.enable_grad()
def oracle_rows(
    model: "TransformerBridge",
    graph: CircuitGraph,
    targets: Sequence[int | str],
    dictionaries: Sequence[Any] = (),
    *,
    frozen: "FrozenModel | None" = None,
    held: Sequence[str] = FROZEN_PARTS,
) -> Float[np.ndarray, "target node"]:
    """The edge into each target from every node of the graph, 0 for those that are no sources.

    targets: nodes by number or name. dictionaries: those the graph was traced with. Raises BadInput for a node without incoming
    edges; OpenworkError where the model's hooks do not allow to hold something, as with attention that reports its pattern only
    after using it.

    >>> rows = ow.oracle_rows(model, graph, [graph.name(graph.pinned[0])])
    >>> rows.shape == (1, len(graph.nodes))
    True
    """
    from circuits.attribution.refreeze import refreeze
    from circuits.attribution.vectors import Places

    rows_of = [node for one in targets for node in ([one] if isinstance(one, int) else graph.find(one))]
    for target in rows_of:
        if not 0 <= target < len(graph.nodes) or not graph.explained[target]:
            raise BadInput(f"Node {target} has no incoming edges to compare; give a unit or a root.")
    places = Places(frozen if frozen is not None else refreeze(model, graph, dictionaries), graph)
    placed = place_dictionaries(model, dictionaries)
    tokens = torch.tensor([graph.token_ids], device=model.W_E.device)
    run, roots = hooked_run(model, graph, tokens, placed, held), _Roots(model, graph, tokens, placed)
    sources = [(int(n), w) for n in np.flatnonzero(~graph.roots) for w in places.writes(int(n))]
    rows = np.zeros((len(rows_of), len(graph.nodes)))
    for row, target in zip(rows, rows_of, strict=True):
        value = target_value(model, graph, run, placed, target, roots.cotangent(target))
        grads = torch.autograd.grad(value, list(run.probes.values()), allow_unused=True, retain_graph=True)
        by_point = {p: g[0] for p, g in zip(run.probes, grads, strict=True) if g is not None}
        for node, write in sources:
            if write.point in by_point:
                row[node] += float(by_point[write.point][write.pos] @ write.vector.to(by_point[write.point]))
    return rows


class _Roots:
    """The roots of a graph in a run whose units are alive, so that gradients take every path; made when first needed."""

    def __init__(self, model: "TransformerBridge", graph: CircuitGraph, tokens: Tensor, placed: Mapping[int, Placed]):
        self.model, self.graph, self.tokens, self.placed = model, graph, tokens, placed

    @cached_property
    def _total(self) -> tuple[HookedRun, Tensor]:
        run = hooked_run(self.model, self.graph, self.tokens, self.placed, whole=True)
        parts = [
            float(self.graph.probability[n]) * target_value(self.model, self.graph, run, self.placed, int(n), None)
            for n in np.flatnonzero(self.graph.roots)
        ]
        return run, torch.stack(parts).sum()

    def cotangent(self, target: int) -> Tensor | None:
        """For a head or a whole MLP, whose value is what its output contributes to the roots: their gradient there."""
        nodes = self.graph.nodes
        kind, layer, pos = KINDS[nodes.kind[target]], int(nodes.layer[target]), int(nodes.pos[target])
        if kind not in ("head", "mlp"):
            return None
        if self.placed:
            raise BadInput(
                f"The value of {self.graph.name(target)} has no second implementation where dictionaries stand; leave it out."
            )
        run, total = self._total
        at = run.seen[Site("mlp_out", layer)] if kind == "mlp" else run.mixed[layer]
        grad = torch.autograd.grad(total, at, retain_graph=True)[0][0, pos]
        return grad if kind == "mlp" else grad[int(nodes.unit[target])]
