"""Each edge of a path as a product: what the weights say for every input, times what this input adds.

    edge = [ u . (pulled back through the heads between) r ]  x  activation x attention weights x gate / divisors of norms
             input-invariant: `circuits.weights.units`           input-dependent: read off the frozen prompt

The first factor is computed from the model's parameters by other code than the edge itself, so that their product being the
edge is a test of both. A gated neuron has two readers, each with its own first factor and gate (half of the product each).
Errors of dictionaries, what an SAE of an MLP's output reads, and the open end of a path that stops at a head are not of that
form: their edges have no factors.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from circuits.replacement import points
from circuits.replacement.linear import FrozenNorm
from circuits.replacement.units import Latents, Neurons
from circuits.weights.children import STEPS, UNITS, Parts, PathNode
from circuits.weights.record import Factor, PathEdge
from circuits.weights.through_heads import pull_back
from circuits.weights.units import Bank, WeightView, folded, norm_of
from probe.model.norms import NormParts
from probe.model.unit_names import UnitName

if TYPE_CHECKING:
    from circuits.weights.paths import Stop


def factor_edges(parts: Parts, view: WeightView, chain: "Sequence[Stop]") -> tuple[PathEdge, ...]:
    """One edge from each unit, leaf or open end to the unit (or root) before it; heads and skips lie between."""
    edges: list[PathEdge] = []
    target, between = chain[0], []
    for stop in chain[1:]:
        if stop.node.kind in STEPS and stop is not chain[-1]:
            between.append(stop.node)
            continue
        edges.append(_edge(parts, view, target.node, between, stop))
        target, between = stop, []
    return tuple(edges)


def _edge(parts: Parts, view: WeightView, target: PathNode, between: list[PathNode], end: "Stop") -> PathEdge:
    weight = end.edge
    attention = tuple(float(_pattern(parts, n)) for n in between if n.kind == "head")
    bare = PathEdge(
        source=end.node,
        target=target,
        between=tuple(between),
        weight=weight,
        factors=(),
        activation=None,
        attention=attention,
        divisor=None,
    )
    if end.node.kind in (*STEPS, "error"):
        return bare
    readers = _readers(parts, view, target)
    if readers is None:
        return bare
    divisor = _divisor(parts.frozen.ln_final if target.kind == "logit" else _read_norm(parts, target), target.pos)
    rows = {name: row for name, (row, _) in readers.items()}
    for node in between:
        rows = {name: _back(view, node, row) for name, row in rows.items()}
        divisor *= _between_divisor(parts, node)
    write, own = _write(parts, view, end.node)
    factors = tuple(Factor(n, float(rows[n][0] @ write), gate) for n, (_, gate) in readers.items())
    activation = parts.activation(end.node) if end.node.kind in UNITS else 1.0
    return PathEdge(
        source=end.node,
        target=target,
        between=tuple(between),
        weight=weight,
        factors=factors,
        activation=activation,
        attention=attention,
        divisor=divisor * own,
    )


def _pattern(parts: Parts, node: PathNode) -> Tensor:
    return parts.frozen.layers[node.layer].attn.pattern[node.unit, node.pos, node.key]


def _divisor(norm: FrozenNorm | None, pos: int) -> float:
    return 1.0 if norm is None else float(norm.scale[pos, 0])


def _read_norm(parts: Parts, node: PathNode) -> FrozenNorm | None:
    layer = parts.frozen.layers[node.layer]
    return None if parts.units(node) is not layer.mlp else layer.mlp_norm


def _readers(parts: Parts, view: WeightView, target: PathNode) -> dict[str, tuple[Tensor, float]] | None:
    """What the target reads by its weights, and the gate on each reader; None where weights alone do not say it."""
    if target.kind == "logit":
        norm = getattr(view.model, "ln_final", None)
        row = (parts.frozen.W_U[:, target.unit] - parts.frozen.W_U.mean(1))[None]
        frozen = parts.frozen.ln_final
        parts_of = None if norm is None or frozen is None else NormParts(frozen.weight, frozen.bias, frozen.centred)
        return {"logit": (folded(parts_of, row), 1.0)}
    bank = _bank(view, target)
    if bank.read_point is None:
        return None
    rows = bank.readers(torch.tensor([target.unit], device=view.model.W_E.device))
    return {name: (row.to(parts.frozen.embed), _gate(parts, target, name)) for name, row in rows.items()}


def _bank(view: WeightView, node: PathNode) -> Bank:
    return view.bank(UnitName(node.layer, node.kind, node.unit))


def _gate(parts: Parts, node: PathNode, reader: str) -> float:
    units = parts.units(node)
    if not isinstance(units, Neurons):
        return 1.0
    weight = units.gate_weight if reader == "gate" else units.in_weight
    assert weight is not None
    return float(weight[node.pos, node.unit])


def _back(view: WeightView, node: PathNode, row: Tensor) -> Tensor:
    """A reader before a head or a skip, by weights."""
    if node.kind == "head":
        return pull_back(view.model, row, node.layer, node.unit)
    placed = view.placed[node.layer]
    after, raw = placed.write.kind == "mlp_write", placed.read.kind == "resid_mid"
    back = folded(None if after else norm_of(view.model, "ln2_post", node.layer), row)
    back = back @ placed.dictionary.W_skip.detach().to(row)
    return folded(None if raw else norm_of(view.model, "ln2", node.layer), back)


def _between_divisor(parts: Parts, node: PathNode) -> float:
    layer = parts.frozen.layers[node.layer]
    if node.kind == "head":
        return _divisor(layer.ln1_post, node.pos) * _divisor(layer.ln1, node.key)
    return _divisor(layer.write_norm, node.pos) * _divisor(layer.mlp_norm, node.pos)


def _write(parts: Parts, view: WeightView, node: PathNode) -> tuple[Tensor, float]:
    """What a source adds to the stream by weights at activation 1, and the divisor of the norm after it."""
    frozen = parts.frozen
    if node.kind == "token":
        return frozen.embed[node.pos], 1.0
    if node.kind == "position":
        assert frozen.pos_embed is not None
        return frozen.pos_embed[node.pos], 1.0
    if node.kind == "bias":
        return _bias(parts, node)
    units, layer = parts.units(node), frozen.layers[node.layer]
    last = int(node.part[1:]) if node.part else node.layer
    written = _bank(view, node).writes
    at = next(w for w in written if len(written) == 1 or w.point == points.mlp_writes(last))
    row = at.rows[node.unit].detach().to(frozen.embed)
    inside = units is layer.mid or units is layer.post
    return row if at.norm is None else at.norm.scaled(row), (
        1.0 if inside else _divisor(frozen.layers[last].write_norm, node.pos)
    )


def _bias(parts: Parts, node: PathNode) -> tuple[Tensor, float]:
    layer = parts.frozen.layers[node.layer]
    if node.part == "SAE":
        units = layer.mid if layer.mid is not None else layer.post
        assert isinstance(units, Latents)
        return units.b_out, 1.0
    vector, norm = {
        "attention": (layer.attn.bias, layer.ln1_post),
        "MLP": (layer.mlp.b_out, layer.write_norm),
        "attention post-norm": (None, layer.ln1_post),
        "MLP post-norm": (None, layer.write_norm),
    }[node.part]
    if vector is None:
        assert norm is not None
        return norm.bias, 1.0
    if norm is None:
        return vector, 1.0
    return NormParts(norm.weight, norm.bias, norm.centred).scaled(vector), _divisor(norm, node.pos)
