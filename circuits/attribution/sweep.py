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
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.cotangents import Cotangents, carry_down
from circuits.attribution.plan import THIN_GROUP
from circuits.attribution.sources import HEADS, MID, MLP, POST, Slot, Sources, Targets
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
    """All edges zero, in one matrix, which the graph takes over as it is."""
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
    held = (
        6 * length * d_model * item
    )  # of one target: its cotangent and about five like it, on the way through norms and attention
    group = max(1, min(n, max(memory // held, THIN_GROUP)))
    sweep = _Sweep(frozen, sources)
    out = sweep.rows(n)
    # A group is as long as its last position, so early targets never pay for late ones: sort by position, then from the top down.
    top = points.final(len(frozen.layers))
    order = torch.argsort(
        targets.pos * (top + 1) + (top - targets.point)
    )  # one number, which (pos, -point) would sort like
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
            (Slot(i, role), units)
            for i, x in enumerate(frozen.layers)
            for role, units in ((MID, x.mid), (MLP, x.mlp), (POST, x.post))
        ]
        self.rest = {slot: rest(frozen, sources, slot, units) for slot, units in parts if units is not None}
        self.later = [self._later(i) for i in range(len(frozen.layers))]

    def _attention(self, index: int, layer: FrozenLayer) -> FrozenAttention:
        """Attention without the heads that are nodes: what reaches those ends there, as an edge."""
        taken = self.sources.taken(index, (layer.attn.pattern.shape[:2]))  # head q_pos
        return layer.attn if taken is None else layer.attn.without(taken)

    def _later(self, index: int) -> list[tuple[Slot, Tensor, Tensor]]:
        """What latents of earlier layers write to this one's MLP output: their slot, decoder, and unchosen sum."""
        found = []
        for i, layer in enumerate(self.frozen.layers[:index]):
            if isinstance(layer.mlp, Latents) and index in layer.mlp.later:
                decoder = layer.mlp.later[index]
                slot = Slot(i, MLP)
                found.append((slot, decoder, rest(self.frozen, self.sources, slot, layer.mlp, decoder)))
        return found

    def rows(self, n: int) -> Rows:
        """No edges yet, into n targets."""
        return empty_rows(self.frozen.embed, n, len(self.frozen.layers), self.frozen.length, len(self.sources))

    def carry(self, targets: Targets) -> Rows:
        """Edges into one group of targets, those of later points first."""
        group, out = Cotangents(self.frozen, targets), self.rows(len(targets))
        carry_down(
            group,
            lambda slot, latents: self._cut(group, out, slot, latents),
            lambda i: self._through_mlp(group, out, i),
            lambda i: self._through_attention(group, out, i),
        )
        G, length = group.reached, group.length
        out.token[:, :length] = at_each(G, self.frozen.embed)
        if self.frozen.pos_embed is not None:
            out.position[:, :length] = at_each(G, self.frozen.pos_embed)
        return out

    def _through_mlp(self, group: Cotangents, out: Rows, index: int) -> Tensor | None:
        """Collect edges from the layer's MLP; returns what its skip connection adds to the cotangent before it."""
        if not group.active:
            return None
        layer, rows, length = self.frozen.layers[index], slice(group.active), group.length
        # inner: the cotangent of what the units write, before any norm behind the MLP         row pos d_model
        inner = group.reached if layer.write_norm is None else layer.write_norm.adjoint(group.reached)
        bias = inner @ layer.mlp.b_out  # row pos
        if layer.write_norm is not None:
            bias = bias + group.reached @ layer.write_norm.bias
        out.bias[rows, index, :length] += bias
        self._slot(out, rows, inner, Slot(index, MLP), layer.mlp)
        for slot, decoder, left in self.later[index]:
            out.rest[rows, slot.layer, :length] += at_each(inner, left)
            self._units(out, rows, inner, slot, self.frozen.layers[slot.layer].mlp, decoder)
        return _skip(layer, inner)

    def _slot(self, out: Rows, rows: slice, inner: Tensor, slot: Slot, units: Neurons | Latents) -> None:
        """Add the edges from a slot's units, from those that are no nodes, and from what its dictionary leaves."""
        layer, length = slot.layer, inner.shape[1]
        out.rest[rows, layer, :length] += at_each(inner, self.rest[slot])
        if isinstance(units, Latents):
            out.error[rows, layer, :length] += at_each(inner, units.error)
        self._units(out, rows, inner, slot, units)

    def _units(
        self, out: Rows, rows: slice, inner: Tensor, slot: Slot, mlp: Neurons | Latents, decoder: Tensor | None = None
    ) -> None:
        """Add the edges from a slot's units, position by position."""
        for p in range(inner.shape[1]):
            mine = self.sources.at(slot, p)
            if mine.start == mine.stop:
                continue
            unit = self.sources.unit[mine]
            whole = len(unit) == 1 and int(unit[0]) < 0  # the MLP as one node: all its neurons' writes together
            if whole:
                writes = (mlp.activation[p] @ mlp.writer)[None]  # 1 d_model
            else:
                writes = (mlp.writer if decoder is None else decoder)[unit] * mlp.activation[
                    p, unit, None
                ]  # unit d_model
            out.unit[rows, mine] += inner[:, p] @ writes.T  # row unit

    def _cut(self, group: Cotangents, out: Rows, slot: Slot, latents: Latents | None) -> None:
        """An SAE in the stream: all that is read behind it comes from its latents, its error and its bias."""
        if latents is None or not group.active:
            return
        rows = slice(group.active)
        out.bias[rows, slot.layer, : group.length] += group.reached @ latents.b_out
        self._slot(out, rows, group.reached, slot, latents)
        group.reached.zero_()  # nothing before the SAE is read except through its latents, which are nodes

    def _through_attention(self, group: Cotangents, out: Rows, index: int) -> Tensor | None:
        """Collect edges from the layer's attention biases and heads; returns what attention adds to the cotangent before."""
        if not group.active:
            return None
        layer, rows, length = self.frozen.layers[index], slice(group.active), group.length
        inner = group.reached if layer.ln1_post is None else layer.ln1_post.adjoint(group.reached)
        bias = inner @ layer.attn.bias
        if layer.ln1_post is not None:
            bias = bias + group.reached @ layer.ln1_post.bias
        out.bias[rows, index, :length] += bias
        mine = self.sources.at(Slot(index, HEADS))
        if mine.start < mine.stop:
            head, pos = self.sources.unit[mine], self.sources.pos[mine]
            early = pos < length  # heads behind the last target reach none
            writes = head_writes(layer, head[early], pos[early])
            edges = einsum(inner[:, pos[early]], writes, "row node d_model, node d_model -> row node")
            columns = torch.arange(mine.start, mine.stop, device=inner.device)[early]
            out.unit[rows].index_add_(1, columns, edges)
        back = self.attention[index].adjoint(inner)  # through the heads that are no nodes
        return back if layer.ln1 is None else layer.ln1.adjoint(back)


def at_each(G: Float[Tensor, "row pos d_model"], written: Float[Tensor, "all_pos d_model"]) -> Float[Tensor, "row pos"]:
    """G[p] . w[p], the edge from what is written at each position. G ends at the last target, what is written may go on."""
    return einsum(G, written[: G.shape[1]], "row pos d_model, pos d_model -> row pos")


def head_writes(layer: FrozenLayer, head: Tensor, pos: Tensor) -> Float[Tensor, "node d_model"]:
    """What heads write at positions before any post-norm, without biases."""
    return einsum(layer.head_out[head, pos], layer.attn.W_O[head], "node d_head, node d_head d_model -> node d_model")


def _skip(layer: FrozenLayer, inner: Tensor) -> Tensor | None:
    """What a transcoder's skip connection adds to the cotangent of what the MLP reads: it is linear, so no node is needed."""
    skip = layer.mlp.skip_adjoint(inner) if isinstance(layer.mlp, Latents) else None
    return skip if skip is None or layer.mlp_norm is None else layer.mlp_norm.adjoint(skip)


def rest(
    frozen: FrozenModel, sources: Sources, slot: Slot, units: Neurons | Latents, decoder: Tensor | None = None
) -> Float[Tensor, "pos d_model"]:
    """What the units of a slot that are not nodes write, all together."""
    left, mine = units.activation.clone(), sources.at(slot)
    pos, unit = sources.pos[mine], sources.unit[mine]
    whole = unit < 0  # a whole MLP leaves nothing at its position
    left[pos[whole]] = 0
    left[pos[~whole], unit[~whole]] = 0
    return left @ (units.writer if decoder is None else decoder)
