"""Bringing dead latents back.

AuxK (Gao et al. 2024): the k strongest dead latents of each row are asked to reconstruct what the living ones leave over. The
gradient reaches their encoders and their decoders; here also where a latent is below zero, if it would help above it, for
else a latent that is below zero on every token stays there. Resampling (Bricken et al. 2023): a dead latent is pointed at a row
drawn with probability proportional to its squared loss.
"""

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function

from probe.dictionaries.sparsifiers.select import largest_of_rows
from probe.dictionaries.sparsifiers.sparse import sparse_decode, sparse_pre_acts
from probe.distributed import world

if TYPE_CHECKING:
    from probe.dictionaries.base import Dictionary


class _Willing(Function):
    @staticmethod
    def forward(ctx: Any, pre_acts: Tensor) -> Tensor:
        ctx.save_for_backward(pre_acts)
        return pre_acts.relu()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (pre_acts,) = ctx.saved_tensors
        return grads[0] * ((pre_acts > 0) | (grads[0] < 0))


def willing(pre_acts: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """ReLU, whose gradient also reaches what is below zero and wants up."""
    return _Willing.apply(pre_acts)  # type: ignore[return-value]


def dead_reconstruction(
    W_enc: Float[Tensor, "d_in d_dict"],
    b_enc: Float[Tensor, " d_dict"],
    W_dec: Float[Tensor, "d_dict d_out"],
    x: Float[Tensor, "row d_in"],
    dead: Bool[Tensor, " d_dict"],
    k: int,
) -> Float[Tensor, "row d_out"]:
    """What the k strongest dead latents of each row would write if a ReLU were all that held them back."""
    which = dead.nonzero().flatten()
    # Taken as rows and transposed back, so that each latent's weights stay together, as in W_enc.
    encoder, bias, decoder = W_enc.t()[which].t(), b_enc[which], W_dec[which]
    if k >= len(which):
        return willing(torch.addmm(bias, x, encoder)) @ decoder
    values, where = sparse_pre_acts(x, encoder, bias, largest_of_rows(k))
    return sparse_decode(willing(values), decoder, where)


def aux_loss(recons: Float[Tensor, "row d_out"], residual: Float[Tensor, "row d_out"]) -> Float[Tensor, ""]:
    """Squared error of the dead latents' reconstruction of the residual, as a share of the residual; 1 is doing nothing."""
    residual = residual.detach()
    there = world().pooled(residual.square().sum(), len(residual))
    return (recons - residual).square().sum() / there.clamp_min(1e-30)


@torch.no_grad()
def revive(
    dictionary: "Dictionary",
    dead: Bool[Tensor, " d_dict"],
    x: Float[Tensor, "row d_in"],
    residual: Float[Tensor, "row d_out"],
    generator: torch.Generator,
) -> None:
    """Point each dead latent at a row: the encoder at its input and the decoder at its residual, with the living ones' mean
    norms. (A fifth of the encoder norm, as for L1, would rarely win where latents compete.) Clearing the optimizer's moments of
    these latents is the caller's."""
    which = dead.nonzero().flatten()
    weights = residual.square().sum(1).double().cpu()
    if not (len(which) and weights.sum() > 0):
        return
    rows = torch.multinomial(weights, len(which), replacement=True, generator=generator).to(x.device)
    alive = ~dead if bool((~dead).any()) else dead
    norms = dictionary.W_enc.norm(dim=0)[alive].mean(), dictionary.W_dec.norm(dim=1)[alive].mean()
    dictionary.W_enc[:, which] = norms[0] * unit(x[rows]).T
    dictionary.W_dec[which] = norms[1] * unit(residual[rows])
    dictionary.b_enc[which] = 0


def unit(rows: Float[Tensor, "row width"]) -> Float[Tensor, "row width"]:
    """Rows of length one; zeros stay zeros."""
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
