"""Does a subspace work through a path that is dormant otherwise (Makelov et al. 2023, the subspace patching illusion)?

A direction may be the sum of one that tells the prompts apart but that nothing reads, and one that is read but never moves:
patching along the sum then carries the first's difference into the second. Neurons make room for it, because a matrix d_mlp to
d_model has a null space:

    B = B_read + B_null,   B_null W_out = 0

The share of B that lies in the null space is told, and how much of the effect B_read alone has, made orthonormal again. Where
the effect goes with the null part, the subspace was no place where the model keeps the variable. The stream itself, and what is
written to it, is read whole by what follows (the unembedding alone has full rank), so there is no null space to tell of. There,
and everywhere, `moved` says how far prompts differ along B, beside a subspace of this size chosen at random: far below 1 it is
dormant.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from probe.model.sites import Site
from probe.model.writes import mlp_writes_through

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_RANK = 1e-5
"""Singular values below this share of the largest count as none."""


def read_part(
    model: "TransformerBridge", site: Site, basis: Float[Tensor, "width rank"]
) -> tuple[float, Float[Tensor, "width rank"]] | None:
    """The share of a basis that nothing reads, and the rest of it made orthonormal. None where all of a site is read."""
    if site.kind != "mlp_post":
        return None
    W, _ = mlp_writes_through(model, int(site.layer or 0))
    U, S, _ = torch.linalg.svd(W.double().cpu(), full_matrices=False)  # d_mlp rank
    Q = U[:, _RANK * S[0] < S]
    wide = basis.double().cpu()
    seen = Q @ (Q.T @ wide)
    unread = 1 - float(seen.square().sum() / wide.square().sum())
    return max(0.0, unread), torch.linalg.qr(seen)[0].to(basis)


def moved(basis: Float[Tensor, "width rank"], differences: Float[Tensor, "interchange width"]) -> float:
    """How far source and base differ along a basis: its share of their squared distance, over the share that a random subspace
    of this size has."""
    d = differences.double().cpu()
    along = (d @ basis.double().cpu()).square().sum()
    return float(along / d.square().sum().clamp_min(1e-300) * basis.shape[0] / basis.shape[1])
