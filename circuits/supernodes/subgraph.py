"""How much of the prediction a handful of pinned units explains.

Units that are not pinned become unexplained leaves: what a latent writes joins the `error` node of its layer and position,
what a neuron, head or whole MLP writes joins the `rest` node, and edges into them go. Every value that stays is still
the sum of its edges and its constant. Replacement and completeness of that graph are the subgraph's scores (the definition of
circuit-tracer and of Neuronpedia's subgraph view).

Summing the units that join one leaf lets a raising and a lowering one hide each other. The `strict` scores do not: there each
redirected edge keeps its own |weight|. Pinning every unit gives both the scores of the whole graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import ChosenNodes, GraphName, nodes_named, read_graph
from circuits.graph.influence import Scores, scores
from circuits.supernodes.folding import fold
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted


@dataclass(frozen=True, kw_only=True)
class Subgraph(Record, figure=True, page=True):
    """Scores of the units pinned in a graph.

    graph: the graph with everything else folded into leaves. pinned: the units, as nodes of the whole graph. scores: of the
    folded graph. strict: the same with no cancelling inside a leaf. whole, nothing: with every unit pinned, and with none
    (scores, strict). random: both scores of random sets of as many units (see `convention`), which a choice has to beat.
    """

    graph: CircuitGraph
    pinned: list[int]
    scores: Scores
    strict: Scores
    whole: Scores
    nothing: tuple[Scores, Scores]
    random: list[tuple[Scores, Scores]]
    convention: dict[str, Any]

    @property
    def replacement(self) -> float:
        """Share of the influence that ends in explained leaves."""
        return self.scores.replacement

    @property
    def completeness(self) -> float:
        """Share of the edges, weighted by influence, that does not come from unexplained leaves."""
        return self.scores.completeness

    def rows(self) -> list[dict[str, Any]]:
        """The pinned units, most influential in the subgraph first."""
        units = np.flatnonzero(self.graph.nodes.where(*UNITS))
        units = units[np.argsort(-self.graph.influence[units], kind="stable")]
        return [self.graph.row(int(i)) for i in units]

    def score_rows(self) -> list[dict[str, Any]]:
        """The two scores of the subgraph beside those of random sets of its size, of no unit and of every unit; then strict."""
        return [self._score_row(name) for name in ("replacement", "completeness")]

    def _score_row(self, name: str) -> dict[str, Any]:
        row: dict[str, Any] = {"score": name, "every_unit": getattr(self.whole, name)}
        for kind, mine in enumerate((self.scores, self.strict)):
            drawn = np.array([getattr(pair[kind], name) for pair in self.random])
            found = {
                "pinned": getattr(mine, name),
                "random": float(drawn.mean()) if len(drawn) else None,
                "random_sd": float(drawn.std(ddof=1)) if len(drawn) > 1 else None,
                "nothing": getattr(self.nothing[kind], name),
            }
            row |= {("strict_" if kind else "") + key: value for key, value in found.items()}
        return row

    def panels(self) -> list[Panel]:
        """The scores beside those of random sets, the units, and the folded graph."""
        return [
            Figure("The graph with everything else folded into leaves", self.figure),
            Rows("How much they explain, beside as many random units, none and all", self.score_rows()),
            *[Rows("The units", rows) for rows in [self.rows()] if rows],
            Sentence(self.summary()),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "prompt": self.graph.prompt,
            "n_pinned": len(self.pinned),
            "pinned": self.pinned,
            "scores": self.score_rows(),
            "nodes": self.rows(),
            "convention": self.convention,
        }

    def summary(self) -> str:
        """One sentence: how many units, and the two scores."""
        return (
            f"{counted(len(self.pinned), 'pinned unit')} of {quoted(self.graph.prompt)}: replacement {self.replacement:.3f}, "
            f"completeness {self.completeness:.3f}."
        )


@method("subgraph-scores", group="circuits")
def subgraph_scores(
    graph: Annotated[GraphName, Doc("A stored graph.")],
    pinned: Annotated[
        ChosenNodes, Doc("Units that explain, like `L5N120@3,L6N4` or `top:20`; by default those pinned in the graph.")
    ] = None,
    *,
    n_random: Annotated[int, Doc("Random sets of as many units, to compare with.", least=0, most=10_000)] = 10,
    seed: Annotated[int, Doc("Which random sets.", least=0, most=2147483647)] = 0,
) -> Subgraph:
    """How much of the prediction a handful of units explains: replacement and completeness if no other unit did.

    `L5N120` is the neuron at every position. Leaves and logits are always there and may be named. Raises BadInput for a
    name the graph does not have, and where nothing is pinned at all.

    >>> scores = ow.subgraph_scores(graph, ow.most_influential(10)(graph))
    >>> 0 < scores.completeness <= 1  # 1: no error or rest flows in
    True
    """
    graph = read_graph(graph)
    if pinned is None and not graph.pinned:
        raise BadInput("Nothing is pinned in this graph. Name the units to keep, such as pinned=['L5N120@3'].")
    chosen = graph.pinned if pinned is None else pinned(graph) if callable(pinned) else nodes_named(graph, pinned)
    mask = nodes_mask(graph, chosen)
    units = np.flatnonzero(graph.nodes.where(*UNITS))
    kept = units[mask[units]]
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(n_random if 0 < len(kept) < len(units) else 0):
        other = np.zeros(len(mask), bool)
        other[rng.choice(units, len(kept), replace=False)] = True
        drawn.append(_both(graph, other))
    folded = fold(graph, mask)
    convention = {
        "not_pinned": "latents join the error node, other units the rest node, of their layer and position",
        "random": f"{len(drawn)} sets of as many units of the graph, drawn uniformly, seed {seed}",
    }
    strict = scores(fold(graph, mask, summed=False))
    nothing = _both(graph, np.zeros(len(mask), bool))
    return Subgraph(
        graph=folded,
        pinned=kept.tolist(),
        scores=scores(folded),
        strict=strict,
        whole=graph.scores,
        nothing=nothing,
        random=drawn,
        convention=convention,
    )


def _both(graph: CircuitGraph, keep: Bool[np.ndarray, " node"]) -> tuple[Scores, Scores]:
    """Scores and strict scores of a choice of units."""
    return scores(fold(graph, keep)), scores(fold(graph, keep, summed=False))


def nodes_mask(graph: CircuitGraph, nodes: Sequence[int | str]) -> Bool[np.ndarray, " node"]:
    """Mask of the nodes given by number or name."""
    mask = np.zeros(len(graph.nodes), bool)
    for node in nodes:
        mask[graph.find(node)] = True
    return mask
