"""What training does to single latents: decoder rows of unit norm, and optimizer moments that are forgotten."""

import torch
from jaxtyping import Bool
from torch import Tensor

from probe.dictionaries.base import Dictionary
from probe.dictionaries.cross_layer import CrossLayerTranscoder
from probe.dictionaries.dead import unit


def parts_of(dictionary: Dictionary | CrossLayerTranscoder) -> list[Dictionary]:
    """The dictionaries it is made of: its layers', or itself."""
    return list(dictionary.parts) if isinstance(dictionary, CrossLayerTranscoder) else [dictionary]  # type: ignore[arg-type]


@torch.no_grad()
def unit_decoder(dictionary: Dictionary | CrossLayerTranscoder) -> None:
    """Give every decoder row length 1."""
    for part in parts_of(dictionary):
        part.W_dec.copy_(unit(part.W_dec))


@torch.no_grad()
def drop_parallel(dictionary: Dictionary | CrossLayerTranscoder) -> None:
    """Take from the decoder's gradient what would only lengthen or shorten its rows (Bricken et al. 2023)."""
    for part in parts_of(dictionary):
        if part.W_dec.grad is not None:
            rows = unit(part.W_dec)
            part.W_dec.grad -= (part.W_dec.grad * rows).sum(1, keepdim=True) * rows


def ease(dictionary: Dictionary | CrossLayerTranscoder, dead: Bool[Tensor, " d_dict"]) -> None:
    """Tell each sparsifier which of its latents are dead."""
    parts = parts_of(dictionary)
    for part, mark in zip(parts, dead.split([p.d_dict for p in parts]), strict=True):
        part.sparsifier.ease(mark)


def forget(
    optimizer: torch.optim.Optimizer, dictionary: Dictionary | CrossLayerTranscoder, which: Bool[Tensor, " d_dict"]
) -> None:
    """Clear the optimizer's moments of the encoders, biases and decoders of some latents."""
    parts = parts_of(dictionary)
    for part, mark in zip(parts, which.split([p.d_dict for p in parts]), strict=True):
        for weight, index in ((part.W_enc, (slice(None), mark)), (part.b_enc, mark), (part.W_dec, mark)):
            for name in ("exp_avg", "exp_avg_sq"):
                if name in optimizer.state[weight]:
                    optimizer.state[weight][name][index] = 0
