"""Total attribution: how much every unit matters to the roots, through all paths of the frozen model at once.

One sweep carries the roots' cotangents down through everything, units included: activation times the cotangent of the write is
what a unit contributes by every path. Paths of opposite sign cancel in it, as they do in the model. Nodes are chosen by it,
and the value of a head or a whole MLP is read from it.
"""

from dataclasses import dataclass, field

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.cotangents import Cotangents, carry_down
from circuits.attribution.sources import HEADS, MLP, Slot, Targets
from circuits.replacement.frozen import FrozenLayer, FrozenModel
from circuits.replacement.units import Latents


@dataclass
class Totals:
    """units: slot to the sum over roots of weight * |total attribution|, as (pos, unit), heads as (pos, head). mlp, heads:
    layer to the weighted sum of the roots' cotangents where the MLP and attention write."""

    units: dict[Slot, Float[Tensor, "pos unit"]] = field(default_factory=dict)
    mlp: dict[int, Float[Tensor, "pos d_model"]] = field(default_factory=dict)
    heads: dict[int, Float[Tensor, "pos d_model"]] = field(default_factory=dict)
    pending: dict[int, Float[Tensor, "row pos d_dict"]] = field(default_factory=dict)

    def weigh(self, slot: Slot, each: Float[Tensor, "row pos unit"], weight: Float[Tensor, " row"]) -> None:
        """Keep the weighted sum of absolute values."""
        self.units[slot] = einsum(each.abs_(), weight, "row pos unit, row -> pos unit")


def total_attribution(frozen: FrozenModel, roots: Targets, weight: Float[Tensor, " row"]) -> Totals:
    """Total attribution of every unit and head to the roots, each root with its weight."""
    totals, order = Totals(), torch.argsort(roots.point, descending=True, stable=True)
    group, weight = Cotangents(frozen, roots.take(order)), weight[order].to(frozen.embed)
    carry_down(
        group,
        lambda slot, latents: _cut(group, totals, slot, latents, weight),
        lambda i: _mlp(group, totals, frozen, i, weight),
        lambda i: _attention(group, totals, frozen.layers[i], i, weight),
    )
    return totals


def _cut(group: Cotangents, totals: Totals, slot: Slot, latents: Latents | None, weight: Tensor) -> None:
    if latents is None:
        return
    G = group.reached
    unit = G @ latents.W_dec.T
    totals.weigh(slot, unit * latents.activation[: group.length], weight[: len(G)])
    G.copy_(latents.through_latents(unit))


def _mlp(group: Cotangents, totals: Totals, frozen: FrozenModel, index: int, weight: Tensor) -> Tensor:
    layer, G = frozen.layers[index], group.reached
    inner = G if layer.write_norm is None else layer.write_norm.adjoint(G)
    totals.mlp[index] = einsum(inner, weight[: len(G)], "row pos d_model, row -> pos d_model")
    unit = inner @ layer.mlp.writer.T
    if isinstance(layer.mlp, Latents):
        if index in totals.pending:
            before = totals.pending.pop(index)
            unit[: len(before)] += before
        _hand_down(totals, frozen, index, inner)
        back = layer.mlp.through_latents(unit, inner)
    else:
        back = layer.mlp.through(unit, slice(group.length))
    totals.weigh(Slot(index, MLP), unit * layer.mlp.activation[: group.length], weight[: len(G)])
    return back if layer.mlp_norm is None else layer.mlp_norm.adjoint(back)


def _hand_down(totals: Totals, frozen: FrozenModel, index: int, inner: Tensor) -> None:
    """The cotangents that latents of earlier layers get through what they write here."""
    for i, layer in enumerate(frozen.layers[:index]):
        if isinstance(layer.mlp, Latents) and index in layer.mlp.later:
            more, known = inner @ layer.mlp.later[index].T, totals.pending.get(i)
            if known is not None:
                more[: len(known)] += known
            totals.pending[i] = more


def _attention(group: Cotangents, totals: Totals, layer: FrozenLayer, index: int, weight: Tensor) -> Tensor:
    G = group.reached
    inner = G if layer.ln1_post is None else layer.ln1_post.adjoint(G)
    totals.heads[index] = einsum(inner, weight[: len(G)], "row pos d_model, row -> pos d_model")
    writes = einsum(
        layer.head_out[:, : group.length], layer.attn.W_O, "head pos d_head, head d_head d_model -> pos head d_model"
    )
    totals.weigh(
        Slot(index, HEADS), einsum(inner, writes, "row pos d_model, pos head d_model -> row pos head"), weight[: len(G)]
    )
    back = layer.attn.adjoint(inner)
    return back if layer.ln1 is None else layer.ln1.adjoint(back)
