"""From the rows of a sweep to a graph: nodes in topological order, one sparse list of edges, and the conservation residual."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuits.attribution.choosing import Basis
from circuits.attribution.sources import HEADS, MLP, Sources, Targets
from circuits.attribution.sweep import Rows
from circuits.attribution.target_tokens import Roots
from circuits.attribution.unit_readers import Explained
from circuits.graph.graph import KINDS, Edges, Nodes
from circuits.replacement.frozen import FrozenModel, stream_at

_OF_TERMS = 0.1
"""Rounding of the products that a reader adds up stays below 3e-7 of them, that of edges may reach 1e-5 (norms in between). So
products count for a tenth: else a stream with a large constant in it would let a wrong edge through."""


@dataclass(frozen=True)
class Assembled:
    """Parts of a `CircuitGraph`: nodes, edges, and per node its constant, root weight and token text."""

    nodes: Nodes
    edges: Edges
    constant: Float[np.ndarray, " node"]
    weight: Float[np.ndarray, " node"]
    residual: float
    relative: float
    excess: float
    """Largest gap relative to what rounding is relative to: the sum of edges, or a tenth of the products a reader adds up."""


def assemble(
    frozen: FrozenModel,
    basis: Basis,
    sources: Sources,
    explained: Explained,
    roots: Roots,
    rows: Rows,
    ids: list[int],
    first: bool,
) -> Assembled:
    """Leaves that send something, then units, then roots."""
    leaves, keep = _leaves(rows, ids, first)
    units = _units(frozen, basis, sources, explained)
    ends = _roots(frozen, roots)
    nodes = _joined([leaves, units, ends])
    n_leaves = len(leaves)
    constant = torch.cat([explained.constant, roots.constant]).double().cpu().numpy()
    weight = roots.weight.double().cpu().numpy()
    edges, incoming, size = _edges(rows.matrix, keep, n_leaves)
    residual, relative = _residual(incoming, size, nodes.value[n_leaves:], constant)
    terms = _terms(frozen, explained.targets.join(roots.targets))
    _, excess = _residual(incoming, np.maximum(size, _OF_TERMS * terms), nodes.value[n_leaves:], constant)
    said = np.r_[np.zeros(n_leaves), constant], np.r_[np.zeros(len(nodes) - len(weight)), weight]
    return Assembled(nodes, edges, *said, residual, relative, excess)


def _terms(frozen: FrozenModel, targets: Targets) -> np.ndarray:
    """Sum over dimensions of |reader| |stream| for each target: where products cancel within an edge, the model's own rounding
    is of their size, not of the edges'. 0 for heads, which read many positions."""
    found = targets.reader.new_zeros(len(targets))
    for point in targets.point.unique().tolist():
        rows = torch.nonzero((targets.point == point) & (targets.head < 0)).flatten()
        stream = stream_at(frozen, point)[targets.pos[rows]]
        found[rows] = (targets.reader[rows] * stream).abs().sum(1)
    return found.double().cpu().numpy()


def _joined(parts: list[Nodes]) -> Nodes:
    return Nodes(*(np.concatenate([getattr(p, n) for p in parts]) for n in Nodes.__dataclass_fields__))


def _leaves(rows: Rows, ids: list[int], first: bool) -> tuple[Nodes, Int[np.ndarray, " column"]]:
    """Embeddings, then per layer its bias, rest and error; and for every column of the matrix its node, -1 for none.

    Leaves that send nothing anywhere are left out. With `first`, rest and error of position 0 are one node a layer.
    """
    n_layers, length = rows.rest.shape[1:]
    kind, layer, pos = _leaf_arrays(n_layers, length)
    if first:
        early = (pos == 0) & np.isin(kind, [KINDS.index("rest"), KINDS.index("error")])
        kind = np.where(early, KINDS.index("first"), kind)
    unit = np.where(kind == KINDS.index("token"), np.tile(np.array(ids), len(kind) // length), -1)
    used = (rows.matrix[:, : len(kind)] != 0).any(0).cpu().numpy()
    keys = np.stack([kind, layer, pos], 1)
    _, first_column, which = np.unique(keys[used], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first_column)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    node = np.full(len(kind), -1, np.int64)
    node[used] = rank[which.reshape(-1)]
    kept = np.flatnonzero(used)[first_column[order]]
    nan = np.full(len(kept), np.nan)
    return Nodes(kind[kept], layer[kept], pos[kept], unit[kept], nan, nan), node


def _leaf_arrays(n_layers: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind, layer and position of the matrix's columns before those of units."""
    kind = [np.full(length, KINDS.index(k)) for k in ("token", "position")]
    kind += [np.full(n_layers * length, KINDS.index(k)) for k in ("bias", "rest", "error")]
    layer = [np.full(2 * length, -1), np.tile(np.repeat(np.arange(n_layers), length), 3)]
    return np.concatenate(kind), np.concatenate(layer), np.tile(np.arange(length), 2 + 3 * n_layers)


def _units(frozen: FrozenModel, basis: Basis, sources: Sources, explained: Explained) -> Nodes:
    layer, role, unit = (t.cpu().numpy() for t in (sources.layer, sources.role, sources.unit))
    names = {"neurons": "neuron", "latents": "latent", "mlp": "mlp"}
    of_mlp = np.array([KINDS.index(names[n]) for n in basis.mlp])[layer]
    kind = np.where(role == MLP, of_mlp, np.where(role == HEADS, KINDS.index("head"), KINDS.index("latent")))
    value, activation = (t.double().cpu().numpy() for t in (explained.value, explained.activation))
    return Nodes(kind, layer, sources.pos.cpu().numpy(), unit, value, activation)


def _roots(frozen: FrozenModel, roots: Roots) -> Nodes:
    n = len(roots)
    kind = np.array([KINDS.index(k) for k in roots.kind])
    layer, pos = np.full(n, len(frozen.layers)), roots.targets.pos.cpu().numpy()
    value = roots.value.double().cpu().numpy()
    return Nodes(kind, layer, pos, roots.unit.cpu().numpy(), value, np.full(n, np.nan))


def _edges(matrix: Tensor, node: np.ndarray, n_leaves: int) -> tuple[Edges, np.ndarray, np.ndarray]:
    """Edges that are not zero; per target the sum of its edges and of their absolute values, before columns were merged.

    Rows go by in blocks, so that beside the matrix only the list itself is held.
    """
    n_columns = matrix.shape[1]
    column = np.r_[node, n_leaves + np.arange(n_columns - len(node))].astype(np.int32)
    merged = _merged(node)
    found, incoming, size = [], [], []
    for start in range(0, len(matrix), 256):
        block = matrix[start : start + 256].cpu().numpy()
        incoming.append(block.sum(1, dtype=np.float64))
        size.append(np.abs(block).sum(1, dtype=np.float64))
        for into, others in merged:
            block[:, into] += block[:, others].sum(1)
            block[:, others] = 0
        row, source = np.nonzero(block)
        found.append((column[source], (row + start + n_leaves).astype(np.int32), block[row, source]))
    parts = (np.concatenate(p) for p in zip(*found, strict=True))
    return Edges(*parts), np.concatenate(incoming), np.concatenate(size)


def _merged(node: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Columns that share a node: the first, and the others."""
    used = np.flatnonzero(node >= 0)
    counts = np.bincount(node[used]) if len(used) else np.array([], int)
    groups = [np.flatnonzero(node == n) for n in np.flatnonzero(counts > 1)]
    return [(int(g[0]), g[1:]) for g in groups]


def _residual(incoming: np.ndarray, size: np.ndarray, value: np.ndarray, constant: np.ndarray) -> tuple[float, float]:
    """Largest gap between a value and its sum, absolute and relative to the size of the sum (see `CircuitGraph`)."""
    gap = np.abs(incoming + constant - value)
    size = np.maximum(np.maximum(np.abs(value), size + np.abs(constant)), 1e-30)
    # NaN must count as the largest gap, and numpy's maximum keeps it.
    return float(np.max(gap, initial=0.0)), float(np.max(gap / size, initial=0.0))


def convention(basis: Basis, roots: Roots, capped: bool, first: bool, facts: dict[str, Any]) -> dict[str, Any]:
    """Every choice that changes a number, ready for JSON."""
    return {
        "conservation_residual": "largest |value - constant - incoming edges| / (|constant| + incoming |edges|)",
        "frozen": "attention patterns, norm divisors, activation ratios",
        "gated_mlp_rule": "half",
        "basis": basis.name,
        "basis_by_layer": list(basis.mlp),
        "heads": sorted(basis.heads),
        "first_position": "merged" if first else "kept",
        "component_value": "contribution to the roots, weighted by probability, through all paths of the frozen model",
        "logits": "demeaned over the vocabulary" + (", before the soft-cap" if capped else ""),
        "directions": roots.described,
        "unit_choice": "total attribution through the frozen model, absolute, weighted by probability; active latents first",
        "edge_sign": "positive raises the target's value",
        **facts,
    }
