"""Groups of units that play one part: suggested from the graph, edited by a person, collapsed to read.

Units are clustered by average linkage (scikit-learn) over the likeness of `circuits.supernodes.similarity`: shared top tokens,
direction written, co-influence. A group's score is the mean likeness of its pairs. Chance makes groups too: the same clustering
is run on `SHUFFLES` shuffles of the evidence, and a group that does not beat the best one of its size or larger is `weak`.

    groups = suggest_supernodes(graph, tops={17: ["Paris", "France"], ...})
    groups = groups.rename("Paris", "capital").move("L5N120@3", "capital").split("L7F2", [31, 32], "odd ones")
    graph = groups.store()                                      # kept with the graph from here on
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from jaxtyping import Float, Int

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.graph_arguments import ChosenNodes, GraphName, nodes_named, read_graph
from circuits.supernodes.collapse import Collapsed, collapse_groups
from circuits.supernodes.groups import SHUFFLES, Group, Supernodes, scored
from circuits.supernodes.similarity import Evidence, Weights, likeness, profiles, sets_of, vectors_of
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.show.html import shown
from probe.show.opening import came_from

MOST = 300
"Units clustered when none are named: the most influential of the pruned graph."


Threshold = Annotated[float, Doc("Mean likeness a group needs.", least=0, most=1)]
ShuffleSeed = Annotated[int, Doc("Of the shuffles that show what chance groups.", least=0, most=2147483647)]
UnitsToGroup = Annotated[
    ChosenNodes,
    Doc("Units to group, like `L5N120@3,L6N4`, `top:40` or `pinned`; by default the pruned graph's most influential."),
]


@method("group-by-neighbours", group="circuits")
def suggest_supernodes(
    graph: Annotated[GraphName, Doc("A stored graph.")],
    nodes: UnitsToGroup = None,
    *,
    directions: Annotated[
        Mapping[int, np.ndarray] | None, Doc("The vector that each node writes.", in_python=True)
    ] = None,
    tops: Annotated[
        Mapping[int, Collection[str]] | None, Doc("Tokens that each node promotes or is excited by.", in_python=True)
    ] = None,
    weights: Annotated["Weights | None", Doc("What each kind of likeness counts.", in_python=True)] = None,
    threshold: Threshold = 0.5,
    seed: ShuffleSeed = 0,
) -> Supernodes:
    """Groups of a graph's units that are alike in their neighbours: what the graph says by itself, without its model.

    A group is weak where shuffled evidence makes one as good of its size. Raises BadInput for a node that is no unit.

    >>> directions, tops = ow.unit_evidence(model, graph, ow.most_influential(6)(graph))
    >>> groups = ow.suggest_supernodes(graph, list(directions), directions=directions, tops=tops)
    """
    weights, graph = weights or Weights(), read_graph(graph)
    chosen = compared_units(graph, nodes)
    incoming, outgoing = profiles(graph, chosen)
    evidence = Evidence(
        incoming,
        outgoing,
        None if tops is None else sets_of(tops, chosen.tolist()),
        None if directions is None else vectors_of(directions, chosen.tolist()),
    )
    parts = evidence.parts()
    null = _by_chance(evidence, weights, threshold, seed)
    found = Supernodes(
        graph=graph,
        groups=(),
        nodes=chosen,
        likeness=likeness(parts, weights),
        parts=parts,
        null=null,
        weights=weights,
        threshold=threshold,
        seed=seed,
    )
    groups: list[Group] = []
    for members in _clusters(found.likeness, threshold):
        group = scored(found, tuple(chosen[members].tolist()))
        shared = _shared(evidence.sets, members, tops, chosen)
        group = replace(group, shared=shared, name=_name(graph, group.nodes, shared))
        groups.append(replace(group, name=_unique(group.name, [g.name for g in groups])))
    return came_from(replace(found, groups=tuple(groups)), graph)


def stored_supernodes(graph: CircuitGraph) -> Supernodes:
    """The groups kept with a graph, ready to edit; they have no scores."""
    none = np.zeros((0, 0))
    groups = tuple(Group(name, tuple(nodes), edited=True) for name, nodes in graph.supernodes.items() if nodes)
    return Supernodes(
        graph=graph,
        groups=groups,
        nodes=np.zeros(0, np.int64),
        likeness=none,
        parts={},
        null=[],
        weights=Weights(),
        threshold=float("nan"),
    )


def collapse(
    graph: CircuitGraph, supernodes: Supernodes | None = None, *, alone: Sequence[int | str] | None = None
) -> Collapsed:
    """The graph with every group as one node and edges between groups summed, by default the groups kept with the graph.

    alone: nodes that stay by themselves, by default the pinned ones; tokens and logits always do. What is left is gathered
    in three nodes: other units, unexplained leaves, and biases (with positions and first), so nothing is dropped.

    >>> groups = ow.suggest_supernodes(graph)
    >>> small = ow.collapse(graph, groups)
    """
    read_graph(graph)
    groups = {g.name: g.nodes for g in supernodes.groups} if supernodes is not None else graph.supernodes
    single = [n for x in (graph.pinned if alone is None else alone) for n in graph.find(x)]
    return collapse_groups(graph, groups, single)


def compared_units(graph: CircuitGraph, nodes: ChosenNodes) -> Int[np.ndarray, " unit"]:
    """The units that are grouped: those named, or the most influential of the pruned graph. BadInput for a node that is none."""
    is_unit = graph.nodes.where(*UNITS)
    if nodes is None:
        kept = np.flatnonzero(graph.prune().nodes & is_unit)
        return np.sort(kept[np.argsort(-graph.influence[kept], kind="stable")[:MOST]])
    chosen = np.unique(np.array(nodes(graph) if callable(nodes) else nodes_named(graph, nodes), np.int64))
    wrong = [graph.name(int(n)) for n in chosen if not is_unit[n]]
    if wrong:
        raise BadInput(f"Only units (neurons, latents, heads, MLPs) can be grouped; {', '.join(wrong[:3])} is none.")
    return chosen


def _clusters(likeness: Float[np.ndarray, "unit unit"], threshold: float) -> list[np.ndarray]:
    """Groups of two and more whose members are alike by `threshold` on average, largest first."""
    if len(likeness) < 2:
        return []
    from sklearn.cluster import AgglomerativeClustering

    apart = 1 - likeness
    np.fill_diagonal(apart, 0.0)
    made = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1 - threshold + 1e-12
    ).fit_predict(apart)
    groups = [np.flatnonzero(made == i) for i in range(made.max() + 1)]
    return sorted((g for g in groups if len(g) > 1), key=lambda g: (-len(g), g[0]))


def _by_chance(evidence: Evidence, weights: Weights, threshold: float, seed: int) -> list[tuple[int, float]]:
    """Size and score of every group found in shuffled evidence."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(SHUFFLES if len(evidence.incoming) > 1 else 0):
        alike = likeness(evidence.shuffled(rng).parts(), weights)
        for members in _clusters(alike, threshold):
            pairs = np.triu_indices(len(members), 1)
            found.append((len(members), float(alike[np.ix_(members, members)][pairs].mean())))
    return found


def _shared(
    sets: Sequence[frozenset[str] | None] | None,
    members: np.ndarray,
    tops: Mapping[int, Collection[str]] | None,
    chosen: np.ndarray,
) -> tuple[str, ...]:
    """Tokens in at least half of the members' sets, commonest first, as they were written."""
    if sets is None or tops is None:
        return ()
    count = Counter(w for i in members for w in sorted(sets[i] or ()))
    written = {t.strip().casefold() or t: t.strip() or shown(t) for i in members for t in tops.get(int(chosen[i]), ())}
    enough = [w for w, n in count.items() if n >= max(2, len(members) / 2)]
    return tuple(written[w] for w in sorted(enough, key=lambda w: (-count[w], w)))


def _name(graph: CircuitGraph, nodes: tuple[int, ...], shared: tuple[str, ...]) -> str:
    """Up to two shared tokens that say something, or the units."""
    if words := [w for w in shared if any(c.isalnum() for c in w)]:  # a comma and a line break name nothing
        return " / ".join(words[:2])
    units = list(dict.fromkeys(graph.name(n).split("@", 1)[0] for n in nodes))
    return "+".join(units[:3]) + (f"+{len(units) - 3} more" if len(units) > 3 else "")


def _unique(name: str, taken: Sequence[str]) -> str:
    tries = (name, *(f"{name} ({i})" for i in range(2, len(taken) + 3)))
    return next(n for n in tries if n not in taken)
