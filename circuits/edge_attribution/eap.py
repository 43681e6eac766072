"""Edge attribution patching: what the metric would change by, to first order, if one receiver got what one sender wrote in the
corrupted run.

    score(u -> v) = sum_pos (write_u(corrupted) - write_u(clean)) . dm / d(input of v)

At the clean run: EAP (Syed et al. 2023). Averaged along the path from the corrupted to the clean input: EAP-IG-inputs (Hanna et
al. 2024), whose published code takes the points k / n for k from 0 to n - 1 (`left`); `midpoint` is nearer to the integral. All
edges into a receiver are one matrix product, over positions and dimensions at once.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from circuits.edge_attribution.components import Components
from circuits.edge_attribution.gradients import Backward, backward
from circuits.edge_attribution.writes import Held, sites_read
from probe.interventions.forward import read_run
from probe.model.sites import Site
from probe.model.writes import wide
from probe.tasks.pairs import Pairs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

RULES = {"left": 0.0, "midpoint": 0.5, "right": 1.0}
"""Where in each of the n pieces of the path the gradient is taken."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of every edge of some pairs, and the metric of their runs."""

    scores: Float[Tensor, "batch sender receiver"]
    clean: Float[Tensor, " batch"]
    corrupted: Float[Tensor, " batch"]


def scores_of(
    model: "TransformerBridge", made: Components, pairs: Pairs, some: list[int], steps: int = 0, rule: str = "midpoint"
) -> Scored:
    """Scores of every edge for these pairs, which are equally long. steps: points of the path; 0 is EAP."""
    clean, corrupted = (
        torch.tensor([ids[i] for i in some], device=model.W_E.device) for ids in (pairs.clean, pairs.corrupted)
    )
    run, fallen = _run(model, made, pairs, some, corrupted)
    ends = [wide(run[Site("resid_pre", 0).name])]
    change = made.writers.all(run)
    run, whole = _run(model, made, pairs, some, clean)
    ends.append(wide(run[Site("resid_pre", 0).name]))
    made.writers.take_off(change, run)
    del run
    found = torch.zeros(len(some), *made.layout.edges.shape, device=change.device, dtype=change.dtype)
    for share in [1.0] if steps == 0 else [(k + RULES[rule]) / steps for k in range(steps)]:
        start = None if steps == 0 else ends[0] + share * (ends[1] - ends[0])
        _add(
            found, change, backward(model, clean, made.readers, lambda logits: pairs.metric(logits, some), start), made
        )
    return Scored(scores=found / max(steps, 1), clean=whole, corrupted=fallen)


def _add(found: Tensor, change: Tensor, run: Backward, made: Components) -> None:
    """Add what one run's gradients say of every edge."""
    for reader in made.readers:
        n = made.layout.before(reader.layer, reader.side)
        found[:, :n, made.layout.reading(reader.layer, reader.side)] += einsum(
            change[:, :n], run.received(reader), "b sender pos d_model, b receiver pos d_model -> b sender receiver"
        )


def _run(
    model: "TransformerBridge", made: Components, pairs: Pairs, some: list[int], tokens: Int[Tensor, "batch pos"]
) -> tuple[Held, Float[Tensor, " batch"]]:
    """One pass: what writes are made from, and the metric."""
    with torch.no_grad(), model.hooks(fwd_hooks=[("unembed.hook_in", lambda value, hook: value[:, -1:])]):
        logits, held = read_run(model, tokens, sites_read(model, made.layout))
        return held, pairs.metric(logits[:, -1], some)
