"""A graph with nodes of every kind, random edges and exact sums: what stores, exchanges and shows graphs must carry all of it."""

import json
from typing import Any

import numpy as np

from circuits.exchange.write_neuronpedia import to_neuronpedia
from circuits.graph.graph import KINDS, ROOTS, UNITS, CircuitGraph, Edges, Nodes

TOKENS = ["<|bos|>", "one", " <b>two", ' "(p="']
N_LAYERS = 3
# kind, layer, pos, unit; layer 1 has a dictionary in the residual stream, so its latent 5 stands beside its neuron 5.
LAYOUT = [
    *(("token", -1, p, 10 + p) for p in range(4)),
    *(("position", -1, p, -1) for p in range(4)),
    ("first", 0, 0, -1),
    ("bias", 0, 1, -1),
    ("rest", 0, 1, -1),
    ("rest", 1, 3, -1),
    ("error", 1, 3, -1),
    ("bias", 1, 3, -1),
    ("neuron", 0, 1, 5),
    ("head", 0, 1, 2),
    ("neuron", 1, 3, 5),
    ("latent", 1, 3, 5),
    ("mlp", 1, 3, -1),
    ("head", 1, 3, 5),
    ("latent", 2, 3, 5),
    ("latent", 2, 2, 5),
    ("logit", 3, 3, 1),
    ("logit", 3, 3, 0),
    ("direction", 3, 3, 0),
]


def every_kind(seed: int = 0, dtype: str = "float32") -> CircuitGraph:
    """Values are the sums of constant and edges, so it conserves up to rounding."""
    rng, n = np.random.default_rng(seed), len(LAYOUT)
    kind = np.array([KINDS.index(k) for k, *_ in LAYOUT])
    layer, pos, unit = (np.array([row[i] for row in LAYOUT]) for i in (1, 2, 3))
    explained = np.array([k in (*UNITS, *ROOTS) for k, *_ in LAYOUT])
    roots = np.array([k in ROOTS for k, *_ in LAYOUT])
    pairs = [
        (s, t)
        for t in np.flatnonzero(explained)
        for s in range(t)
        if not roots[s] and (layer[s] < layer[t] or (not explained[s] and layer[s] <= layer[t])) and rng.random() < 0.7
    ]
    weight = rng.normal(size=len(pairs)).astype(dtype)
    source, target = np.array(pairs).T
    constant = np.where(explained, rng.normal(size=n), 0.0)
    total = np.bincount(target, weight.astype(np.float64), minlength=n) + constant
    units = explained & ~roots
    nodes = Nodes(kind, layer, pos, unit, np.where(explained, total, np.nan), np.where(units, rng.random(n), np.nan))
    text = [TOKENS[p] if k == "token" else " (p=0.5)" if k in ROOTS else "" for k, _, p, _ in LAYOUT]
    return CircuitGraph(
        prompt="one <b>two",
        token_ids=[1, 11, 12, 13],
        tokens=TOKENS,
        nodes=nodes,
        edges=Edges(source, target, weight),
        constant=constant,
        probability=np.where(roots, [0.5 if k == "logit" else 1.0 for k, *_ in LAYOUT], 0.0),
        unit_tokens=text,
        residual=0.0,
        residual_relative=0.0,
        n_layers=N_LAYERS,
        model="owner/toy",
        dictionaries={"resid_post.1": "stream", "2": "mine"},
        convention={"edge_sign": "positive raises the target's value", "max_nodes": 7},
        facts={"seconds": 0.5},
        supernodes={"a group": [14, 15], "</script>": [17]},
        pinned=[16, 23],
    )


def exported(graph: CircuitGraph | None = None, **options: Any) -> dict[str, Any]:
    """A graph as its file's content, whole unless said otherwise."""
    whole = {"node_threshold": 1.0, "edge_threshold": 1.0}
    return json.loads(json.dumps(to_neuronpedia(graph or every_kind(), **{**whole, **options}), allow_nan=False))


def same(one: CircuitGraph, two: CircuitGraph) -> None:
    """Both graphs hold the same numbers and texts, bit for bit."""
    for name in ("kind", "layer", "pos", "unit", "value", "activation"):
        np.testing.assert_array_equal(getattr(one.nodes, name), getattr(two.nodes, name), err_msg=name)
    for name in ("source", "target", "weight"):
        np.testing.assert_array_equal(getattr(one.edges, name), getattr(two.edges, name), err_msg=name)
    assert one.edges.weight.dtype == two.edges.weight.dtype
    for name in ("constant", "probability", "residual", "residual_relative"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    plain = (
        "prompt",
        "token_ids",
        "tokens",
        "unit_tokens",
        "n_layers",
        "dictionaries",
        "convention",
        "supernodes",
        "pinned",
    )
    for name in (*plain, "model"):
        assert getattr(one, name) == getattr(two, name), name
