"""Which units become nodes: the basis of each layer, and the units with the largest total attribution to the roots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from circuits.attribution.sources import HEADS, MLP, Slot, Sources, slot_units
from circuits.attribution.total import Totals
from circuits.replacement.frozen import FrozenModel
from circuits.replacement.units import Latents, Neurons
from probe.errors import BadInput
from probe.methods.graph_kinds import BASES

if TYPE_CHECKING:
    from circuits.replacement.placement import Placed


@dataclass(frozen=True)
class Basis:
    """What stands for each layer's MLP (`neurons`, `latents` or `mlp`) and in which layers heads are nodes."""

    name: str
    mlp: tuple[str, ...]
    heads: frozenset[int] = frozenset()


def choose_basis(
    n_layers: int,
    placed: Mapping[int, "Placed"],
    basis: str | Sequence[str] = "auto",
    heads: bool | Sequence[int] = False,
) -> Basis:
    """The basis of every layer.

    `neurons`, or `auto` without dictionaries: neurons everywhere. `mixed`, or `auto` with dictionaries: latents where there are
    some, neurons elsewhere. `latents`: latents, and whole MLPs elsewhere. `components`: whole MLPs and all heads. A sequence
    names the basis of each layer. Raises BadInput for a basis that does not go with the dictionaries, and unknown layers.
    """
    mlps = {i for i, p in placed.items() if p.at == "mlp"}
    if not isinstance(basis, str):
        return Basis("by layer", _each(tuple(basis), n_layers, mlps), _head_layers(n_layers, heads))
    if basis not in BASES:
        raise BadInput(
            f"There is no basis '{basis}'; known are {', '.join(BASES)}, or one of neurons, latents, mlp a layer."
        )
    name = ("mixed" if placed else "neurons") if basis == "auto" else basis
    if placed and name in ("neurons", "components"):
        raise BadInput(
            f"The basis '{name}' uses no dictionaries, but {len(placed)} layers have one. Use 'mixed' or 'latents'."
        )
    if not placed and name in ("latents", "mixed"):
        raise BadInput(f"The basis '{name}' needs dictionaries. Give some, or use the basis 'neurons'.")
    other = "mlp" if name in ("latents", "components") else "neurons"
    mlp = tuple("latents" if i in mlps else other for i in range(n_layers))
    return Basis(name, mlp, _head_layers(n_layers, heads or name == "components"))


def _each(names: tuple[str, ...], n_layers: int, mlps: set[int]) -> tuple[str, ...]:
    if len(names) != n_layers or not set(names) <= {"neurons", "latents", "mlp"}:
        raise BadInput(
            f"A basis by layer names neurons, latents or mlp for each of {n_layers} layers; {list(names)} was given."
        )
    wrong = [i for i, n in enumerate(names) if (n == "latents") != (i in mlps)]
    if wrong:
        raise BadInput(
            f"Layer {wrong[0]} is to show {names[wrong[0]]}; layers with a dictionary of their MLP are {sorted(mlps)}."
        )
    return names


def _head_layers(n_layers: int, heads: bool | Sequence[int]) -> frozenset[int]:
    if isinstance(heads, bool):
        return frozenset(range(n_layers) if heads else ())
    wrong = [i for i in heads if not 0 <= i < n_layers]
    if wrong:
        raise BadInput(f"There is no layer {wrong[0]} whose heads could be nodes; layers are 0 to {n_layers - 1}.")
    return frozenset(heads)


def choose_units(frozen: FrozenModel, totals: Totals, basis: Basis, max_nodes: int, first: int = 0) -> Sources:
    """The `max_nodes` units with the largest total attribution, at positions `first` and later.

    Every active latent comes first where all of them take up at most half of the nodes: who brings a dictionary wants to
    see it.
    """
    found = {slot: x for slot in sorted(totals.units) if (x := _candidates(frozen, totals, basis, slot)) is not None}
    for x in found.values():
        x[:first] = 0
    _latents_first(frozen, found, max_nodes, first)
    flat = torch.cat([x.flatten() for x in found.values()])
    best = flat.topk(min(max_nodes, int((flat > 0).sum()))).indices.sort().values
    slots = torch.tensor([slot.number for slot in found], device=best.device)
    ends = torch.tensor([x.numel() for x in found.values()], device=best.device).cumsum(0)
    which = torch.searchsorted(ends, best, right=True)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    widths = torch.tensor([x.shape[1] for x in found.values()], device=best.device)[which]
    inner = best - starts[which]
    sources = Sources(slots[which], inner // widths, inner % widths)
    return replace(sources, unit=torch.where(_whole(basis, sources), -1, sources.unit))


def _candidates(frozen: FrozenModel, totals: Totals, basis: Basis, slot: Slot) -> Tensor | None:
    """Total attribution of what may be nodes in a slot."""
    layer, role = slot
    if role == HEADS:
        return totals.units[slot].clone() if layer in basis.heads else None
    if role == MLP and basis.mlp[layer] == "mlp":
        mlp, cotangent = frozen.layers[layer].mlp, totals.mlp[layer]
        return (cotangent * (mlp.activation @ mlp.writer)[: len(cotangent)]).sum(1, keepdim=True).abs()
    return totals.units[slot].clone()


def _whole(basis: Basis, sources: Sources) -> Tensor:
    """Which sources are whole MLPs."""
    layers = torch.tensor([n == "mlp" for n in basis.mlp], device=sources.slot.device)
    return layers[sources.layer] & (sources.role == MLP)


def _latents_first(frozen: FrozenModel, found: dict[Slot, Tensor], max_nodes: int, first: int) -> None:
    active = {
        slot: units.activation[: len(x)] > 0
        for slot, x in found.items()
        if (units := _latents(frozen, slot)) is not None
    }
    for x in active.values():
        x[:first] = False
    if sum(int(a.sum()) for a in active.values()) <= max_nodes // 2:
        more = 1 + max(float(x.max()) for x in found.values())
        for slot, on in active.items():
            found[slot] += more * on


def _latents(frozen: FrozenModel, slot: Slot) -> Latents | None:
    """The latents of a slot, in the stream or in the place of an MLP."""
    layer, role = slot
    if role != MLP:
        return slot_units(frozen, slot)
    mlp = frozen.layers[layer].mlp
    return None if isinstance(mlp, Neurons) else mlp
