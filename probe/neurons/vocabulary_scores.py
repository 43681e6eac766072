"""Directions through a table of the vocabulary: the k highest and lowest tokens of each, and how concentrated its scores are.

Scores are centred over the vocabulary. From their second and fourth moments follow variance and excess kurtosis (0 for a normal
distribution); top mass is the share of the sum of squares that the 2 k outermost hold. Blocks of directions meet blocks of the
vocabulary, moments are summed in float64 and the best k kept, so that never more than `CELLS` scores are in memory.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probe.neurons.vocabulary_map_record import Decoded
from probe.neurons.vocabulary_tables import CELLS, Table
from probe.progress import Step

BLOCK = 512  # neurons at once


def decode(
    table: Table, directions: Float[Tensor, "neuron d_model"], k: int, step: Step = lambda amount=1: None
) -> Decoded:
    """Directions through a table, a block of each at a time."""
    parts = []
    for block in directions.split(BLOCK):
        parts.append(_decode_block(table, block, k))
        step(len(block))
    return joined(parts)


def _decode_block(table: Table, block: Float[Tensor, "neuron d_model"], k: int) -> Decoded:
    width, shift = max(k, CELLS // len(block)), block @ table.mean
    moments = torch.zeros(2, len(block), dtype=torch.float64, device=block.device)
    best: list[tuple[Tensor, Tensor] | None] = [None, None]
    for low in range(0, table.n, width):
        high = min(low + width, table.n)
        score = block @ table.rows(low, high).to(block).t()
        if table.divisor is not None:
            score /= table.divisor[low:high]
        score -= shift[:, None]
        for side, largest in enumerate((True, False)):
            values, ids = score.topk(min(k, high - low), -1, largest=largest)
            best[side] = _merged(best[side], (values, ids + low), k, largest)
        score.square_()
        moments[0] += score.sum(-1, dtype=torch.float64)
        moments[1] += score.square_().sum(-1, dtype=torch.float64)
    (up, up_ids), (down, down_ids) = (one for one in best if one is not None)
    variance = moments[0] / table.n
    held = (up.double().square().sum(-1) + down.double().square().sum(-1)) / moments[0].clamp_min(1e-300)
    kurtosis = torch.where(variance > 0, moments[1] / table.n / variance.square().clamp_min(1e-300) - 3, 0.0)
    arrays = (up_ids.int(), up, down_ids.int(), down, kurtosis, variance, held.clamp_max(1.0))
    names = ("up", "up_score", "down", "down_score", "kurtosis", "variance", "top_mass")
    return Decoded(**{name: array.cpu().numpy() for name, array in zip(names, arrays, strict=True)})


def _merged(
    old: tuple[Tensor, Tensor] | None, new: tuple[Tensor, Tensor], k: int, largest: bool
) -> tuple[Tensor, Tensor]:
    """The k best of two lists of scores and ids."""
    if old is None:
        return new
    values, ids = (torch.cat(both, -1) for both in zip(old, new, strict=True))
    values, at = values.topk(min(k, values.shape[-1]), -1, largest=largest)
    return values, ids.gather(-1, at)


def joined(parts: list[Decoded]) -> Decoded:
    names = ("up", "up_score", "down", "down_score", "kurtosis", "variance", "top_mass")
    return Decoded(**{name: np.concatenate([getattr(one, name) for one in parts]) for name in names})
