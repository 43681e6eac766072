"""Scores of parts, of edges or nodes, and the circuits of any size that a rule chooses by them.

Of edges the rules are those of `circuits.search.select`, of nodes those of `circuits.search.select_nodes`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from circuits.edge_attribution.scores import EdgeScores
from circuits.faithfulness.metrics import auroc
from circuits.faithfulness.parts.parts import Kept
from circuits.search.circuit import connected
from circuits.search.node_circuit import kept_named
from circuits.search.select import all_chosen, require_sign
from circuits.search.select_nodes import node_order, scored_nodes
from probe.errors import BadInput


class Ranked:
    """Scores of parts. names: of every part that circuits are made of; scores of others (what dictionaries leave) are left out.
    BadInput where a part has none: they are of another model, or of other parts. ablation: what removed parts carry, which says
    what of a circuit of edges does nothing."""

    def __init__(self, scores: Any, names: list[str], ablation: str = "resample"):
        self.ablation = ablation
        self.scores, self.of_edges, self.names = scores, isinstance(scores, EdgeScores), names
        scored, by_pair = (names_of(scores), scores.by_pair) if self.of_edges else scored_nodes(scores)[:2]
        place = {name: i for i, name in enumerate(scored)}
        if lost := [name for name in names if name not in place]:
            raise BadInput(
                f"The scores have none of {lost[0]}, so they are of another model or of other parts ({len(place):,} like "
                f"{next(iter(place), 'nothing')}). Give scores of the parts that circuits are made of."
            )
        if self.of_edges and len(place) != len(names):
            raise BadInput(
                f"The scores are of {len(place):,} edges and this model has {len(names):,}; they are of another model."
            )
        self.by_pair = by_pair if self.of_edges else by_pair[:, [place[name] for name in names]]

    def circuits(self, sizes: Sequence[int], rule: str, signed: bool = False, seed: int = 0) -> list[Kept]:
        """A circuit of each size, of edges without those that do nothing."""
        return self._circuits(self.by_pair, sizes, rule, signed, seed)

    def resampled(self, sizes: Sequence[int], rule: str, signed: bool, samples: int, seed: int) -> list[list[Kept]]:
        """The same of pairs drawn again and again."""
        n, draw = len(self.by_pair), np.random.default_rng(seed)
        if n < 2 and samples:
            raise BadInput(
                "One pair cannot be drawn again; how stable circuits are needs scores of several. Make samples 0."
            )
        rows = [draw.integers(n, size=n) for _ in range(samples)]
        return [self._circuits(self.by_pair[some], sizes, rule, signed, seed) for some in rows]

    def auroc(self, known: Sequence[str], signed: bool = False) -> float:
        """How well the scores tell the parts of a known circuit from the others."""
        score = self.by_pair.mean(0)
        true = kept_named(self.names, list(known), "parts")
        return auroc(-score if signed else np.abs(score), true)

    def _circuits(
        self, by_pair: Float[np.ndarray, "pair part"], sizes: Sequence[int], rule: str, signed: bool, seed: int
    ) -> list[Kept]:
        require_sign(self.scores, signed)
        if self.of_edges:
            scores = replace(self.scores, by_pair=by_pair)
            layout = scores.layout
            found = all_chosen(scores, sizes, rule, signed=signed, seed=seed)  # type: ignore[arg-type]
            return [connected(layout, kept, self.ablation)[layout.edges] for kept in found]
        order = node_order(by_pair, rule, signed, seed)
        found = [np.zeros(by_pair.shape[1], bool) for _ in sizes]
        for kept, size in zip(found, sizes, strict=True):
            kept[order[:size]] = True
        return found


def names_of(scores: EdgeScores) -> list[str]:
    """The name of every edge that has a score, in their order."""
    return [scores.layout.name(int(u), int(v)) for u, v in scores.edges]


def jaccard(a: Kept, b: Kept) -> float:
    """The parts that two circuits share, of those that either has; NaN for two without any."""
    either = int((a | b).sum())
    return float((a & b).sum() / either) if either else float("nan")
