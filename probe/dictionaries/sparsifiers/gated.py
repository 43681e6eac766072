"""Gated: whether a latent is active and how strongly are told apart (Rajamanoharan et al. 2024).

    active = pre_act > 0            strength = relu(exp(r_mag) * pre_act + offset)          latent = active * strength

The L1 penalty presses on the gate alone, so it does not shrink the strengths; an auxiliary reconstruction from the gate with a
frozen decoder gives the gate its gradient. (With b_enc as the gate's bias, their b_mag is offset + exp(r_mag) * b_enc.)
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probe.asked_of import looked_at
from probe.dictionaries.sparsifiers.base import L1Penalised
from probe.dictionaries.sparsifiers.codes import Code, DenseCode
from probe.dictionaries.sparsifiers.jumprelu import JumpReLU

if TYPE_CHECKING:
    from probe.dictionaries.base import Dictionary


@dataclass(frozen=True, eq=False)
class _GatedCode(DenseCode):
    """With the gates, relu(pre_act)."""

    gates: Float[Tensor, "row d_dict"]


class Gated(L1Penalised):
    """latent = (pre_act > 0) * relu(exp(r_mag) * pre_act + offset); `l1` as of ReLU, on relu(pre_act).

    >>> ow.SAE(64, 512, sparsifier=ow.Gated(l1=1.0), site="resid_post.1").d_dict
    512
    """

    name, matrices = "gated", 11

    @looked_at
    def __init__(self, l1: float = 2.0, warmup: float = 0.05):
        super().__init__(l1, warmup)
        self.r_mag, self.offset = nn.Parameter(torch.zeros(0)), nn.Parameter(torch.zeros(0))

    def bind(self, d_dict: int) -> None:
        if len(self.r_mag) != d_dict:
            self.r_mag, self.offset = nn.Parameter(torch.zeros(d_dict)), nn.Parameter(torch.zeros(d_dict))

    def forward(self, pre_acts: Float[Tensor, "*batch d_dict"]) -> Float[Tensor, "*batch d_dict"]:
        # (pre_acts > 0) has no gradient; the gate learns from the penalty and the auxiliary reconstruction alone.
        return (pre_acts > 0) * (self.r_mag.exp() * pre_acts + self.offset).relu()

    def code(
        self, x: Float[Tensor, "row d_in"], W_enc: Float[Tensor, "d_in d_dict"], b_enc: Float[Tensor, " d_dict"]
    ) -> Code:
        pre_acts = torch.addmm(b_enc, x, W_enc)
        return _GatedCode(self(pre_acts), pre_acts.relu())

    def penalty(self, dictionary: "Dictionary", code: Code, recons: Tensor, targets: Tensor) -> Tensor | None:
        gates = DenseCode(code.gates)  # type: ignore[attr-defined]
        linear = (recons - code.decode(dictionary.W_dec)).detach()  # row d_out: biases and skip, which the gate shares
        # W_dec detached: the auxiliary reconstruction teaches the gate what to open for, and must not move the decoder to suit it
        auxiliary = (gates.decode(dictionary.W_dec.detach()) + linear - targets).square().mean()
        return self.weighted(gates, dictionary, targets) + auxiliary

    def scaled(self, factor: float) -> "Gated":
        other = Gated(self.l1, self.warmup).train(self.training)
        grad = self.r_mag.requires_grad
        other.r_mag = nn.Parameter(self.r_mag.detach().clone(), requires_grad=grad)
        other.offset = nn.Parameter(
            self.offset.detach() * factor, requires_grad=grad
        )  # r_mag has no unit, the offset has
        return other


@torch.no_grad()
def with_strengths(dictionary: Any) -> Any:
    """The same dictionary, its latents being pre-activations: a Gated one as the JumpReLU one it equals, any other as it is.

    With p' = exp(r_mag) p + offset, a latent is p' where p > 0 and p' > 0, that is where p' > max(offset, 0): so encoder and bias
    are scaled and shifted, and the offset becomes the threshold. Nothing else is copied.
    """
    rule = getattr(dictionary, "sparsifier", None)
    if not isinstance(rule, Gated):
        return dictionary
    made, jump, scale = copy.copy(dictionary), JumpReLU(), rule.r_mag.exp()
    jump.threshold = nn.Parameter(rule.offset.clamp_min(0.0), requires_grad=False)
    made._modules = {**dictionary._modules, "sparsifier": jump.eval()}
    made._parameters = dict(dictionary._parameters)
    made.W_enc = nn.Parameter(dictionary.W_enc * scale, requires_grad=False)
    made.b_enc = nn.Parameter(dictionary.b_enc * scale + rule.offset, requires_grad=False)
    return made
