"""Graphs made by hand and at random, with values that conserve by construction."""

from collections.abc import Sequence

import numpy as np

from circuits.graph.graph import KINDS, UNITS, CircuitGraph, Edges, Nodes

Spec = tuple[str, int, int, int]
"kind, layer, pos, unit"


def wired(
    nodes: Sequence[Spec], edges: Sequence[tuple[int, int, float]], probability: dict[int, float], **changes
) -> CircuitGraph:
    """A graph of these nodes (in topological order) and (source, target, weight) edges; constants 0."""
    kind = np.array([KINDS.index(n[0]) for n in nodes])
    layer, pos, unit = (np.array([n[i] for n in nodes], np.int64) for i in (1, 2, 3))
    ends = np.array([e[:2] for e in edges], np.int64).reshape(-1, 2)
    weight = np.array([e[2] for e in edges], np.float64)
    value = np.bincount(ends[:, 1], weight, minlength=len(nodes)).astype(float)
    value[~np.isin(kind, [KINDS.index(k) for k in (*UNITS, "logit", "direction")])] = np.nan
    chance = np.zeros(len(nodes))
    for node, p in probability.items():
        chance[node] = p
    length = int(pos.max()) + 1
    fields = {
        "prompt": "by hand",
        "token_ids": list(range(length)),
        "tokens": [f" t{i}" for i in range(length)],
        "nodes": Nodes(kind, layer, pos, unit, value, np.where(np.isin(kind, [3, 4]), value, np.nan)),
        "edges": Edges(ends[:, 0], ends[:, 1], weight),
        "constant": np.zeros(len(nodes)),
        "probability": chance,
        "unit_tokens": [f" w{n[3]}" if n[0] in ("token", "logit") else "" for n in nodes],
        "residual": 0.0,
        "residual_relative": 0.0,
        "n_layers": int(layer.max()),
        "model": "hand",
    }
    return CircuitGraph(**{**fields, **changes})


def scattered(seed: int, n_layers: int = 4, n_pos: int = 3, per_layer: int = 5, **changes) -> CircuitGraph:
    """Tokens, a rest node a place, neurons and two logits; every edge that may exist does, with a normal weight."""
    rng = np.random.default_rng(seed)
    nodes: list[Spec] = [("token", -1, p, 7 + p) for p in range(n_pos)]
    nodes += [("rest", i, p, -1) for i in range(n_layers) for p in range(n_pos)]
    for layer in range(n_layers):
        places = rng.permutation(n_pos * 100)[:per_layer]
        nodes += sorted(("neuron", layer, int(x) // 100, int(x) % 100) for x in places)
    nodes += [("logit", n_layers, n_pos - 1, unit) for unit in (3, 9)]
    n = len(nodes)
    edges = []
    for t in range(n):
        if nodes[t][0] in ("neuron", "logit"):
            edges += [
                (s, t, float(rng.normal()))
                for s in range(t)
                if nodes[s][1] < nodes[t][1] and nodes[s][2] <= nodes[t][2] and nodes[s][0] != "logit"
            ]
    return wired(nodes, edges, {n - 2: 0.6, n - 1: 0.3}, **changes)


def incoming(graph: CircuitGraph) -> np.ndarray:
    """Sum of the edges into each node plus its constant."""
    return np.bincount(graph.edges.target, graph.edges.weight, minlength=len(graph.nodes)) + graph.constant


def crowded(n: int = 300, layers: int = 12, tokens: int = 8, seed: int = 0) -> CircuitGraph:
    """Tokens, n neurons over all layers and positions, and two logits; random edges upwards."""
    rng = np.random.default_rng(seed)
    layer = np.sort(rng.integers(0, layers, n))
    pos = np.minimum(tokens - 1, rng.geometric(0.3, n) - 1)[::-1] if tokens > 1 else np.zeros(n, int)
    kind = np.r_[np.full(tokens, KINDS.index("token")), np.full(n, KINDS.index("neuron")), [KINDS.index("logit")] * 2]
    layer = np.r_[np.full(tokens, -1), layer, [layers] * 2]
    pos = np.r_[np.arange(tokens), tokens - 1 - pos, [tokens - 1] * 2]
    unit = np.r_[np.arange(tokens), rng.permutation(n), [1, 2]]
    total = tokens + n + 2
    pairs = np.array(
        [
            (s, t)
            for t in range(tokens, total)
            for s in range(t)
            if s < tokens + n and layer[s] < layer[t] and rng.random() < 0.4
        ]
    )
    weight = rng.normal(size=len(pairs)).astype(np.float32)
    value = np.bincount(pairs[:, 1], weight, minlength=total)
    units = np.r_[np.zeros(tokens, bool), np.ones(n, bool), [False] * 2]
    nodes = Nodes(
        kind, layer, pos, unit, np.where(layer >= 0, value, np.nan), np.where(units, rng.random(total), np.nan)
    )
    probability = np.zeros(total)
    probability[-2:] = 0.6, 0.2
    text = [*(f" t{i}" for i in range(tokens)), *([""] * n), " yes", " no"]
    edges = Edges(pairs[:, 0], pairs[:, 1], weight)
    tokens_ = [f" t{i}" for i in range(tokens)]
    return CircuitGraph(
        prompt="many",
        token_ids=list(range(tokens)),
        tokens=tokens_,
        nodes=nodes,
        edges=edges,
        constant=np.zeros(total),
        probability=probability,
        unit_tokens=text,
        residual=0.0,
        residual_relative=0.0,
        n_layers=layers,
        model="toy",
    )
