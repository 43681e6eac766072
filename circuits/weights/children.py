"""What one reading of the residual stream is made of, head by head and source token by source token, with nothing left out.

A reading is a vector g at one point and position of the frozen model (`circuits.replacement.frozen`). The stream there is a
sum of writes, so

    g . stream = sum over units of a (g . w)                       neurons and latents of earlier layers, same position
               + sum over heads h and keys k of A[h, p, k] (x[k] . W_V W_O g)      what each head brings from each token
               + embedding + position + biases + errors of dictionaries + skips of transcoders

norms included. An SAE in the stream ends the sum: behind it the stream is its latents, its bias and its error. Each head and key
is again a reading, of the stream before that layer at the key's position, and each unit is one of what its encoder reads.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.replacement import points
from circuits.replacement.frozen import FrozenLayer, FrozenModel
from circuits.replacement.linear import FrozenNorm
from circuits.replacement.units import Latents, Neurons
from probe.model.unit_names import unit_name

UNITS = ("neuron", "latent")
STEPS = ("head", "skip")
"Kinds that carry the stream on and are linear in it whatever the prompt; the other kinds but units are leaves."


@dataclass(frozen=True)
class Reading:
    """vector: in the stream's own coordinates, at this point (`circuits.replacement.points`) and position."""

    point: int
    pos: int
    vector: Float[Tensor, " d_model"]


@dataclass(frozen=True)
class PathNode:
    """One stop of a path. kind: neuron, latent, head, skip, token, position, bias, error, constant; or logit for a root. unit: of
    a head its number, of a token its id. key: the position a head reads. part: which bias; the layer whose MLP output a
    cross-layer latent writes to, where that is not its own."""

    kind: str
    layer: int
    pos: int
    unit: int = -1
    key: int = -1
    part: str = ""

    def name(self, tokens: list[str]) -> str:
        """`L5N120@3`, `L5H2@7←3`, `embed@3 ' is'`, `L5 MLP bias@3`."""
        if self.kind == "logit":
            return f"logit@{self.pos} {self.part!r}"
        if self.kind in ("token", "position"):
            return f"{'embed' if self.kind == 'token' else 'position'}@{self.pos} {tokens[self.pos]!r}"
        if self.kind == "head":
            return f"{unit_name('head', self.layer, self.unit, self.pos)}←{self.key}"
        if self.kind in UNITS:
            written = f"→{self.part}" if self.part else ""
            return unit_name(self.kind, self.layer, self.unit, self.pos) + written
        return f"L{self.layer} {self.part} {self.kind}@{self.pos}".replace("  ", " ")


@dataclass(frozen=True)
class Group:
    """Children of one kind and layer: their shares, flat, and what the i-th of them is."""

    values: Float[Tensor, " child"]
    node: Callable[[int], PathNode]


@dataclass(frozen=True)
class Parts:
    """A frozen prompt as sums of writes. token_ids: of the prompt."""

    frozen: FrozenModel
    token_ids: list[int]

    @cached_property
    def streams(self) -> dict[int, Float[Tensor, "pos d_model"]]:
        """The stream where attention and MLPs read, rebuilt from the frozen pieces alone."""
        x, found = self.frozen.embed, {}
        x = x if self.frozen.pos_embed is None else x + self.frozen.pos_embed
        for i, layer in enumerate(self.frozen.layers):
            found[points.attention_reads(i)] = x
            out = layer.attn.forward(_forward(layer.ln1, x)) + layer.attn.bias
            attended = _forward(layer.ln1_post, out, bias=True)
            middle = x if layer.parallel else x + attended
            if layer.mid is not None:
                middle = _output(layer.mid)
            found[points.mlp_reads(i, layer.parallel)] = middle
            x = middle + (attended if layer.parallel else 0) + self._mlp(i, middle)
            if layer.post is not None:
                x = _output(layer.post)
        return found

    def _mlp(self, i: int, x: Float[Tensor, "pos d_model"]) -> Float[Tensor, "pos d_model"]:
        layer = self.frozen.layers[i]
        out = _output(layer.mlp)
        for earlier in self.frozen.layers[:i]:
            if isinstance(earlier.mlp, Latents) and i in earlier.mlp.later:
                out = out + earlier.mlp.activation @ earlier.mlp.later[i]
        if isinstance(layer.mlp, Latents) and layer.mlp.W_skip is not None:
            out = out + _forward(layer.mlp_norm, x) @ layer.mlp.W_skip.T
        return _forward(layer.write_norm, out, bias=True)

    def unit_reading(self, node: PathNode) -> tuple[Reading, float]:
        """What a unit reads, and the constant no write explains."""
        layer, at = self.frozen.layers[node.layer], self.units(node)
        vector = at.readers(*(torch.tensor([x], device=self.frozen.embed.device) for x in (node.pos, node.unit)))[0]
        point = points.mlp_reads(node.layer, layer.parallel)
        if at is layer.mid or at is layer.post:
            point = points.mid(node.layer) if at is layer.mid else points.mlp_writes(node.layer)
        else:
            vector = back_at(layer.mlp_norm, vector, node.pos)
        constant = at.constant.expand_as(at.activation)[node.pos, node.unit]
        return Reading(point, node.pos, vector), float(constant)

    def units(self, node: PathNode) -> Neurons | Latents:
        layer = self.frozen.layers[node.layer]
        at = layer.mid if layer.mid is not None else layer.post if layer.post is not None else layer.mlp
        if node.kind == "neuron":
            at = layer.mlp
        assert isinstance(at, Neurons if node.kind == "neuron" else Latents)
        return at

    def value(self, node: PathNode) -> float:
        """What a unit's reading and constant sum to: activation of a neuron, pre-activation of a latent."""
        return float(self.units(node).value[node.pos, node.unit])

    def activation(self, node: PathNode) -> float:
        """What a unit writes with."""
        return float(self.units(node).activation[node.pos, node.unit])

    def onward(self, node: PathNode, reading: Reading) -> Reading:
        """The reading that a head or a skip hands on: its share is that reading of the stream."""
        layer = self.frozen.layers[node.layer]
        if node.kind == "head":
            attn = layer.attn
            inner = back_at(layer.ln1_post, reading.vector, node.pos)
            back = attn.W_V[node.unit // attn.group] @ (attn.W_O[node.unit] @ inner)
            vector = attn.pattern[node.unit, node.pos, node.key] * back_at(layer.ln1, back, node.key)
            return Reading(points.attention_reads(node.layer), node.key, vector)
        assert isinstance(layer.mlp, Latents) and layer.mlp.W_skip is not None
        back = back_at(layer.write_norm, reading.vector, node.pos) @ layer.mlp.W_skip
        return Reading(points.mlp_reads(node.layer, layer.parallel), node.pos, back_at(layer.mlp_norm, back, node.pos))

    def write_of(self, node: PathNode, reading: Reading) -> float:
        """What a unit writes at activation 1, as this reading sees it."""
        layer, at = self.frozen.layers[node.layer], self.units(node)
        if at is layer.mid or at is layer.post:
            return float(at.writer[node.unit] @ reading.vector)
        last = int(node.part[1:]) if node.part else node.layer
        rows = at.later[last] if node.part and isinstance(at, Latents) else at.writer
        return float(rows[node.unit] @ back_at(self.frozen.layers[last].write_norm, reading.vector, node.pos))

    def children(self, reading: Reading) -> list[Group]:
        """All that the stream is made of at a reading; the values of all groups sum to it."""
        return list(self._children(reading))

    def _children(self, reading: Reading) -> Iterator[Group]:
        for i in range(len(self.frozen.layers) - 1, -1, -1):
            layer = self.frozen.layers[i]
            if layer.post is not None and points.behind(points.mlp_writes(i)) <= reading.point:
                yield from self._in_stream(i, layer.post, reading)
                return
            if points.mlp_writes(i) <= reading.point:
                yield from self._from_mlp(i, layer, reading)
            if layer.mid is not None and points.behind(points.mid(i)) <= reading.point:
                yield from self._in_stream(i, layer.mid, reading)
                return
            if points.attention_writes(i, layer.parallel) <= reading.point:
                yield from self._from_attention(i, layer, reading)
        yield _leaf(reading.vector, self.frozen.embed, PathNode("token", -1, reading.pos, self.token_ids[reading.pos]))
        if self.frozen.pos_embed is not None:
            yield _leaf(reading.vector, self.frozen.pos_embed, PathNode("position", -1, reading.pos))

    def _in_stream(self, i: int, units: Latents, reading: Reading) -> Iterator[Group]:
        yield from self._from_units(i, units, reading.vector, reading.pos)
        yield _leaf(reading.vector, units.error, PathNode("error", i, reading.pos, part="SAE"))
        yield _leaf(reading.vector, units.b_out, PathNode("bias", i, reading.pos, part="SAE"))

    def _from_mlp(self, i: int, layer: FrozenLayer, reading: Reading) -> Iterator[Group]:
        pos, g = reading.pos, back_at(layer.write_norm, reading.vector, reading.pos)
        yield from self._from_units(i, layer.mlp, g, pos)
        for j, earlier in enumerate(self.frozen.layers[:i]):
            if isinstance(earlier.mlp, Latents) and i in earlier.mlp.later:
                yield from self._from_units(j, earlier.mlp, g, pos, earlier.mlp.later[i], f"L{i}")
        yield _leaf(g, layer.mlp.b_out, PathNode("bias", i, pos, part="MLP"))
        if layer.write_norm is not None:
            yield _leaf(reading.vector, layer.write_norm.bias, PathNode("bias", i, pos, part="MLP post-norm"))
        if isinstance(layer.mlp, Latents):
            yield _leaf(g, layer.mlp.error, PathNode("error", i, pos, part="MLP"))
            if layer.mlp.W_skip is not None:
                skip = PathNode("skip", i, pos)
                onward = self.onward(skip, reading)
                value = onward.vector @ self.streams[onward.point][pos]
                yield Group(value[None], lambda _, node=skip: node)

    def _from_units(
        self, i: int, units: Neurons | Latents, g: Tensor, pos: int, rows: Tensor | None = None, part: str = ""
    ) -> Iterator[Group]:
        """Units that are on at this position: a dictionary's silent latents need no product."""
        rows, activation = units.writer if rows is None else rows, units.activation[pos]
        on = activation.nonzero()[:, 0]
        kind = "neuron" if isinstance(units, Neurons) else "latent"
        values = (rows @ g)[on] if len(on) > len(rows) // 2 else rows[on] @ g
        yield Group(values * activation[on], lambda n: PathNode(kind, i, pos, int(on[n]), part=part))

    def _from_attention(self, i: int, layer: FrozenLayer, reading: Reading) -> Iterator[Group]:
        attn, pos = layer.attn, reading.pos
        g = back_at(layer.ln1_post, reading.vector, pos)
        z = attn.W_O @ g
        back = einsum(attn.W_V.repeat_interleave(attn.group, 0), z, "head d_model d_head, head d_head -> head d_model")
        read = _forward(layer.ln1, self.streams[points.attention_reads(i)])[: pos + 1]
        values = attn.pattern[:, pos, : pos + 1] * (back @ read.T)
        yield Group(values.flatten(), lambda n: PathNode("head", i, pos, n // (pos + 1), n % (pos + 1)))
        yield _leaf(g, attn.bias, PathNode("bias", i, pos, part="attention"))
        if layer.ln1_post is not None:
            yield _leaf(reading.vector, layer.ln1_post.bias, PathNode("bias", i, pos, part="attention post-norm"))


def _leaf(g: Float[Tensor, " d_model"], write: Tensor, node: PathNode) -> Group:
    """A write that nothing stands behind; `write` may hold a row for every position."""
    return Group((g @ (write[node.pos] if write.ndim == 2 else write))[None], lambda _: node)


def _output(units: Neurons | Latents) -> Float[Tensor, "pos d_model"]:
    out = units.activation @ units.writer + units.b_out
    return out + units.error if isinstance(units, Latents) else out


def _forward(norm: FrozenNorm | None, x: Float[Tensor, "pos d_model"], *, bias: bool = False) -> Tensor:
    if norm is None:
        return x
    return norm.forward(x) + norm.bias if bias else norm.forward(x)


def back_at(norm: FrozenNorm | None, g: Float[Tensor, " d_model"], pos: int) -> Float[Tensor, " d_model"]:
    """Transpose of a frozen norm at one position."""
    return g if norm is None else norm.adjoint_at(g[None], torch.tensor([pos], device=g.device))[0]
