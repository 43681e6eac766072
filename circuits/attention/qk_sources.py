"""What every source adds to one query and one key: rows Q_s and K_s, by carrying the head's readers down once.

Sources are the nodes of a graph that write before the layer, the units that matter most to this score (taken out of the
graph's `rest` nodes), and the head's own biases. A part of the stream that no node of the graph writes, because it reaches
none of the graph's roots, is kept as one source and its size said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from circuits.attention.flow import Flow, entering_at
from circuits.attention.queries import FrozenQueries
from circuits.attribution.sources import MLP, Slot
from circuits.attribution.vectors import Places, Read
from circuits.graph.graph import KINDS, CircuitGraph
from circuits.replacement import points
from circuits.replacement.units import Latents
from probe.model.unit_names import unit_name

if TYPE_CHECKING:
    from circuits.replacement.frozen import FrozenLayer


@dataclass(frozen=True)
class Score:
    """Which score: a head's query at one position against its key at another. less: other positions and how much of their
    scores is taken off; two scores of a query matter only by their difference."""

    head: int
    query: int
    key: int
    less: dict[int, float] = field(default_factory=dict)

    @property
    def keys(self) -> dict[int, float]:
        """Key positions and what each counts."""
        found = {pos: -share for pos, share in self.less.items()}
        return found | {self.key: found.get(self.key, 0.0) + 1.0}


@dataclass(frozen=True)
class ScoreSources:
    """Parallel over sources: name, kind, node of the graph (-1 if none), rows of the query and of the key. score: product of
    the whole query and the whole key as the model has them. n_taken: units taken out of `rest`. missing: size of what no
    node writes, relative to query and key."""

    names: list[str]
    kinds: list[int]
    nodes: list[int]
    query: Float[Tensor, "source d_head"]
    key: Float[Tensor, "source d_head"]
    score: float
    n_taken: int
    missing: float


@dataclass(frozen=True)
class _Units:
    """Candidates to be taken out of `rest` nodes."""

    layer: list[int]
    pos: list[int]
    unit: list[int]
    strength: Float[Tensor, " unit"]
    rows: Float[Tensor, "unit two_d_head"]


def gather(flow: Flow, graph: CircuitGraph, queries: FrozenQueries, score: Score, units: int) -> ScoreSources:
    """All sources of one score. units: at most this many are taken out of `rest`."""
    places, start = Places(flow.frozen, graph), points.attention_reads(queries.layer)
    able = np.flatnonzero(~graph.roots)
    written = [[w for w in places.writes(int(n)) if w.point <= start] for n in able]
    q_total, k_total, biases = _totals(queries, score)
    width = len(q_total)
    rows = flow.frozen.embed.new_zeros(len(able), 2 * width)
    entering = entering_at(written)
    found: list[_Units] = []
    for point, g in flow.down(_readers(queries, score, flow.frozen.length)):
        for row, write in entering.get(point, ()):
            rows[row] += g[:, write.pos] @ write.vector
        layer = points.layer_of(point)
        if units and point < start and point == points.mlp_writes(layer):
            found.append(
                _candidates(
                    flow.frozen.layers[layer], places, layer, g, (q_total, k_total), units, _least(found, units)
                )
            )
    names, kinds, nodes = [graph.name(int(n)) for n in able], [int(graph.nodes.kind[n]) for n in able], able.tolist()
    taken = _strongest(found, units)
    if taken is not None:
        _take_out(rows, graph, able, taken)
        for i, p, u in zip(taken.layer, taken.pos, taken.unit, strict=True):
            latent = isinstance(flow.frozen.layers[i].mlp, Latents)
            names.append(f"{unit_name('latent' if latent else 'neuron', i, u, p)} {graph.tokens[p]!r}")
            kinds.append(KINDS.index("latent" if latent else "neuron"))
        nodes, rows = nodes + [-1] * len(taken.unit), torch.cat([rows, taken.rows])
    rows, missing = _completed(rows, torch.cat([q_total, k_total]), biases)
    names += [
        f"L{queries.layer} query bias@{score.query}",
        f"L{queries.layer} key bias@{score.key}",
        "not in the graph",
    ]
    kinds, nodes = [*kinds, *([KINDS.index("bias")] * 2), KINDS.index("rest")], [*nodes, -1, -1, -1]
    used = (rows != 0).any(1).nonzero()[:, 0].tolist()
    return ScoreSources(
        names=[names[i] for i in used],
        kinds=[kinds[i] for i in used],
        nodes=[nodes[i] for i in used],
        query=rows[used, :width],
        key=rows[used, width:],
        score=float(q_total @ k_total),
        n_taken=0 if taken is None else len(taken.unit),
        missing=missing,
    )


def _totals(queries: FrozenQueries, score: Score) -> tuple[Tensor, Tensor, Tensor]:
    """The model's query and key (or weighted sum of keys), and their bias parts as two rows."""
    x, head, shared = queries.read(queries.stream), score.head, score.head // queries.group
    q_bias = queries.query.constant(head, score.query)
    q, none = x[score.query] @ queries.query.map(head, score.query), torch.zeros_like(q_bias)
    k, k_bias = none.clone(), none.clone()
    for pos, share in score.keys.items():
        k += share * (x[pos] @ queries.key.map(shared, pos))
        k_bias += share * queries.key.constant(shared, pos)
    return q + q_bias, k + k_bias, torch.stack([torch.cat([q_bias, none]), torch.cat([none, k_bias])])


def _readers(queries: FrozenQueries, score: Score, length: int) -> list[Read]:
    """One reader for every entry of the query, then one for every entry of the key."""
    start, q = points.attention_reads(queries.layer), queries.query_readers(score.head, score.query)
    vectors = q.new_zeros(2 * len(q), length, q.shape[1])
    vectors[: len(q), score.query] = q
    for pos, share in score.keys.items():
        vectors[len(q) :, pos] += share * queries.key_readers(score.head, pos)
    return [Read(start, v, 0.0) for v in vectors]


def _candidates(
    layer: "FrozenLayer",
    places: Places,
    index: int,
    g: Tensor,
    totals: tuple[Tensor, Tensor],
    most: int,
    least: float,
) -> _Units:
    """The units of a layer, not yet nodes, with the largest marginals: what they add to query or key, times the other.

    least: what a unit must exceed to be among the strongest of the layers seen so far.
    """
    mlp, width = layer.mlp, len(totals[0])
    inner = g if layer.write_norm is None else layer.write_norm.adjoint(g)
    if isinstance(mlp, Latents) and mlp.later:  # such a unit writes in several layers and is not taken apart
        return _Units([], [], [], inner.new_zeros(0), inner.new_zeros(0, 2 * width))
    strength = torch.zeros_like(mlp.activation)
    for part, other in ((inner[:width], totals[1]), (inner[width:], totals[0])):
        strength += (
            (einsum(part, other, "d_head pos d_model, d_head -> pos d_model") @ mlp.writer.T) * mlp.activation
        ).abs()
    mine = places.sources.at(Slot(index, MLP))
    pos, unit = places.sources.pos[mine], places.sources.unit[mine]
    strength[pos[unit < 0]] = 0
    strength[pos[unit >= 0], unit[unit >= 0]] = 0
    nodes = places.graph.nodes  # a `first` node stands for what is the same in every prompt, and stays whole
    strength[nodes.pos[nodes.where("first") & (nodes.layer == index)].tolist()] = 0
    top = strength.flatten().topk(min(most, strength.numel()))
    use = top.indices[top.values > least]
    pos, unit = use // strength.shape[1], use % strength.shape[1]
    writes = mlp.writer[unit] * mlp.activation[pos, unit, None]
    rows = einsum(inner[:, pos], writes, "d_head node d_model, node d_model -> node d_head")
    return _Units([index] * len(use), pos.tolist(), unit.tolist(), top.values[top.values > least], rows)


def _least(found: Sequence[_Units], most: int) -> float:
    """The strength of the weakest unit that would be chosen now; 0 while there are too few."""
    strength = torch.cat([f.strength for f in found]) if found else torch.zeros(0)
    return float(strength.topk(most).values[-1]) if len(strength) >= most else 0.0


def _strongest(found: Sequence[_Units], most: int) -> _Units | None:
    """The strongest candidates of all layers, in order of layer, position and unit."""
    if not any(len(f.unit) for f in found):
        return None
    lists = [[x for f in found for x in getattr(f, n)] for n in ("layer", "pos", "unit")]
    strength, rows = torch.cat([f.strength for f in found]), torch.cat([f.rows for f in found])
    chosen = strength.topk(min(most, len(strength))).indices.tolist()
    chosen.sort(key=lambda i: tuple(x[i] for x in lists))
    return _Units(*([x[i] for i in chosen] for x in lists), strength[chosen], rows[chosen])


def _take_out(rows: Tensor, graph: CircuitGraph, able: np.ndarray, taken: _Units) -> None:
    """Subtract the chosen units from the `rest` nodes that hold them."""
    nodes = graph.nodes
    held = np.flatnonzero(nodes.where("rest")[able])
    where = {(int(nodes.layer[able[r]]), int(nodes.pos[able[r]])): int(r) for r in held}
    for i, (layer, pos) in enumerate(zip(taken.layer, taken.pos, strict=True)):
        row = where.get((layer, pos))
        if row is not None:
            rows[row] -= taken.rows[i]


def _completed(rows: Tensor, total: Tensor, biases: Tensor) -> tuple[Tensor, float]:
    """The head's own biases as two more rows, and what no source explains as a last one (0 where that is rounding)."""
    rows = torch.cat([rows, biases])
    left = total - rows.sum(0)
    missing = float(left.norm() / total.norm().clamp_min(1e-30))
    # Norms and softmax that a model takes in float32 leave 1e-7 even where its weights are float64.
    rounding = missing <= (1e-4 if total.dtype == torch.float32 else 1e-6)
    return torch.cat([rows, torch.zeros_like(left)[None] if rounding else left[None]]), 0.0 if rounding else missing
