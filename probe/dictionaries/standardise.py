"""Training sees centred activations of unit variance; a saved dictionary reads raw ones. This file goes between the two.

A large mean kills latents and a large scale changes what a learning rate means, so training runs on

    x' = (x - mean_in) / scale_in        y' = (y - mean_out) / scale_out

with one scale for all dimensions (directions keep their angles). `fold` puts the four numbers into the weights: for any raw x,
fold(d)(x) = scale_out * d((x - mean_in) / scale_in) + mean_out. Latents are multiplied by scale_out, so that decoder
rows are untouched and latents are in the units of what they write.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.base import Dictionary
from probe.errors import BadInput


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Means and scales of inputs and targets; for an SAE, inputs and targets are the same site and share theirs."""

    mean_in: Float[Tensor, " d_in"]
    scale_in: float
    mean_out: Float[Tensor, " d_out"]
    scale_out: float

    @classmethod
    def of(
        cls,
        mean_in: Float[Tensor, " d_in"],
        var_in: Float[Tensor, " d_in"],
        mean_out: Float[Tensor, " d_out"],
        var_out: Float[Tensor, " d_out"],
    ) -> "Standardiser":
        """From running means and variances. Raises BadInput if they are not finite or nothing varies."""
        scales = [float(v.double().mean().sqrt()) for v in (var_in, var_out)]
        for scale, mean, what in zip(scales, (mean_in, mean_out), ("inputs", "targets"), strict=True):
            if not (torch.isfinite(mean).all() and 0 < scale < float("inf")):
                raise BadInput(f"The {what} have a mean or variance that is zero, infinite or NaN; check the cache.")
        return cls(mean_in.float(), scales[0], mean_out.float(), scales[1])

    @classmethod
    def fit(cls, inputs: Float[Tensor, "row d_in"], targets: Float[Tensor, "row d_out"]) -> "Standardiser":
        """From one batch, for streams that keep no statistics."""
        x, y = inputs.double(), targets.double()
        return cls.of(x.mean(0), x.var(0, correction=0), y.mean(0), y.var(0, correction=0))

    def inputs(self, x: Float[Tensor, "row d_in"]) -> Float[Tensor, "row d_in"]:
        """Raw inputs, standardised."""
        return (x - self.mean_in.to(x)) / self.scale_in

    def targets(self, y: Float[Tensor, "row d_out"]) -> Float[Tensor, "row d_out"]:
        """Raw targets, standardised."""
        return (y - self.mean_out.to(y)) / self.scale_out

    def fold(self, dictionary: Dictionary) -> Dictionary:
        """A copy that reads raw activations and writes raw reconstructions."""
        return _changed(dictionary, self._fold_weights, self.scale_out)

    def unfold(self, dictionary: Dictionary) -> Dictionary:
        """The inverse of `fold`: a copy that works on standardised activations, for training further."""
        return _changed(dictionary, self._unfold_weights, 1 / self.scale_out)

    def _fold_weights(self, d: Dictionary) -> None:
        ratio = self.scale_out / self.scale_in
        mean_in = self.mean_in.to(d.b_enc)
        d.W_enc *= ratio
        d.b_enc.copy_(self.scale_out * d.b_enc - mean_in @ d.W_enc)
        d.b_dec.copy_(self.scale_out * d.b_dec + self.mean_out.to(d.b_dec))
        if d.W_skip is not None:
            d.W_skip.mul_(ratio)
            d.b_dec -= mean_in @ d.W_skip.T

    def _unfold_weights(self, d: Dictionary) -> None:
        ratio = self.scale_in / self.scale_out
        mean_in = self.mean_in.to(d.b_enc)
        d.b_enc.copy_((d.b_enc + mean_in @ d.W_enc) / self.scale_out)
        d.W_enc *= ratio
        if d.W_skip is not None:
            d.b_dec += mean_in @ d.W_skip.T
            d.W_skip.mul_(ratio)
        d.b_dec.copy_((d.b_dec - self.mean_out.to(d.b_dec)) / self.scale_out)


@torch.no_grad()
def _changed(dictionary: Dictionary, change: Callable[[Dictionary], None], factor: float) -> Dictionary:
    other = copy.deepcopy(dictionary)
    change(other)
    other.sparsifier = dictionary.sparsifier.scaled(factor)
    return other
