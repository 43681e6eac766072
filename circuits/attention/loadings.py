"""Head loadings: which attention heads carry an edge, layer by layer, exactly.

With patterns held, a write reaches a reader through sums over paths. At each attention layer a path goes through one head or
past all of them, so for every layer

    edge = bypass + sum over heads of loading          loading_h = g . A_h (x W_V W_O)_h

where x is what the source has made of the stream before that layer and g is how the target reads what the layer adds to it.
One sweep up from the sources and one down from the targets give the split at every layer as dot products. `bypass` is all
that does not go through the layer's attention: the residual stream, what the source writes only after the layer, and the
skip connection of a dictionary (in sequential blocks it follows the attention and is not told apart; `skip` says for every
layer how much of the edge goes through it). A layer that is not between source and target is bypassed whole.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor

from circuits.attention.flow import Flow, flow_of, values
from circuits.attention.loadings_record import HeadLoadings
from circuits.attribution.refreeze import refreeze
from circuits.graph.graph import CircuitGraph
from circuits.replacement import points
from probe.errors import BadInput, OpenworkError
from probe.progress import SILENT, Progress
from probe.show.opening import came_from

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

    from circuits.attribution.vectors import Read, Write
    from circuits.replacement.frozen import FrozenModel

LARGEST = 1 << 29
"Bytes that the split over keys may take."


def head_loadings(
    model: "TransformerBridge",
    graph: CircuitGraph,
    edges: Sequence[tuple[int, int]],
    *,
    dictionaries: Sequence[Any] = (),
    frozen: "FrozenModel | None" = None,
    keys: bool = True,
    memory: int = 1 << 29,
    progress: Progress = SILENT,
) -> HeadLoadings:
    """Split edges (source node, target node) of a graph over attention heads.

    dictionaries: those the graph was traced with. frozen: spares freezing the prompt again. memory: bytes for the streams of
    the sources; the edges are taken in groups that fit. Raises BadInput for nodes that cannot be an edge's ends, and
    OpenworkError if a layer's split does not sum to the edge.

    >>> loadings = ow.head_loadings(model, graph, edges)
    >>> loadings.summary()
    'Heads that carry 2 edges; each layer sums to the edge.'
    """
    pairs = np.array(_checked(graph, edges)).reshape(-1, 2)
    held = frozen if frozen is not None else refreeze(model, graph, dictionaries)
    layer = held.layers[0]
    heads, per_edge = layer.attn.W_O.shape[0], len(held.layers) * held.length * held.embed.element_size()
    if keys and (size := len(pairs) * per_edge * heads) > LARGEST:
        raise BadInput(
            f"The split of {len(pairs)} edges over heads and keys takes {size / 1e9:.1f} GB, more than {LARGEST / 1e9:.1f} GB. "
            "Give fewer edges, or leave the keys out."
        )
    group = max(1, memory // (per_edge * (2 * held.embed.shape[1] + heads)))
    flow, parts = flow_of(held, graph), []
    order = np.lexsort((pairs[:, 0], pairs[:, 1]))
    with torch.no_grad(), progress.stage("head loadings", total=len(pairs), unit="edge") as step:
        for start in range(0, len(order), group):
            parts.append(_split(flow, graph, pairs[order[start : start + group]], keys))
            step(len(parts[-1]["weight"]))
    back = np.argsort(order)
    arrays = {n: np.concatenate([p[n] for p in parts])[back] for n in parts[0]}
    return came_from(_record(graph, pairs, arrays, 1e-3 if held.embed.dtype == torch.float32 else 1e-9), graph)


def _checked(graph: CircuitGraph, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    if not len(edges):
        raise BadInput("No edge was given; give pairs of (source node, target node).")
    n = len(graph.nodes)
    for source, target in edges:
        if not (0 <= source < n and 0 <= target < n):
            raise BadInput(f"({source}, {target}) is no edge: the graph has nodes 0 to {n - 1}.")
        if graph.roots[source]:
            raise BadInput(f"{graph.name(source)} is what the graph explains; it is no edge's source.")
        if not graph.explained[target]:
            raise BadInput(f"{graph.name(target)} is a leaf; only units and roots have incoming edges.")
    return [(int(s), int(t)) for s, t in edges]


def _split(flow: Flow, graph: CircuitGraph, pairs: Int[np.ndarray, "edge 2"], keys: bool) -> dict[str, np.ndarray]:
    """Everything about one group of edges, as arrays with the edge first."""
    from circuits.attribution.vectors import Places

    places = Places(flow.frozen, graph)
    sources, s = np.unique(pairs[:, 0], return_inverse=True)
    targets, t = np.unique(pairs[:, 1], return_inverse=True)
    written = [places.writes(int(n)) for n in sources]
    read = [places.read(int(n)) for n in targets]
    streams = {p: x for p, x in flow.up(written) if p in _kept(flow)}
    n_layers, n_heads, length = len(flow.frozen.layers), flow.frozen.layers[0].attn.W_O.shape[0], flow.frozen.length
    new = flow.frozen.embed.new_zeros
    bypass, heads, skip = new(len(pairs), n_layers), new(len(pairs), n_layers, n_heads), new(len(pairs), n_layers)
    split = new(len(pairs), n_layers, n_heads, length) if keys else None
    total = new(len(pairs))
    for point, g in flow.down(read):
        layer, place = points.place_of(point)
        if layer < n_layers and place == points.BLOCK_IN:
            # all that enters behind this point is counted, all that it causes is not
            bypass[:, layer] += total
        total = total + _entering_at(point, written, g)[s, t]
        if layer == n_layers or place == points.BLOCK_IN:
            continue
        parallel = flow.frozen.layers[layer].parallel
        if point == points.attention_writes(layer, parallel):
            by_key = _loadings(flow, layer, streams[points.attention_reads(layer)], g, s, t)
            heads[:, layer] = by_key.sum(-1)
            if split is not None:
                split[:, layer] = by_key
            before = streams[points.attention_reads(layer)]
            bypass[:, layer] += einsum(before[s], g[t], "edge pos d_model, edge pos d_model -> edge")
        if point == points.mlp_writes(layer) and flow.skips(layer):
            skipped = flow.skip(layer, streams[points.mlp_reads(layer, parallel)])
            skip[:, layer] = einsum(skipped[s], g[t], "edge pos d_model, edge pos d_model -> edge")
            if parallel:
                bypass[:, layer] += skip[:, layer]
    between = _between(flow, written, read, s, t)
    bypass = torch.where(torch.from_numpy(between).to(bypass.device), bypass, total[:, None])
    found = {"weight": total, "bypass": bypass, "heads": heads, "skip": skip, "keys": split}
    return {n: v.double().cpu().numpy() for n, v in found.items() if v is not None} | {"between": between}


def _kept(flow: Flow) -> set[int]:
    """Points whose streams are looked at again on the way down."""
    layers = flow.frozen.layers
    skips = {points.mlp_reads(i, block.parallel) for i, block in enumerate(layers) if flow.skips(i)}
    return {points.attention_reads(i) for i in range(len(layers))} | skips


def _entering_at(point: int, written: Sequence[Sequence["Write"]], g: Tensor) -> Float[Tensor, "source target"]:
    """What the writes that enter here contribute to every target directly."""
    out = g.new_zeros(len(written), len(g))
    for row, writes in enumerate(written):
        for write in writes:
            if write.point == point:
                out[row] += g[:, write.pos] @ write.vector
    return out


def _loadings(
    flow: Flow, layer: int, x: Tensor, g: Tensor, s: np.ndarray, t: np.ndarray
) -> Float[Tensor, "edge head k_pos"]:
    """Value at each key times how the target reads it through each head's pattern and output."""
    block, attn = flow.frozen.layers[layer], flow.attention[layer]
    g = g if block.ln1_post is None else block.ln1_post.adjoint(g)
    into_heads = einsum(g, attn.W_O, "row q_pos d_model, head d_head d_model -> row head q_pos d_head")
    wanted = torch.matmul(attn.pattern.transpose(1, 2), into_heads)  # row head k_pos d_head: back along the pattern
    v = values(attn, x if block.ln1 is None else block.ln1.forward(x))
    return einsum(v[s], wanted[t], "edge head k_pos d_head, edge head k_pos d_head -> edge head k_pos")


def _between(
    flow: Flow, written: Sequence[Sequence["Write"]], read: Sequence["Read"], s: np.ndarray, t: np.ndarray
) -> Bool[np.ndarray, "edge layer"]:
    """Layers whose attention can read something of the source and be read by the target."""
    parallel = flow.frozen.layers[0].parallel
    first = np.array([min((w.point for w in writes), default=1 << 30) for writes in written])[s, None]
    last = np.array([r.point for r in read])[t, None]
    reads = np.array([points.attention_reads(i) for i in range(len(flow.frozen.layers))])
    enters = np.array([points.attention_writes(i, parallel) for i in range(len(flow.frozen.layers))])
    return (first <= reads) & (enters <= last)


def _record(graph: CircuitGraph, pairs: np.ndarray, arrays: dict[str, np.ndarray], allowed: float) -> HeadLoadings:
    size = np.abs(arrays["bypass"]) + np.abs(arrays["heads"]).sum(-1)
    gap = np.abs(arrays["bypass"] + arrays["heads"].sum(-1) - arrays["weight"][:, None]) / np.maximum(size, 1e-30)
    worst = float(gap.max(initial=0.0))
    if not worst <= allowed:
        raise OpenworkError(
            f"Heads and bypass do not sum to the edge: relative gap {worst:.1e}, {allowed:g} allowed. Nothing was reported."
        )
    return HeadLoadings(
        source=pairs[:, 0],
        target=pairs[:, 1],
        names=[(graph.name(int(s)), graph.name(int(t))) for s, t in pairs],
        tokens=graph.tokens,
        weight=arrays["weight"],
        bypass=arrays["bypass"],
        heads=arrays["heads"],
        keys=arrays.get("keys"),
        skip=arrays["skip"],
        between=arrays["between"],
        gap=worst,
        convention={
            "frozen": "attention patterns, norm divisors, activation ratios",
            "bypass": "all that does not go through the layer's heads: residual stream, later writes, dictionary skips",
            "heads_that_are_nodes": "left out: what goes through them goes through the node",
        },
    )
