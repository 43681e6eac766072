"""What a norm module does to its input besides dividing it: its weight, its bias, whether it takes the mean off."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from probe.errors import BadInput


@dataclass(frozen=True)
class NormParts:
    """y = (x - mean(x) if centred) / scale * weight + bias, in at least float32."""

    weight: Float[Tensor, " d_model"]
    bias: Float[Tensor, " d_model"]
    centred: bool

    def scaled(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """The linear part before the division: centred, times weight."""
        return (x - x.mean(-1, keepdim=True) if self.centred else x) * self.weight


def norm_parts(module: Any, like: Tensor) -> NormParts:
    """The parts of a bridge's norm; one without parameters has weight 1 and bias 0. `like` gives dtype and device."""
    original = module.original_component
    if not hasattr(module, "uses_rms_norm"):
        raise BadInput(
            f"A norm of this model ({type(original).__name__}) is of a kind that is not known here, so what passes through it "
            "cannot be taken apart."
        )
    weight, bias = getattr(original, "weight", None), getattr(original, "bias", None)
    wide = like.new_ones(int(module.config.d_model)) if weight is None else weight.detach().to(like)
    if weight is not None and module.uses_weight_offset:
        wide = wide + 1.0
    shift = torch.zeros_like(wide) if bias is None or module.uses_rms_norm else bias.detach().to(like)
    return NormParts(wide, shift, not module.uses_rms_norm)
