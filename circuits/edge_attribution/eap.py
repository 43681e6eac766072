"""Edge attribution patching: what the metric would change by, to first order, if one receiver got what one sender wrote in the
corrupted run.

    score(u -> v) = mean over pairs of  sum_pos (write_u(corrupted) - write_u(clean)) . dm / d(input of v)

At the clean run: EAP (Syed et al. 2023). Averaged along the path from the corrupted to the clean input: EAP-IG-inputs (Hanna et al.
2024), whose published code takes the points k / n for k from 0 to n - 1 (`left`); `midpoint` is nearer to the integral.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from circuits.edge_attribution.gradients import Backward, Metric, backward
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.readers import Reader
from circuits.edge_attribution.writes import Writers, difference, sites_read
from probe.interventions.forward import capture
from probe.model.sites import Site
from probe.model.writes import wide

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

RULES = {"left": 0.0, "midpoint": 0.5, "right": 1.0}
"""Where in each of the n pieces of the path the gradient is taken."""


def scores_of(
    model: "TransformerBridge",
    layout: Layout,
    writers: Writers,
    readers: list[Reader],
    clean: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "batch pos"],
    metric: Metric,
    steps: int = 0,
    rule: str = "midpoint",
) -> Float[Tensor, "batch sender receiver"]:
    """Scores of every edge for each pair of a batch. steps: points of the path; 0 is EAP, at the clean run alone."""
    sites = sites_read(model, layout)
    runs = [capture(model, ids, sites) for ids in (corrupted, clean)]
    change = difference(writers, *runs)
    ends = [wide(run[Site("resid_pre", 0)]) for run in runs]
    found = change.new_zeros(len(clean), len(layout.senders), len(layout.receivers))
    for share in [1.0] if steps == 0 else [(k + RULES[rule]) / steps for k in range(steps)]:
        start = None if steps == 0 else ends[0] + share * (ends[1] - ends[0])
        run = backward(model, clean, readers, metric, start)
        _add(found, change, run, layout, readers)
    return found / max(steps, 1)


def _add(found: Tensor, change: Tensor, run: Backward, layout: Layout, readers: list[Reader]) -> None:
    """Add what one run's gradients say of every edge."""
    for reader in readers:
        n = layout.before(reader.layer, reader.side)
        g = run.received(reader)
        found[:, :n, layout.reading(reader.layer, reader.side)] += einsum(
            change[:, :n], g, "b sender pos d_model, b receiver pos d_model -> b sender receiver"
        )
