"""The residual stream of the frozen model as a linear flow: writes carried up, readers carried down.

Between a write and a reader lie the attention of every layer (patterns held), the skip connections of dictionaries, and SAEs
of the stream, which let nothing through. `Flow` takes both directions one point at a time (see `circuits.replacement.points`), so
that what passes through any one layer can be looked at on the way. Heads that are nodes of a graph are left out of its
attention: what goes through them goes through the node.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

from circuits.replacement import points
from circuits.replacement.units import Latents

if TYPE_CHECKING:
    from circuits.attribution.vectors import Read, Write
    from circuits.graph.graph import CircuitGraph
    from circuits.replacement.frozen import FrozenModel
    from circuits.replacement.linear import FrozenAttention


@dataclass(frozen=True)
class Flow:
    """A frozen model, and attention by layer without the heads that are nodes."""

    frozen: "FrozenModel"
    attention: list["FrozenAttention"]

    def zeros(self, n: int) -> Float[Tensor, "row pos d_model"]:
        """An empty stream for each of n rows."""
        return self.frozen.embed.new_zeros(n, *self.frozen.embed.shape)

    def attend(self, i: int, x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """What attention of layer i adds to the stream when it reads x, biases apart."""
        layer, attn = self.frozen.layers[i], self.attention[i]
        z = torch.matmul(attn.pattern, values(attn, x if layer.ln1 is None else layer.ln1.forward(x)))
        out = einsum(z, attn.W_O, "row head q_pos d_head, head d_head d_model -> row q_pos d_model")
        return out if layer.ln1_post is None else layer.ln1_post.forward(out)

    def attend_back(self, i: int, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Transpose of `attend`."""
        layer = self.frozen.layers[i]
        back = self.attention[i].adjoint(g if layer.ln1_post is None else layer.ln1_post.adjoint(g))
        return back if layer.ln1 is None else layer.ln1.adjoint(back)

    def skips(self, i: int) -> bool:
        """Whether layer i's dictionary has a skip connection."""
        mlp = self.frozen.layers[i].mlp
        return isinstance(mlp, Latents) and mlp.W_skip is not None

    def _W_skip(self, i: int) -> Float[Tensor, "d_model d_model"]:
        mlp = self.frozen.layers[i].mlp
        assert isinstance(mlp, Latents) and mlp.W_skip is not None
        return mlp.W_skip

    def skip(self, i: int, x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """What the skip connection of layer i's dictionary adds to the stream."""
        layer = self.frozen.layers[i]
        out = (x if layer.mlp_norm is None else layer.mlp_norm.forward(x)) @ self._W_skip(i).T
        return out if layer.write_norm is None else layer.write_norm.forward(out)

    def skip_back(self, i: int, g: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Transpose of `skip`."""
        layer = self.frozen.layers[i]
        back = (g if layer.write_norm is None else layer.write_norm.adjoint(g)) @ self._W_skip(i)
        return back if layer.mlp_norm is None else layer.mlp_norm.adjoint(back)

    def cut(self, point: int) -> bool:
        """Whether an SAE stands at this point, so that no stream passes it."""
        layer, place = points.place_of(point)
        if layer >= len(self.frozen.layers) or place not in (points.MID, points.POST):
            return False
        return getattr(self.frozen.layers[layer], "mid" if place == points.MID else "post") is not None

    def up(self, sources: Sequence[Sequence["Write"]]) -> Iterator[tuple[int, Float[Tensor, "row pos d_model"]]]:
        """Every point in order, with the stream that each source has caused there, its own writes at that point included."""
        entering = entering_at(sources)
        first = min(entering, default=1 << 30)  # before it there is nothing to carry
        x, n_layers = self.zeros(len(sources)), len(self.frozen.layers)
        pending: dict[int, Tensor] = {}
        for point in points.all_points(n_layers):
            if point and self.cut(point - 1):
                x = torch.zeros_like(x)
            if point in pending:
                x = x + pending.pop(point)
            if point in entering:
                x = x.clone()  # what was yielded before stays as it was
            for row, write in entering.get(point, ()):
                x[row, write.pos] += write.vector
            yield point, x
            layer, place = points.place_of(point)
            if point >= first and layer < n_layers and place in (points.BLOCK_IN, points.MLP_IN):
                for end, added in self._forward_steps(point, x):
                    pending[end] = added if end not in pending else pending[end] + added

    def _forward_steps(self, point: int, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """What the modules that read at this point add, and where it enters."""
        layer = points.layer_of(point)
        parallel = self.frozen.layers[layer].parallel
        if point == points.attention_reads(layer):
            yield points.attention_writes(layer, parallel), self.attend(layer, x)
        if self.skips(layer) and points.mlp_reads(layer, parallel) == point:
            yield points.mlp_writes(layer), self.skip(layer, x)

    def down(self, targets: Sequence["Read"]) -> Iterator[tuple[int, Float[Tensor, "row pos d_model"]]]:
        """Every point in reverse from where a target reads, with the cotangent of each target: how a write there is read."""
        g, n_layers = self.zeros(len(targets)), len(self.frozen.layers)
        entered: dict[int, Tensor] = {}
        top = max((t.point for t in targets), default=0)
        for point in range(top, -1, -1):
            layer, place = points.place_of(point)
            if self.cut(point):
                g = torch.zeros_like(g)
            if layer < n_layers and place in (points.BLOCK_IN, points.MLP_IN):
                for back in self._backward_steps(point, entered):
                    g = g + back
            joining = [row for row, read in enumerate(targets) if read.point == point]
            if joining:
                g = g.clone()
            for row in joining:
                g[row, : len(targets[row].vector)] += targets[row].vector
            if place in (points.MID, points.POST):
                entered[point] = g
            yield point, g

    def _backward_steps(self, point: int, entered: dict[int, Tensor]) -> Iterator[Tensor]:
        layer = points.layer_of(point)
        parallel = self.frozen.layers[layer].parallel
        read, write = points.mlp_reads(layer, parallel), points.mlp_writes(layer)
        if self.skips(layer) and read == point and write in entered:
            yield self.skip_back(layer, entered[write])
        if point == points.attention_reads(layer) and (write := points.attention_writes(layer, parallel)) in entered:
            yield self.attend_back(layer, entered[write])


def values(attn: "FrozenAttention", x: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row head pos d_head"]:
    """What every head reads at every key, repeated for heads that share it."""
    v = einsum(x, attn.W_V, "row k_pos d_model, head d_model d_head -> row head k_pos d_head")
    return v.repeat_interleave(attn.W_O.shape[0] // attn.W_V.shape[0], 1)


def flow_of(frozen: "FrozenModel", graph: "CircuitGraph | None" = None) -> Flow:
    """The flow between the nodes of a graph."""
    attention = [layer.attn for layer in frozen.layers]
    for i, taken in (_taken(frozen, graph) if graph is not None else {}).items():
        attention[i] = attention[i].without(taken)
    return Flow(frozen, attention)


def _taken(frozen: "FrozenModel", graph: "CircuitGraph") -> dict[int, Bool[Tensor, "head q_pos"]]:
    """Layer to the heads and positions that are nodes."""
    found: dict[int, Tensor] = {}
    nodes = graph.nodes
    for node in nodes.where("head").nonzero()[0]:
        i = int(nodes.layer[node])
        shape = frozen.layers[i].attn.pattern.shape[:2]
        mask = found.setdefault(i, torch.zeros(shape, dtype=torch.bool, device=frozen.embed.device))
        mask[int(nodes.unit[node]), int(nodes.pos[node])] = True
    return found


def entering_at(sources: Sequence[Sequence["Write"]]) -> dict[int, list[tuple[int, "Write"]]]:
    """Point to (row, write) of everything that enters there."""
    found: dict[int, list[tuple[int, Write]]] = {}
    for row, writes in enumerate(sources):
        for write in writes:
            found.setdefault(write.point, []).append((row, write))
    return found
