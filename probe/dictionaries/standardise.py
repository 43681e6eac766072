"""Training sees centred activations of unit variance; a saved dictionary reads raw ones. This file goes between the two.

A large mean kills latents and a large scale changes what a learning rate means, so training runs on

    x' = (x - mean_in) / scale_in        y' = (y - mean_out) / scale_out

with one scale for all dimensions of a site (directions keep their angles). `fold` puts means and scales into the weights: for
any raw x, fold(d)(x) = scale_out * d((x - mean_in) / scale_in) + mean_out. Latents are multiplied by the root mean square of
scale_out, so they are in the units of what they write; with one site written, decoder rows are untouched.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probe.dictionaries.base import Dictionary
from probe.dictionaries.cross_layer import CrossLayerTranscoder
from probe.errors import BadInput
from probe.show.record import Record


@dataclass(frozen=True, eq=False)
class Standardiser(Record):
    """Means and scales of inputs and targets; for an SAE, inputs and targets are the same site and share theirs."""

    mean_in: Float[Tensor, " d_in"]
    scale_in: Float[Tensor, " d_in"]
    mean_out: Float[Tensor, " d_out"]
    scale_out: Float[Tensor, " d_out"]

    @classmethod
    def of(
        cls,
        inputs: Sequence[tuple[Float[Tensor, " _"], Float[Tensor, " _"]]],
        targets: Sequence[tuple[Float[Tensor, " _"], Float[Tensor, " _"]]],
    ) -> "Standardiser":
        """From (mean, variance) of each site. Raises BadInput if they are not finite or a site does not vary."""
        return cls(*_means_and_scales(inputs, "inputs"), *_means_and_scales(targets, "targets"))

    @classmethod
    def fit(
        cls,
        inputs: Float[Tensor, "row d_in"],
        targets: Float[Tensor, "row d_out"],
        widths_in: Sequence[int] = (),
        widths_out: Sequence[int] = (),
    ) -> "Standardiser":
        """From one batch, for streams that keep no statistics. widths: of the sites, if there are several on a side."""
        moments = [
            [(y.mean(0), y.var(0, correction=0)) for y in side.double().split(list(widths) or side.shape[1], 1)]
            for side, widths in ((inputs, widths_in), (targets, widths_out))
        ]
        return cls.of(*moments)

    def inputs(self, x: Float[Tensor, "row d_in"]) -> Float[Tensor, "row d_in"]:
        """Raw inputs, standardised."""
        return (x - self.mean_in.to(x)) / self.scale_in.to(x)

    def targets(self, y: Float[Tensor, "row d_out"]) -> Float[Tensor, "row d_out"]:
        """Raw targets, standardised."""
        return (y - self.mean_out.to(y)) / self.scale_out.to(y)

    def fold(self, dictionary: Dictionary | CrossLayerTranscoder) -> Dictionary | CrossLayerTranscoder:
        """A copy that reads raw activations and writes raw reconstructions."""
        if isinstance(dictionary, CrossLayerTranscoder):
            return dictionary.changed(lambda part, layer: self._of_part(dictionary, layer).fold(part))
        return _changed(dictionary, self._fold_weights, self._unit)

    def unfold(self, dictionary: Dictionary | CrossLayerTranscoder) -> Dictionary | CrossLayerTranscoder:
        """The inverse of `fold`: a copy that works on standardised activations, for training further."""
        if isinstance(dictionary, CrossLayerTranscoder):
            return dictionary.changed(lambda part, layer: self._of_part(dictionary, layer).unfold(part))
        return _changed(dictionary, self._unfold_weights, 1 / self._unit)

    @property
    def _unit(self) -> float:
        """What latents are multiplied by: exactly the one scale, where there is one."""
        first = self.scale_out[0]
        one = bool((self.scale_out == first).all())
        return float(first if one else self.scale_out.double().square().mean().sqrt())

    def _of_part(self, whole: CrossLayerTranscoder, layer: int) -> "Standardiser":
        """What concerns one layer's part. All parts write to a later output, but only one may add its mean: that layer's own."""
        first, width = sum(whole.widths_in[:layer]), whole.widths_in[layer]
        start, own = sum(whole.widths_out[:layer]), whole.widths_out[layer]
        mean_out = self.mean_out[start:].clone()
        mean_out[own:] = 0
        read = slice(first, first + width)
        return Standardiser(self.mean_in[read], self.scale_in[read], mean_out, self.scale_out[start:])

    def _fold_weights(self, d: Dictionary) -> None:
        unit, mean_in, scale_out = self._unit, self.mean_in.to(d.b_enc), self.scale_out.to(d.b_enc)
        d.W_enc *= unit / self.scale_in.to(d.b_enc)[:, None]
        d.b_enc.copy_(unit * d.b_enc - mean_in @ d.W_enc)
        d.W_dec *= scale_out / unit
        d.b_dec.copy_(scale_out * d.b_dec + self.mean_out.to(d.b_dec))
        if d.W_skip is not None:
            d.W_skip.mul_(scale_out[:, None] / self.scale_in.to(d.b_enc))
            d.b_dec -= mean_in @ d.W_skip.T

    def _unfold_weights(self, d: Dictionary) -> None:
        unit, mean_in, scale_out = self._unit, self.mean_in.to(d.b_enc), self.scale_out.to(d.b_enc)
        d.b_enc.copy_((d.b_enc + mean_in @ d.W_enc) / unit)
        d.W_enc *= self.scale_in.to(d.b_enc)[:, None] / unit
        d.W_dec *= unit / scale_out
        if d.W_skip is not None:
            d.b_dec += mean_in @ d.W_skip.T
            d.W_skip.mul_(self.scale_in.to(d.b_enc) / scale_out[:, None])
        d.b_dec.copy_((d.b_dec - self.mean_out.to(d.b_dec)) / scale_out)


def _means_and_scales(moments: Sequence[tuple[Tensor, Tensor]], what: str) -> tuple[Tensor, Tensor]:
    means, scales = [], []
    for mean, var in moments:
        scale = float(var.double().mean().sqrt())
        if not (torch.isfinite(mean).all() and 0 < scale < float("inf")):
            raise BadInput(f"The {what} have a mean or variance that is zero, infinite or NaN; check the cache.")
        means.append(mean.float())
        scales.append(torch.full_like(means[-1], scale))
    return torch.cat(means), torch.cat(scales)


@torch.no_grad()
def _changed(dictionary: Dictionary, change: Callable[[Dictionary], None], factor: float) -> Dictionary:
    other = copy.deepcopy(dictionary)
    change(other)
    other.sparsifier = dictionary.sparsifier.scaled(factor)
    return other
