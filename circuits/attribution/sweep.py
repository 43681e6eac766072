"""The adjoint sweep: all edges into many targets, from the top layer to the embeddings, without an autograd tape.

A target is a vector that reads the residual stream at one point and position. Its cotangent G, the derivative of what it
reads with respect to the stream, is carried down layer by layer through the frozen model,

    G <- G + norm^T attention^T G        (and through a dictionary's skip, where there is one)

and at every layer the edge from a write w at position p is G[p] . w. Targets of lower layers join when the sweep reaches
them, so each is carried through the layers below it only, and positions after the last target are never touched. A head that
is a node is left out of the attention carried through: what reaches it ends there. So does all that reaches an SAE in the
stream.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.cotangents import Cotangents
from circuits.attribution.plan import THIN_GROUP
from circuits.attribution.sources import HEADS, MID, MLP, POST, Sources, Targets
from circuits.replacement import points
from circuits.replacement.frozen import FrozenLayer, FrozenModel
from circuits.replacement.linear import FrozenAttention
from circuits.replacement.units import Latents, Neurons
from probe.progress import SILENT, Progress


@dataclass(frozen=True)
class Rows:
    """Edges into each target, by kind of source: views of one matrix. `bias` takes a layer's attention, norm and MLP biases
    together, `rest` the units of a layer that are not nodes, `error` what its dictionary leaves."""

    matrix: Float[Tensor, "row column"]
    token: Float[Tensor, "row pos"]
    position: Float[Tensor, "row pos"]
    bias: Float[Tensor, "row layer pos"]
    rest: Float[Tensor, "row layer pos"]
    error: Float[Tensor, "row layer pos"]
    unit: Float[Tensor, "row unit"]


def empty_rows(like: Tensor, n: int, n_layers: int, length: int, n_units: int) -> Rows:
    """All edges zero."""
    wide = n_layers * length
    sizes = (length, length, wide, wide, wide, n_units)
    matrix = like.new_zeros(n, sum(sizes))
    token, position, *layered, unit = matrix.split(sizes, 1)
    return Rows(matrix, token, position, *(x.unflatten(1, (n_layers, length)) for x in layered), unit)


def edges(
    frozen: FrozenModel, targets: Targets, sources: Sources, *, memory: int = 1 << 28, progress: Progress = SILENT
) -> Rows:
    """Edges from every source into every target, in groups of targets whose cotangents fit in `memory` bytes."""
    n, length = len(targets), frozen.length
    d_model, item = frozen.embed.shape[1], frozen.embed.element_size()
    group = max(1, min(n, max(memory // (6 * length * d_model * item), THIN_GROUP)))
    sweep = _Sweep(frozen, sources)
    out = sweep.rows(n)
    # Groups share a range of positions, so that early targets never pay for late positions.
    top = points.final(len(frozen.layers))
    order = torch.argsort(targets.pos * (top + 1) + (top - targets.point))
    with progress.stage("edges", total=n, unit="target") as step:
        for rows in order.split(group):
            rows = rows[torch.argsort(targets.point[rows], descending=True, stable=True)]
            out.matrix[rows] = sweep.carry(targets.take(rows)).matrix
            step(len(rows))
    return out


class _Sweep:
    """What all groups share: the writes of every node, and what each layer writes that is no node's."""

    def __init__(self, frozen: FrozenModel, sources: Sources):
        self.frozen, self.sources = frozen, sources
        self.attention = [self._attention(i, x) for i, x in enumerate(frozen.layers)]
        parts = [
            (4 * i + role, units)
            for i, x in enumerate(frozen.layers)
            for role, units in ((MID, x.mid), (MLP, x.mlp), (POST, x.post))
        ]
        self.rest = {slot: rest(frozen, sources, slot, units) for slot, units in parts if units is not None}
        self.later = [self._later(i) for i in range(len(frozen.layers))]

    def _attention(self, index: int, layer: FrozenLayer) -> FrozenAttention:
        taken = self.sources.taken(index, (layer.attn.pattern.shape[:2]))
        return layer.attn if taken is None else layer.attn.without(taken)

    def _later(self, index: int) -> list[tuple[int, Tensor, Tensor]]:
        """What latents of earlier layers write to this one's MLP output: their slot, decoder, and unchosen sum."""
        found = []
        for i, layer in enumerate(self.frozen.layers[:index]):
            if isinstance(layer.mlp, Latents) and index in layer.mlp.later:
                decoder = layer.mlp.later[index]
                found.append((4 * i + MLP, decoder, rest(self.frozen, self.sources, 4 * i + MLP, layer.mlp, decoder)))
        return found

    def rows(self, n: int) -> Rows:
        """No edges yet, into n targets."""
        return empty_rows(self.frozen.embed, n, len(self.frozen.layers), self.frozen.length, len(self.sources))

    def carry(self, targets: Targets) -> Rows:
        """Edges into one group of targets, those of later points first."""
        group, out = Cotangents(self.frozen, targets), self.rows(len(targets))
        group.join(points.final(len(self.frozen.layers)))
        for i in range(len(self.frozen.layers) - 1, -1, -1):
            layer = self.frozen.layers[i]
            self._cut(group, out, 4 * i + POST, layer.post)
            group.join(points.mlp_writes(i))
            skip = self._through_mlp(group, out, i)
            if not layer.parallel:
                group.add(skip)
                group.join(points.mlp_reads(i, False))
                self._cut(group, out, 4 * i + MID, layer.mid)
                group.join(points.mid(i))
            back = self._through_attention(group, out, i)
            group.add(back)
            if layer.parallel:
                group.add(skip)
            group.join(points.attention_reads(i))
        G, length = group.live, group.length
        out.token[:, :length] = torch.einsum("rpd,pd->rp", G, self.frozen.embed[:length])
        if self.frozen.pos_embed is not None:
            out.position[:, :length] = torch.einsum("rpd,pd->rp", G, self.frozen.pos_embed[:length])
        return out

    def _through_mlp(self, group: Cotangents, out: Rows, index: int) -> Tensor | None:
        """Collect edges from the layer's MLP; returns what its skip connection adds to the cotangent before it."""
        if not group.active:
            return None
        layer, rows, length = self.frozen.layers[index], slice(group.active), group.length
        inner = group.live if layer.write_norm is None else layer.write_norm.adjoint(group.live)
        bias = inner @ layer.mlp.b_out
        if layer.write_norm is not None:
            bias = bias + group.live @ layer.write_norm.bias
        out.bias[rows, index, :length] += bias
        self._slot(out, rows, inner, 4 * index + MLP, layer.mlp)
        for slot, decoder, left in self.later[index]:
            out.rest[rows, (slot - 1) // 4, :length] += torch.einsum("rpd,pd->rp", inner, left[:length])
            self._units(out, rows, inner, slot, self.frozen.layers[(slot - 1) // 4].mlp, decoder)
        return _skip(layer, inner)

    def _slot(self, out: Rows, rows: slice, inner: Tensor, slot: int, units: Neurons | Latents) -> None:
        """Add the edges from a slot's units, from those that are no nodes, and from what its dictionary leaves."""
        layer, length = (slot - 1) // 4, inner.shape[1]
        out.rest[rows, layer, :length] += torch.einsum("rpd,pd->rp", inner, self.rest[slot][:length])
        if isinstance(units, Latents):
            out.error[rows, layer, :length] += torch.einsum("rpd,pd->rp", inner, units.error[:length])
        self._units(out, rows, inner, slot, units)

    def _units(
        self, out: Rows, rows: slice, inner: Tensor, slot: int, mlp: Neurons | Latents, decoder: Tensor | None = None
    ) -> None:
        """Add the edges from a slot's units, position by position."""
        for p in range(inner.shape[1]):
            mine = self.sources.at(slot, p)
            if mine.start == mine.stop:
                continue
            unit = self.sources.unit[mine]
            whole = len(unit) == 1 and int(unit[0]) < 0
            if whole:
                writes = (mlp.activation[p] @ mlp.writer)[None]
            else:
                writes = (mlp.writer if decoder is None else decoder)[unit] * mlp.activation[p, unit, None]
            out.unit[rows, mine] += inner[:, p] @ writes.T

    def _cut(self, group: Cotangents, out: Rows, slot: int, latents: Latents | None) -> None:
        """An SAE in the stream: all that is read behind it comes from its latents, its error and its bias."""
        if latents is None or not group.active:
            return
        rows = slice(group.active)
        out.bias[rows, (slot - 1) // 4, : group.length] += group.live @ latents.b_out
        self._slot(out, rows, group.live, slot, latents)
        group.live.zero_()

    def _through_attention(self, group: Cotangents, out: Rows, index: int) -> Tensor | None:
        """Collect edges from the layer's attention biases and heads; returns what attention adds to the cotangent before."""
        if not group.active:
            return None
        layer, rows, length = self.frozen.layers[index], slice(group.active), group.length
        inner = group.live if layer.ln1_post is None else layer.ln1_post.adjoint(group.live)
        bias = inner @ layer.attn.bias
        if layer.ln1_post is not None:
            bias = bias + group.live @ layer.ln1_post.bias
        out.bias[rows, index, :length] += bias
        mine = self.sources.at(4 * index + HEADS)
        if mine.start < mine.stop:
            head, pos = self.sources.unit[mine], self.sources.pos[mine]
            early = pos < length
            writes = head_writes(layer, head[early], pos[early])
            edges = torch.einsum("rnd,nd->rn", inner[:, pos[early]], writes)
            columns = torch.arange(mine.start, mine.stop, device=inner.device)[early]
            out.unit[rows].index_add_(1, columns, edges)
        back = self.attention[index].adjoint(inner)
        return back if layer.ln1 is None else layer.ln1.adjoint(back)


def head_writes(layer: FrozenLayer, head: Tensor, pos: Tensor) -> Float[Tensor, "node d_model"]:
    """What heads write at positions before any post-norm, without biases."""
    return torch.einsum("ne,ned->nd", layer.head_out[head, pos], layer.attn.W_O[head])


def _skip(layer: FrozenLayer, inner: Tensor) -> Tensor | None:
    skip = layer.mlp.skip_adjoint(inner) if isinstance(layer.mlp, Latents) else None
    return skip if skip is None or layer.mlp_norm is None else layer.mlp_norm.adjoint(skip)


def rest(
    frozen: FrozenModel, sources: Sources, slot: int, units: Neurons | Latents, decoder: Tensor | None = None
) -> Float[Tensor, "pos d_model"]:
    """What the units of a slot that are not nodes write, all together."""
    left, mine = units.activation.clone(), sources.at(slot)
    pos, unit = sources.pos[mine], sources.unit[mine]
    whole = unit < 0
    left[pos[whole]] = 0
    left[pos[~whole], unit[~whole]] = 0
    return left @ (units.writer if decoder is None else decoder)
