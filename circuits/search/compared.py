"""Two circuits of one model compared: what is in both, beside what circuits of their sizes share by chance.

    Jaccard index = parts in both / parts in either          of their edges, and of the heads and MLPs that these run between

The larger two circuits are, the more they share by chance, so the number stands beside that of random pairs: as many edges each,
grown from the logits by chance, as circuits hang together (of nodes: as many, drawn from all). p is the share of random pairs
that are as much alike, this one counted. Where both were chosen by scores, Spearman's rank correlation says how far these agree,
of all parts that both have one of and of those in either circuit; by size where one of them has no sign. The measures and
their control are ours.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float

from circuits.comparison.two_rows import sizes
from circuits.edge_attribution.layout import Layout
from circuits.search.circuit import ComponentCircuit
from circuits.search.grown import grown
from circuits.search.node_circuit import NodeCircuit
from circuits.search.shared_parts import Alike, ComparedCircuits
from circuits.search.stored import CircuitName, read_circuit
from probe.artifacts.records import of_same_model, stamp_known
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.progress import SILENT, Progress
from probe.statistics import DRAWS, RankCorrelation, rank_correlation

Circuit = ComponentCircuit | NodeCircuit
Kept = Bool[np.ndarray, " part"]
_NUMBERS = 2_000_000
"""Numbers that are ordered at random for the control of a rank correlation, at most; of many parts few orders tell."""


@method("compare-circuits", group="circuits")
def compare_circuits(
    a: Annotated[CircuitName, Doc("A stored circuit.")],
    b: Annotated[CircuitName, Doc("The circuit it is compared with, of the same model.")],
    *,
    random: Annotated[int, Doc("Random pairs of circuits of their sizes.", least=0, most=10_000)] = 100,
    seed: Annotated[int, Doc("Of the random pairs.", least=0, most=2_147_483_647)] = 0,
    progress: Progress = SILENT,
) -> ComparedCircuits:
    """What two circuits of one model share: edges, heads and MLPs, beside random circuits of their sizes; do their scores agree.

    Of edges or of nodes, whoever found them, on one task or on two. Raises BadInput for circuits of two models, for one of edges
    and one of nodes, and for one without parts.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> found = ow.compare_circuits(ow.choose_edges(scores, 20), ow.choose_edges(scores, 30), random=9)
    >>> found.alike[0].only_a, found.ranks["all"].rho
    (0, 1.0)
    """
    circuits = read_circuit(a), read_circuit(b)
    _require_alike(*circuits)
    kept = [_kept(one) for one in circuits]
    draw, counts = np.random.default_rng(seed), [int(one.sum()) for one in kept]
    with progress.stage("random circuits", total=random, unit="pair") as step:
        pairs = []
        for _ in range(random):
            pairs.append([_random(circuits[0], size, draw) for size in counts])
            step(1)
    held, scores = np.stack(kept), np.stack([_scores(one) for one in circuits])
    either = held.any(0)
    ranks, by = _ranks(scores, either, seed)
    sorts = _sorts(circuits[0])
    record = ComparedCircuits(
        of=(_told(circuits[0]), _told(circuits[1])),
        kind=_kind(circuits[0]),
        parts=[name for name, there in zip(_names(circuits[0]), either, strict=True) if there],
        held=held[:, either],
        score=scores[:, either],
        alike=[_alike(what, sort, held, pairs) for what, sort in sorts.items()],
        ranks=ranks,
        convention={"random": _RANDOM[isinstance(circuits[0], ComponentCircuit)], "ranked by": by, "seed": seed},
    )
    of_same_model(record, circuits[0])
    return record


_RANDOM = {
    True: "pairs of as many edges each, grown from the logits by chance",
    False: "pairs of as many, drawn from all",
}


def _require_alike(a: Circuit, b: Circuit) -> None:
    """BadInput for circuits whose parts are not the same things."""
    said = "Two circuits are compared part by part, and these have other parts"
    if _kind(a) != _kind(b):
        raise BadInput(f"{said}: a is of {_kind(a)} and b of {_kind(b)}. Give two of one kind.")
    if _layout(a) != _layout(b) or _names(a) != _names(b):
        raise BadInput(
            f"{said}: a is of a model with {len(_names(a)):,} {_kind(a)}, and b of another with "
            f"{len(_names(b)):,}. Give two circuits of one model."
        )
    stamps = stamp_known(a), stamp_known(b)
    if stamps[0] is not None and stamps[1] is not None and stamps[0].weights != stamps[1].weights:
        one, other = (f"{stamp.name} (weights {stamp.weights[:12]})" for stamp in stamps if stamp is not None)
        raise BadInput(f"a was found on {one} and b on {other}. Give two circuits of one model.")
    for name, circuit in (("a", a), ("b", b)):
        if not len(circuit):
            raise BadInput(
                f"The circuit {name} has no {_kind(circuit)}, so nothing can be in both. Give one that has some."
            )


def _kind(circuit: Circuit) -> str:
    return "edges" if isinstance(circuit, ComponentCircuit) else circuit.kind


def _layout(circuit: Circuit) -> Layout | None:
    return circuit.layout if isinstance(circuit, ComponentCircuit) else None


def _told(circuit: Circuit) -> str:
    return f"{circuit.method} on {circuit.task}"


def _names(circuit: Circuit) -> list[str]:
    """Of every part that the model has."""
    if isinstance(circuit, NodeCircuit):
        return circuit.nodes
    return [circuit.layout.name(int(u), int(v)) for u, v in np.argwhere(circuit.layout.edges)]


def _kept(circuit: Circuit) -> Kept:
    return circuit.kept if isinstance(circuit, NodeCircuit) else circuit.kept[circuit.layout.edges]


def _scores(circuit: Circuit) -> Float[np.ndarray, " part"]:
    """Of every part; NaN without one."""
    if circuit.score is None:
        return np.full(len(_kept(circuit)), np.nan)
    found = circuit.score if isinstance(circuit, NodeCircuit) else circuit.score[circuit.layout.edges]
    return np.asarray(found, np.float64)


def _random(like: Circuit, size: int, draw: np.random.Generator) -> Kept:
    """As many parts by chance."""
    if isinstance(like, ComponentCircuit):
        edges = like.layout.edges
        return grown(like.layout, np.where(edges, draw.random(edges.shape), -np.inf), size)[edges]
    kept = np.zeros(len(like.nodes), bool)
    kept[draw.choice(len(kept), size, replace=False)] = True
    return kept


def _sorts(circuit: Circuit) -> dict[str, Callable[[Kept], Kept]]:
    """What is compared: the parts, and of edges the heads and MLPs that they run between."""
    if isinstance(circuit, NodeCircuit):
        return {circuit.kind: lambda kept: kept}
    return {"edges": lambda kept: kept, "heads and MLPs": lambda kept: components_of(circuit.layout, kept)}


def components_of(layout: Layout, kept: Kept) -> Bool[np.ndarray, " component"]:
    """Which heads and MLPs send or read an edge of a circuit; the input, which is always there, is left out."""
    edges = np.zeros(layout.edges.shape, bool)
    edges[layout.edges] = kept
    used = edges.any(1) | (layout.components & edges.any(0)).any(1)
    return used[len(layout.inputs) :]


def _alike(
    what: str, sort: Callable[[Kept], Kept], held: Bool[np.ndarray, "circuit part"], pairs: list[list[Kept]]
) -> Alike:
    found = sizes(np.stack([sort(one) for one in held]))
    drawn = [sizes(np.stack([sort(one) for one in pair])) for pair in pairs]
    random = np.array([one["both"] / max(1, sum(one.values())) for one in drawn])
    return Alike(what=what, **found, random=random)


def _ranks(
    scores: Float[np.ndarray, "circuit part"], either: Kept, seed: int
) -> tuple[dict[str, RankCorrelation], str]:
    """How far the scores agree, and by what; of parts that both have one of."""
    known = np.isfinite(scores).all(0)
    if not known.any():
        return {}, "not both were chosen by scores"
    signed = bool((scores[:, known] < 0).any(1).all())
    values, by = (scores, "their scores, sign and all") if signed else (np.abs(scores), "the sizes of their scores")
    found = {}
    for name, some in (("all", known), ("in either circuit", known & either)):
        draws = int(np.clip(_NUMBERS // max(1, int(some.sum())), 20, DRAWS))
        found[name] = rank_correlation(*values[:, some], seed, draws)
    return found, by
