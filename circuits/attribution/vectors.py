"""From a graph's node back to vectors: what a source writes, and with what a target reads.

Whatever tests or takes apart a finished graph (interventions, head loadings, query-key attributions) needs these two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits.attribution.sources import HEADS, MID, MLP, POST, Slot, Sources
from circuits.attribution.sweep import head_writes, rest
from circuits.attribution.target_tokens import Roots, graph_roots
from circuits.attribution.total import total_attribution
from circuits.attribution.unit_readers import Explained, explain_units
from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph
from circuits.replacement import points
from circuits.replacement.frozen import FrozenLayer, FrozenModel
from circuits.replacement.linear import FrozenNorm
from circuits.replacement.units import Latents


@dataclass(frozen=True)
class Write:
    """A vector that enters the residual stream at a point (`circuits.replacement.points`) and position."""

    point: int
    pos: int
    vector: Float[Tensor, " d_model"]


@dataclass(frozen=True)
class Read:
    """A target's value = sum over positions of vector . stream at `point`, plus constant. Norms are inside."""

    point: int
    vector: Float[Tensor, "pos d_model"]
    constant: float


def slot_of(frozen: FrozenModel, kind: str, layer: int) -> Slot:
    """The slot of a unit of this kind and layer."""
    if kind == "head":
        return Slot(layer, HEADS)
    at = frozen.layers[layer]
    role = MLP if kind != "latent" or isinstance(at.mlp, Latents) else MID if at.mid is not None else POST
    return Slot(layer, role)


class Places:
    """The nodes of a graph as vectors of the frozen model it was made from."""

    def __init__(self, frozen: FrozenModel, graph: CircuitGraph):
        self.frozen, self.graph = frozen, graph
        self._rests: dict[tuple[Slot, int | None], Tensor] = {}
        nodes = graph.nodes
        mine = np.flatnonzero(nodes.where(*UNITS))
        kinds = [KINDS[k] for k in nodes.kind[mine]]
        slots = np.array(
            [slot_of(frozen, k, int(i)).number for k, i in zip(kinds, nodes.layer[mine], strict=True)], np.int64
        )
        arrays = [torch.from_numpy(np.asarray(a, np.int64)) for a in (slots, nodes.pos[mine], nodes.unit[mine])]
        order = np.lexsort((nodes.unit[mine], nodes.pos[mine], slots))
        self.units = mine[order]
        device, index = frozen.embed.device, torch.from_numpy(order)
        self.sources = Sources(*(a[index].to(device) for a in arrays))

    @cached_property
    def roots(self) -> Roots:
        """What the graph explains."""
        return graph_roots(self.frozen, self.graph)

    @cached_property
    def explained(self) -> Explained:
        """Readers, values and constants of the graph's units, in the order of `sources`."""
        totals = total_attribution(self.frozen, self.roots.targets, self.roots.weight.to(self.frozen.embed))
        return explain_units(self.frozen, self.sources, totals)

    def column(self, node: int) -> int:
        """The place of a unit among `sources`."""
        return int(np.flatnonzero(self.units == node)[0])

    def read(self, node: int) -> Read:
        """How an explained node reads the stream."""
        if KINDS[self.graph.nodes.kind[node]] in ROOTS:
            row, part = int(np.flatnonzero(np.flatnonzero(self.graph.roots) == node)[0]), self.roots
        else:
            row, part = self.column(node), self.explained
        targets, vector = part.targets, torch.zeros_like(self.frozen.embed)
        pos, head = int(targets.pos[row]), int(targets.head[row])
        if head < 0:
            vector[pos] = targets.reader[row]
        else:
            layer = self.frozen.layers[points.layer_of(int(targets.point[row]))]
            vector = layer.attn.pattern[head, pos][:, None] * targets.reader[row]
            vector = vector if layer.ln1 is None else layer.ln1.adjoint(vector)
        return Read(int(targets.point[row]), vector, float(part.constant[row]))

    def writes(self, node: int) -> list[Write]:
        """What a source adds to the residual stream, and where; biases and cross-layer latents write in several places."""
        kind, layer = KINDS[self.graph.nodes.kind[node]], int(self.graph.nodes.layer[node])
        pos, unit = int(self.graph.nodes.pos[node]), int(self.graph.nodes.unit[node])
        found = self._makers[kind](layer, pos, unit)
        return [w for w in found if bool((w.vector != 0).any())]

    @property
    def _makers(self) -> dict[str, Callable[[int, int, int], list[Write]]]:
        units = {"head": self._head, "neuron": self._neuron, "latent": self._latent, "mlp": self._mlp}
        leaves = {"rest": self._rest, "error": self._error, "first": self._first, "bias": self._bias}
        return {"token": self._token, "position": self._position, **units, **leaves}

    def _token(self, layer: int, pos: int, unit: int) -> list[Write]:
        return [Write(0, pos, self.frozen.embed[pos])]

    def _position(self, layer: int, pos: int, unit: int) -> list[Write]:
        return [] if self.frozen.pos_embed is None else [Write(0, pos, self.frozen.pos_embed[pos])]

    def _head(self, layer: int, pos: int, unit: int) -> list[Write]:
        at = self.frozen.layers[layer]
        one = torch.tensor([unit, pos], device=self.frozen.embed.device)
        vector = head_writes(at, one[:1], one[1:])[0]
        return [Write(points.attention_writes(layer, at.parallel), pos, _linear(at.ln1_post, vector, pos))]

    def _neuron(self, layer: int, pos: int, unit: int) -> list[Write]:
        mlp = self.frozen.layers[layer].mlp
        return [self._out(layer, MLP, pos, mlp.activation[pos, unit] * mlp.writer[unit])]

    def _mlp(self, layer: int, pos: int, unit: int) -> list[Write]:
        mlp = self.frozen.layers[layer].mlp
        return [self._out(layer, MLP, pos, mlp.activation[pos] @ mlp.writer)]

    def _latent(self, layer: int, pos: int, unit: int) -> list[Write]:
        role, latents = next((r, x) for r, x in _parts(self.frozen.layers[layer]) if isinstance(x, Latents))
        a = latents.activation[pos, unit]
        here = self._out(layer, role, pos, a * latents.writer[unit])
        return [here, *(self._out(m, MLP, pos, a * decoder[unit]) for m, decoder in latents.later.items())]

    def _rest(self, layer: int, pos: int, unit: int) -> list[Write]:
        found = []
        for role, units in _parts(self.frozen.layers[layer]):
            slot = Slot(layer, role)
            found.append(self._out(layer, role, pos, self._left(slot, units, None)[pos]))
            for m in units.later if isinstance(units, Latents) else ():
                found.append(self._out(m, MLP, pos, self._left(slot, units, m)[pos]))
        return found

    def _left(self, slot: Slot, units: Any, later: int | None) -> Float[Tensor, "pos d_model"]:
        """What a slot's units that are not nodes write, to their own layer or a later one; kept, since positions share it."""
        if (slot, later) not in self._rests:
            decoder = None if later is None else units.later[later]
            self._rests[slot, later] = rest(self.frozen, self.sources, slot, units, decoder)
        return self._rests[slot, later]

    def _error(self, layer: int, pos: int, unit: int) -> list[Write]:
        parts = _parts(self.frozen.layers[layer])
        return [self._out(layer, role, pos, x.error[pos]) for role, x in parts if isinstance(x, Latents)]

    def _first(self, layer: int, pos: int, unit: int) -> list[Write]:
        return self._rest(layer, pos, unit) + self._error(layer, pos, unit)

    def _bias(self, layer: int, pos: int, unit: int) -> list[Write]:
        at = self.frozen.layers[layer]
        attn = _linear(at.ln1_post, at.attn.bias, pos) + (0 if at.ln1_post is None else at.ln1_post.bias)
        found = [Write(points.attention_writes(layer, at.parallel), pos, attn)]
        for role, units in _parts(at):
            one = self._out(layer, role, pos, units.b_out)
            shift = at.write_norm.bias if role == MLP and at.write_norm is not None else 0
            found.append(Write(one.point, pos, one.vector + shift))
        return found

    def _out(self, layer: int, role: int, pos: int, vector: Tensor) -> Write:
        """The write of a slot's vector: an SAE in the stream writes behind itself, an MLP through its post-norm."""
        if role == MLP:
            return Write(points.mlp_writes(layer), pos, _linear(self.frozen.layers[layer].write_norm, vector, pos))
        return Write(points.behind(points.mid(layer) if role == MID else points.mlp_writes(layer)), pos, vector)


def _parts(layer: FrozenLayer) -> list[tuple[int, Any]]:
    """The parts of a layer that have units, with their roles."""
    found = [(MLP, layer.mlp), (MID, layer.mid), (POST, layer.post)]
    return [(role, units) for role, units in found if units is not None]


def _linear(norm: FrozenNorm | None, vector: Tensor, pos: int) -> Tensor:
    """A vector through a frozen norm at one position, without the bias."""
    if norm is None:
        return vector
    centred = vector - vector.mean() if norm.centred else vector
    return centred / norm.scale[pos] * norm.weight


def writes(frozen: FrozenModel, graph: CircuitGraph, node: int) -> list[Write]:
    """What one source of a graph writes; use `Places` for many."""
    return Places(frozen, graph).writes(node)


def reads(frozen: FrozenModel, graph: CircuitGraph, node: int) -> Read:
    """How one target of a graph reads; use `Places` for many."""
    return Places(frozen, graph).read(node)
