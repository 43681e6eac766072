"""The adjoint sweep: all edges into many targets, from the top layer to the embeddings, without an autograd tape.

A target is a vector that reads the residual stream at one layer and position. Its cotangent G, the derivative of what it
reads with respect to the stream, is carried down layer by layer through the frozen model,

    G <- G + attention^T norm^T G        (and through a dictionary's skip, where there is one)

and at every layer the edge from a write w at position p is G[p] . w. Targets of lower layers join when the sweep reaches
them, so each is carried through the layers below it only, and positions after the last target are never touched.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.frozen import FrozenLayer, FrozenModel, FrozenNorm, Latents, Neurons
from probe.progress import SILENT, Progress


@dataclass(frozen=True)
class Targets:
    """Rows to explain. layer: the block whose MLP input is read, or n_layers for logits. reader acts after the norm there."""

    layer: Int[Tensor, " row"]
    pos: Int[Tensor, " row"]
    reader: Float[Tensor, "row d_model"]

    def __len__(self) -> int:
        return len(self.layer)

    def take(self, rows: Tensor) -> "Targets":
        """A subset of rows."""
        return Targets(self.layer[rows], self.pos[rows], self.reader[rows])


@dataclass(frozen=True)
class Sources:
    """Columns: the units of each layer chosen as nodes. layer, pos, unit are parallel, sorted by layer."""

    layer: Int[Tensor, " unit"]
    pos: Int[Tensor, " unit"]
    unit: Int[Tensor, " unit"]

    def __len__(self) -> int:
        return len(self.layer)


@dataclass(frozen=True)
class Rows:
    """Edges into each target, by kind of source; `bias` takes a layer's attention, norm and MLP biases together."""

    token: Float[Tensor, "row pos"]
    position: Float[Tensor, "row pos"]
    bias: Float[Tensor, "row layer pos"]
    rest: Float[Tensor, "row layer pos"]
    error: Float[Tensor, "row layer pos"]
    unit: Float[Tensor, "row unit"]


def edges(
    frozen: FrozenModel, targets: Targets, sources: Sources, *, memory: int = 1 << 28, progress: Progress = SILENT
) -> Rows:
    """Edges from every source into every target, in groups of targets whose cotangents fit in `memory` bytes."""
    n, length = len(targets), frozen.length
    d_model, item = frozen.embed.shape[1], frozen.embed.element_size()
    group = max(1, min(n, memory // (6 * length * d_model * item)))
    rests = [_rest(layer.mlp, sources, i, length) for i, layer in enumerate(frozen.layers)]
    # Groups share a range of positions, so that early targets never pay for late positions.
    order = torch.argsort(targets.pos * (len(frozen.layers) + 1) + (len(frozen.layers) - targets.layer))
    out = _empty(frozen, n, len(sources))
    with progress.stage("edges", total=n, unit="target") as step:
        for rows in order.split(group):
            _sweep(frozen, targets.take(rows), sources, rests, out, rows)
            step(len(rows))
    return out


def _empty(frozen: FrozenModel, n: int, n_units: int) -> Rows:
    t, layers, like = frozen.length, len(frozen.layers), frozen.embed
    zeros = [like.new_zeros(n, *shape) for shape in ((t,), (t,), (layers, t), (layers, t), (layers, t), (n_units,))]
    return Rows(*zeros)


def _rest(mlp: Neurons | Latents, sources: Sources, layer: int, length: int) -> Float[Tensor, "pos d_model"]:
    """What the units of a layer that are not nodes write, all together."""
    mine = sources.layer == layer
    left = mlp.activation.clone()
    left[sources.pos[mine], sources.unit[mine]] = 0
    return left @ mlp.writer


def _sweep(
    frozen: FrozenModel, targets: Targets, sources: Sources, rests: list[Tensor], out: Rows, rows: Tensor
) -> None:
    """Carry one group of targets down and write its edges into `out[rows]`."""
    by_layer = torch.argsort(targets.layer, descending=True, stable=True)
    targets, rows = targets.take(by_layer), rows[by_layer]
    length, n_layers = int(targets.pos.max()) + 1, len(frozen.layers)
    G = frozen.embed.new_zeros(len(targets), length, frozen.embed.shape[1])
    active = _join(G, targets, n_layers, frozen.ln_final, 0)
    for i in range(n_layers - 1, -1, -1):
        layer, live = frozen.layers[i], rows[:active]
        if active:
            G[:active], extra = _through_mlp(layer, G[:active], sources, i, rests[i], out, live, length)
        joined = active if layer.parallel else _join(G, targets, i, layer.ln2, active)
        if joined:
            back = _through_attention(layer, G[:joined], i, out, rows[:joined], length)
            G[:joined] += back
        if active and layer.parallel and extra is not None:
            G[:active] += extra
        active = _join(G, targets, i, layer.ln2, active) if layer.parallel else joined
    out.token[rows, :length] = torch.einsum("rpd,pd->rp", G, frozen.embed[:length])
    if frozen.pos_embed is not None:
        out.position[rows, :length] = torch.einsum("rpd,pd->rp", G, frozen.pos_embed[:length])


def _join(G: Tensor, targets: Targets, layer: int, norm: FrozenNorm | None, active: int) -> int:
    """Set the cotangents of the targets that read at `layer`; returns how many rows are active now."""
    count = int((targets.layer >= layer).sum())
    if count > active:
        new = slice(active, count)
        pos = targets.pos[new]
        back = targets.reader[new] if norm is None else norm.adjoint_at(targets.reader[new], pos)
        G[torch.arange(active, count, device=G.device), pos] = back
    return count


def _through_mlp(
    layer: FrozenLayer, G: Tensor, sources: Sources, index: int, rest: Tensor, out: Rows, rows: Tensor, length: int
) -> tuple[Tensor, Tensor | None]:
    """Collect edges from the layer's MLP; returns the cotangent before it, and the skip's part apart for parallel blocks."""
    inner = G if layer.ln2_post is None else layer.ln2_post.adjoint(G)
    out.rest[rows, index, :length] = torch.einsum("rpd,pd->rp", inner, rest[:length])
    if isinstance(layer.mlp, Latents):
        out.error[rows, index, :length] = torch.einsum("rpd,pd->rp", inner, layer.mlp.error[:length])
    bias = inner @ layer.mlp.b_out
    if layer.ln2_post is not None:
        bias = bias + G @ layer.ln2_post.bias
    out.bias[rows, index, :length] += bias
    for p in range(length):
        mine = ((sources.layer == index) & (sources.pos == p)).nonzero()[:, 0]
        if len(mine):
            unit = sources.unit[mine]
            writes = layer.mlp.writer[unit] * layer.mlp.activation[p, unit, None]
            out.unit[rows[:, None], mine] = inner[:, p] @ writes.T
    skip = layer.mlp.skip_adjoint(inner) if isinstance(layer.mlp, Latents) else None
    if skip is None:
        return G, None
    back = skip if layer.ln2 is None else layer.ln2.adjoint(skip)
    return (G, back) if layer.parallel else (G + back, None)


def _through_attention(layer: FrozenLayer, G: Tensor, index: int, out: Rows, rows: Tensor, length: int) -> Tensor:
    """Collect edges from the layer's attention biases; returns what attention adds to the cotangent before it."""
    inner = G if layer.ln1_post is None else layer.ln1_post.adjoint(G)
    bias = inner @ layer.attn.bias
    if layer.ln1_post is not None:
        bias = bias + G @ layer.ln1_post.bias
    out.bias[rows, index, :length] += bias
    back = layer.attn.adjoint(inner)
    return back if layer.ln1 is None else layer.ln1.adjoint(back)


def total_attribution(
    frozen: FrozenModel, targets: Targets, weight: Float[Tensor, " row"]
) -> list[Float[Tensor, "pos unit"]]:
    """How much every unit matters to logit targets: sum over targets of weight * |total attribution|, per layer.

    Total means through all paths of the frozen model, MLPs included: one sweep gives activation times the cotangent of the
    write for all units. Paths of opposite sign cancel in it, as they do in the model.
    """
    G = frozen.embed.new_zeros(len(targets), frozen.length, frozen.embed.shape[1])
    _join(G, targets, len(frozen.layers), frozen.ln_final, 0)
    found: list[Tensor] = []
    for layer in reversed(frozen.layers):
        inner = G if layer.ln2_post is None else layer.ln2_post.adjoint(G)
        found.append(torch.einsum("rpu,r->pu", ((inner @ layer.mlp.writer.T) * layer.mlp.activation).abs(), weight))
        back = layer.mlp.adjoint(inner)
        back = back if layer.ln2 is None else layer.ln2.adjoint(back)
        mid = G if layer.parallel else G + back
        attn = mid if layer.ln1_post is None else layer.ln1_post.adjoint(mid)
        attn = layer.attn.adjoint(attn)
        G = mid + (attn if layer.ln1 is None else layer.ln1.adjoint(attn)) + (back if layer.parallel else 0)
    return found[::-1]
