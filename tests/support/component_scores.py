"""Scores of edges between components, drawn at random, on the edges of small models of every sort."""

import numpy as np

from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import EdgeScores

LAYOUTS = {
    "own keys": Layout(inputs=["input"], heads=[3, 3], kv_heads=[3, 3], parallel=[False, False]),
    "shared keys": Layout(inputs=["input"], heads=[4, 4, 4], kv_heads=[2, 2, 1], parallel=[False, False, True]),
    "tokens and positions": Layout(inputs=["tok", "pos"], heads=[2], kv_heads=[1], parallel=[True]),
}


def scores_on(layout: Layout = LAYOUTS["shared keys"], pairs: int = 3, seed: int = 0) -> EdgeScores:
    """Of both signs."""
    draw = np.random.default_rng(seed)
    by_pair = draw.normal(size=(pairs, int(layout.edges.sum()))).astype(np.float32)
    about = {"clean": np.ones(pairs), "corrupted": -np.ones(pairs), "examples": ["x"] * pairs}
    return EdgeScores(method="EAP", task="ioi", layout=layout, by_pair=by_pair, **about, convention={"metric": "m"})
