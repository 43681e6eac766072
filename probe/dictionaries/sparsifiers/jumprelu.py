"""JumpReLU: a latent is its pre-activation where that exceeds the latent's own learned threshold, else 0.

The threshold t has no true gradient, so a band of width `bandwidth` around it stands in for the jump (Rajamanoharan et al.
2024): with K(u) = 1 for |u| < 1/2,

    d latent / dt = -(t / bandwidth) K((p - t) / bandwidth)         d active / dt = -(1 / bandwidth) K((p - t) / bandwidth)

Training pulls the mean number of active latents to a target: penalty = strength * (L0 / target - 1)^2. Thresholds are
learned as they are, not as logarithms: under Adam a step of a logarithm is a step of that share of the threshold, and small ones
then hardly move. They start at quantiles of the data, so that L0 starts near the target and all steps are sparse.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd import Function

from probe.asked_of import looked_at
from probe.dictionaries.sparsifiers.base import Sparsifier, enough, not_negative
from probe.dictionaries.sparsifiers.codes import Code, DenseCode, SparseCode
from probe.dictionaries.sparsifiers.select import above
from probe.dictionaries.sparsifiers.sparse import sparse_pre_acts
from probe.distributed import world
from probe.errors import BadInput

if TYPE_CHECKING:
    from probe.dictionaries.base import Dictionary

DENSE = 1 / 8
"Share of active latents above which dense matrix products are faster."
EASE = 0.01
"Share of a dead latent's threshold that is taken off at each step."


class _Jump(Function):
    """latent = max(p, 0) where p > t, and active = 1 there; with the gradients above."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, t: Tensor, bandwidth: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(p, t)
        ctx.bandwidth = bandwidth
        active = ((p > t) & (p > 0)).to(p)
        return p * active, active

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (p, t), (d_latent, d_active) = ctx.saved_tensors, grads
        near = ((p - t).abs() < ctx.bandwidth / 2).to(p) / ctx.bandwidth  # K((p - t) / bandwidth) / bandwidth
        d_t = -near * (t * d_latent + d_active)
        # t is one number a latent (summed over rows here), or already one a picked activation, as `code` hands it in
        return d_latent * ((p > t) & (p > 0)), d_t.sum_to_size(t.shape), None


@dataclass(frozen=True, eq=False)
class _Sparse(SparseCode):
    """With the mean number of active latents a row, which can be differentiated."""

    mean_l0: Tensor


@dataclass(frozen=True, eq=False)
class _Dense(DenseCode):
    mean_l0: Tensor


class JumpReLU(Sparsifier):
    """latent = max(p, 0) where p > threshold; trained to have `l0` latents active on average.

    >>> ow.SAE(64, 512, sparsifier=ow.JumpReLU(l0=16), site="resid_post.1").d_dict
    512
    """

    name, calibrates = "jumprelu", True
    matrices = 4  # while more than DENSE of the latents are active

    @looked_at
    def __init__(
        self, l0: float = 32.0, strength: float = 5.0, bandwidth: float = 0.1, start: float = 2.0, pace: float = 20.0
    ):
        """start: how many times the target L0 the first thresholds let through."""
        super().__init__()
        if not (l0 > 0 and bandwidth > 0 and start > 0):
            raise BadInput(f"l0 ({l0}), bandwidth ({bandwidth}) and start ({start}) must be greater than 0.")
        self.l0, self.strength, self.bandwidth, self.start = l0, not_negative("strength", strength), bandwidth, start
        self.pace = pace
        self.threshold = nn.Parameter(torch.zeros(0))

    def bind(self, d_dict: int) -> None:
        enough(self.name, self.l0, d_dict)
        if len(self.threshold) != d_dict:
            self.threshold = nn.Parameter(torch.full((d_dict,), 0.1))

    @torch.no_grad()
    def calibrate(self, pre_acts: Float[Tensor, "row d_dict"]) -> None:
        share = min(self.start * self.l0 / pre_acts.shape[1], 0.5)  # of rows that each latent is to fire on
        wanted = max(1, round(share * len(pre_acts)))
        level = pre_acts.topk(wanted, dim=0, sorted=False).values.amin(0)  # d_dict: that quantile of each latent
        self.threshold.copy_(level.clamp_min(self.bandwidth))

    @torch.no_grad()
    def ease(self, dead: Bool[Tensor, " d_dict"]) -> None:
        """No activation of a dead latent comes near its threshold, so no gradient ever lowers it; this does."""
        self.threshold[dead] *= 1 - EASE

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        return _Jump.apply(pre_acts, self.threshold, self.bandwidth)[0]  # type: ignore[index]

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        # In training, pre-activations up to half a band below the threshold are needed too: they move it.
        reach = self.threshold - (self.bandwidth / 2 if self.training else 0.0)  # d_dict
        if self._share(x, W_enc, b_enc, reach) > DENSE:
            latents, active = _Jump.apply(torch.addmm(b_enc, x, W_enc), self.threshold, self.bandwidth)  # type: ignore[misc]
            return _Dense(latents, self._mean_l0(active.sum(), len(x)))
        pre_acts, where = sparse_pre_acts(x, W_enc, b_enc, above(reach))
        values, active = _Jump.apply(pre_acts, self.threshold[where.indices], self.bandwidth)  # type: ignore[misc]
        return _Sparse(values, where, self._mean_l0(active.sum(), len(x)))

    def _mean_l0(self, active: Tensor, rows: int) -> Tensor:
        """Of the whole batch, in training."""
        return (world().pooled(active, rows) if self.training else active) / rows

    @staticmethod
    @torch.no_grad()
    def _share(x: Tensor, W_enc: Tensor, b_enc: Tensor, reach: Tensor) -> float:
        """Share of the latents above `reach`, judged by up to 32 rows."""
        rows = x[:: max(1, len(x) // 32)]
        return float((torch.addmm(b_enc, rows, W_enc) > reach).float().mean())

    def penalty(self, dictionary: "Dictionary", code: Code, recons: Tensor, targets: Tensor) -> Tensor | None:
        return self.strength * (code.mean_l0 / self.l0 - 1).square()  # type: ignore[attr-defined]

    def scaled(self, factor: float) -> "JumpReLU":
        other = JumpReLU(self.l0, self.strength, self.bandwidth * factor, self.start, self.pace)
        other.threshold = nn.Parameter(self.threshold.detach() * factor, requires_grad=self.threshold.requires_grad)
        return other.train(self.training)

    def config(self) -> dict[str, Any]:
        own = ("l0", "strength", "bandwidth", "start", "pace")
        return {"name": self.name, **{key: getattr(self, key) for key in own}}
