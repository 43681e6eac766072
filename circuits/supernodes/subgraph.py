"""How much of the prediction a handful of pinned units explains.

Units that are not pinned become unexplained leaves: what a latent writes joins the `error` node of its layer and position,
what a neuron, head or whole MLP writes joins the `rest` node, and edges into them go. Every value that stays is still
the sum of its edges and its constant. Replacement and completeness of that graph are the subgraph's scores (the definition of
circuit-tracer and of Neuronpedia's subgraph view).

Summing the units that join one leaf lets a raising and a lowering one hide each other. The `strict` scores do not: there each
redirected edge keeps its own |weight|. Pinning every unit gives both the scores of the whole graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from circuits.graph.graph import KINDS, UNITS, CircuitGraph, Edges, Nodes
from circuits.graph.influence import Scores, scores
from probe.errors import BadInput
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted

REST, ERROR, LATENT = (KINDS.index(k) for k in ("rest", "error", "latent"))


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


def subgraph_scores(
    graph: CircuitGraph, pinned: Sequence[int | str] | None = None, *, n_random: int = 10, seed: int = 0
) -> Subgraph:
    """Replacement and completeness if only the `pinned` units explain; by default those pinned in the graph.

    pinned: node numbers or names (`L5N120@3`; `L5N120` pins every position). Leaves and logits are always there and may be
    named. Raises BadInput for a name the graph does not have, and where nothing is pinned at all.

    >>> scores = ow.subgraph_scores(graph, ow.most_influential(10)(graph))
    >>> 0 < scores.completeness <= 1  # 1: no error or rest flows in
    True
    """
    if pinned is None and not graph.pinned:
        raise BadInput("Nothing is pinned in this graph. Name the units to keep, such as pinned=['L5N120@3'].")
    mask = nodes_mask(graph, graph.pinned if pinned is None else pinned)
    units = np.flatnonzero(graph.nodes.where(*UNITS))
    chosen = units[mask[units]]
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(n_random if 0 < len(chosen) < len(units) else 0):
        other = np.zeros(len(mask), bool)
        other[rng.choice(units, len(chosen), replace=False)] = True
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
        pinned=chosen.tolist(),
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


def fold(graph: CircuitGraph, keep: Bool[np.ndarray, " node"], *, summed: bool = True) -> CircuitGraph:
    """The graph with every unit outside `keep` folded into an unexplained leaf; it still conserves.

    Leaves and roots stay whatever `keep` says; leaves with no edge left go, except tokens. summed: False keeps the edges that
    join one leaf apart (several edges between the same two nodes), so that their signs do not cancel.
    """
    gone = graph.nodes.where(*UNITS) & ~keep
    joined, extra = _leaf_of(graph, gone)
    e = graph.edges
    used = ~gone[e.target]
    source, target, weight = joined[e.source[used]], e.target[used] + len(extra[0]), e.weight[used]
    nodes = _joined(extra, graph.nodes)
    if summed:
        source, target, weight = _sum_edges(source, target, weight, len(nodes))
    old = np.r_[np.full(len(extra[0]), -1), np.arange(len(graph.nodes))]
    stays = (
        np.isin(np.arange(len(nodes)), source) | nodes.where("token") | np.r_[extra[0] >= 0, graph.explained & ~gone]
    )
    return _take(graph, nodes, Edges(source, target, weight), old, stays)


_Leaves = tuple[Int[np.ndarray, " leaf"], Int[np.ndarray, " leaf"], Int[np.ndarray, " leaf"]]


def _leaf_of(graph: CircuitGraph, gone: Bool[np.ndarray, " node"]) -> tuple[Int[np.ndarray, " node"], _Leaves]:
    """Where each node's outgoing edges go, counted with the new leaves in front, and kind, layer, pos of these new leaves."""
    nodes = graph.nodes
    place = (nodes.layer.astype(np.int64) + 1) * (len(graph.tokens) + 1) + nodes.pos
    kind = np.where(nodes.kind == LATENT, ERROR, REST)
    key = place * len(KINDS) + np.where(gone, kind, nodes.kind)
    leaves = np.flatnonzero(nodes.where("rest", "error"))
    known = dict(zip(key[leaves].tolist(), leaves.tolist(), strict=True))
    new, first = np.unique(key[gone], return_index=True)
    missing = [i for i, k in enumerate(new.tolist()) if k not in known]
    at = {k: known[k] + len(missing) for k in new.tolist() if k in known} | {
        int(new[i]): j for j, i in enumerate(missing)
    }
    joined = np.arange(len(nodes)) + len(missing)
    joined[gone] = [at[k] for k in key[gone].tolist()]
    examples = np.flatnonzero(gone)[first[missing]]
    return joined, (kind[examples], nodes.layer[examples], nodes.pos[examples])


def _joined(extra: _Leaves, nodes: Nodes) -> Nodes:
    """New leaves in front of the nodes there are."""
    kind, layer, pos = extra
    nan = np.full(len(kind), np.nan)
    return Nodes(
        np.r_[kind, nodes.kind],
        np.r_[layer, nodes.layer],
        np.r_[pos, nodes.pos],
        np.r_[np.full(len(kind), -1), nodes.unit],
        np.r_[nan, nodes.value],
        np.r_[nan, nodes.activation],
    )


def _sum_edges(source: np.ndarray, target: np.ndarray, weight: np.ndarray, n: int) -> tuple[np.ndarray, ...]:
    """Edges between the same two nodes added up, sorted by target."""
    keys, place = np.unique(target.astype(np.int64) * n + source, return_inverse=True)
    return keys % n, keys // n, np.bincount(place, weight.astype(np.float64), minlength=len(keys))


def _take(
    graph: CircuitGraph, nodes: Nodes, edges: Edges, old: Int[np.ndarray, " node"], stays: Bool[np.ndarray, " node"]
) -> CircuitGraph:
    """The graph of the nodes that stay, renumbered; `old` holds each node's number in `graph`, -1 for new ones."""
    number = np.cumsum(stays) - 1
    kept, here = old[stays], {int(o): int(number[i]) for i, o in enumerate(old) if o >= 0 and stays[i]}
    known = np.maximum(kept, 0)
    nodes = Nodes(*(getattr(nodes, name)[stays] for name in nodes.__dataclass_fields__))
    return replace(
        graph,
        nodes=nodes,
        edges=Edges(number[edges.source], number[edges.target], edges.weight),
        constant=np.where(kept >= 0, graph.constant[known], 0.0),
        probability=np.where(kept >= 0, graph.probability[known], 0.0),
        unit_tokens=[graph.unit_tokens[k] if k >= 0 else "" for k in kept.tolist()],
        supernodes={name: [here[i] for i in group if i in here] for name, group in graph.supernodes.items()},
        pinned=[here[i] for i in graph.pinned if i in here],
        facts={**graph.facts, "folded_from_nodes": len(graph.nodes)},
    )
