"""What every chosen unit reads, and what it must sum to.

neuron      reads with its frozen weights; its value is its activation
latent      reads with its encoder column; its value is its pre-activation
whole MLP   value is what its output contributes to the roots, H . out, with H the roots' cotangent there by every path;
head        so it reads with H carried through its frozen neurons, or through W_O and W_V
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.sources import HEADS, MLP, Slot, Sources, Targets, read_points, slot_units
from circuits.attribution.sweep import head_writes
from circuits.attribution.total import Totals
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.units import Latents, Neurons


@dataclass(frozen=True)
class Explained:
    """Rows for the chosen units, in their order. activation: what a neuron or latent writes with; NaN for others."""

    targets: Targets
    value: Float[Tensor, " unit"]
    constant: Float[Tensor, " unit"]
    activation: Float[Tensor, " unit"]


def explain_units(frozen: FrozenModel, sources: Sources, totals: Totals) -> Explained:
    """Readers, values and constants of all sources."""
    like = frozen.embed
    readers = like.new_zeros(len(sources), like.shape[1])
    value, constant, activation = like.new_zeros(3, len(sources))
    head = torch.full_like(sources.unit, -1)
    for slot in sources.slots:
        mine = sources.at(slot)
        part = _slot(frozen, sources, totals, slot, sources.pos[mine], sources.unit[mine])
        readers[mine], value[mine], constant[mine], activation[mine] = part
        if slot.role == HEADS:
            head[mine] = sources.unit[mine]
    return Explained(Targets(read_points(frozen, sources), sources.pos, readers, head), value, constant, activation)


def _slot(
    frozen: FrozenModel, sources: Sources, totals: Totals, slot: Slot, pos: Tensor, unit: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    index, role = slot
    layer = frozen.layers[index]
    if role == HEADS:
        cotangent = totals.heads[index][pos]
        value = (cotangent * head_writes(layer, unit, pos)).sum(1)
        return (
            layer.attn.head_readers(cotangent, unit),
            value,
            torch.zeros_like(value),
            torch.full_like(value, torch.nan),
        )
    units = slot_units(frozen, slot) or layer.mlp
    if role == MLP and bool((unit < 0).any()):
        assert isinstance(units, Neurons)
        read, value, constant = _whole(units, totals.mlp[index][pos], pos)
        activation = torch.full_like(value, torch.nan)
    else:
        read = units.readers(pos, unit)
        value, constant, activation = (getattr(units, n)[pos, unit] for n in ("value", "constant", "activation"))
    raw = isinstance(units, Latents) and units.raw
    norm = None if raw else layer.ln2
    return (read if norm is None else norm.adjoint_at(read, pos)), value, constant, activation


def _whole(mlp: Neurons, cotangent: Tensor, pos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reader, value and constant of whole MLPs."""
    unit = cotangent @ mlp.W_out.T
    return mlp.through(unit, pos), (unit * mlp.activation[pos]).sum(1), (unit * mlp.constant[pos]).sum(1)
