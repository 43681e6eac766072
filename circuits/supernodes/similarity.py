"""How alike units of a graph are: in the tokens they stand for, the direction they write, and what they do in the graph.

    tokens      shared top tokens: |A and B| / |A or B| of the two sets, spaces and case aside
    direction   cosine of the vectors they write (a neuron that is negative here writes against its output row: give the sign)
    influence   co-influence: cosine of what drives them (shares of their incoming edges, signed) and of what they drive (shares
                of their targets' incoming edges, signed, times the targets' influence), averaged

Each lies in [0, 1]; opposites count as 0, like strangers. What all units have in common says nothing about two of them, so
the mean profile over the graph's units is taken away before the cosine.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.influence import normalised

Pairs = Float[np.ndarray, "unit unit"]


@dataclass(frozen=True)
class Weights:
    """What each kind of likeness counts; a pair that lacks one is judged by the others."""

    tokens: float = 1.0
    direction: float = 1.0
    influence: float = 1.0


def shared_tokens(sets: Sequence[frozenset[str] | None]) -> Pairs:
    """Jaccard overlap of token sets; NaN where one is missing."""
    words = sorted({w for s in sets if s for w in s})
    at = {w: i for i, w in enumerate(words)}
    has = np.zeros((len(sets), len(words)))
    for i, s in enumerate(sets):
        has[i, [at[w] for w in s or ()]] = 1
    both, size = has @ has.T, has.sum(1)
    either = size[:, None] + size[None] - both
    known = np.array([bool(s) for s in sets])
    return np.where(known[:, None] & known[None], both / np.maximum(either, 1), np.nan)


def cosine(vectors: Float[np.ndarray, "unit x"]) -> Pairs:
    """Cosine between rows, opposites as 0; NaN where a row is missing (NaN) or zero."""
    size = np.linalg.norm(vectors, axis=1, keepdims=True)
    known = (np.isfinite(size) & (size > 0))[:, 0]
    unit = np.where(known[:, None], vectors / np.where(known[:, None], size, 1), 0.0)
    return np.where(known[:, None] & known[None], np.clip(unit @ unit.T, 0, 1), np.nan)


def profiles(
    graph: CircuitGraph, nodes: Int[np.ndarray, " unit"]
) -> tuple[Float[np.ndarray, "unit node"], Float[np.ndarray, "unit node"]]:
    """What drives each node and what it drives, less the mean over all units of the graph."""
    e, n = graph.edges, len(graph.nodes)
    share = normalised(graph)
    signed = share * np.sign(graph.pushes)  # two units driven the way each went are driven alike
    out = signed * (graph.influence + graph.probability)[e.target]
    units = graph.nodes.where(*UNITS)
    later = units.sum() - np.cumsum(units)  # units that could read from a node, and that could write to it
    earlier = np.cumsum(units) - units
    pairs = []
    for weight, here, there, able in ((signed, e.target, e.source, later), (out, e.source, e.target, earlier)):
        mine = units[here]
        mean = np.bincount(there[mine], weight[mine], minlength=n) / np.maximum(able, 1)
        rows = coo_array((weight, (here, there)), shape=(n, n)).tocsr()[nodes].toarray()
        pairs.append(np.where(rows != 0, rows - mean, 0.0))
    return pairs[0], pairs[1]


def vectors_of(directions: Mapping[int, np.ndarray], nodes: Sequence[int]) -> Float[np.ndarray, "unit d_model"]:
    """The given vectors as rows, NaN for nodes without one."""
    width = max((len(np.ravel(v)) for v in directions.values()), default=1)
    out = np.full((len(nodes), width), np.nan)
    for i, node in enumerate(nodes):
        if node in directions:
            out[i] = np.ravel(np.asarray(directions[node], float))
    return out


def sets_of(tops: Mapping[int, Collection[str]], nodes: Sequence[int]) -> list[frozenset[str] | None]:
    """Top tokens as sets without outer spaces and case; None for nodes without any."""
    clean = [frozenset(t.strip().casefold() or t for t in tops.get(node, ())) for node in nodes]
    return [s or None for s in clean]


@dataclass(frozen=True)
class Evidence:
    """What is known of each unit. sets, vectors: None where nothing was given."""

    incoming: Float[np.ndarray, "unit node"]
    outgoing: Float[np.ndarray, "unit node"]
    sets: list[frozenset[str] | None] | None
    vectors: Float[np.ndarray, "unit d_model"] | None

    def parts(self) -> dict[str, Pairs]:
        """Each kind of likeness, NaN where a pair lacks it."""
        n = len(self.incoming)
        none = np.full((n, n), np.nan)
        return {
            "tokens": none if self.sets is None else shared_tokens(self.sets),
            "direction": none if self.vectors is None else cosine(self.vectors),
            "influence": mean_known(
                [cosine(self.incoming), cosine(self.outgoing)], [reliance(self.incoming), reliance(self.outgoing)]
            ),
        }

    def shuffled(self, rng: np.random.Generator) -> "Evidence":
        """Nothing shared but by chance: every edge and coordinate with a random sign, tokens dealt out anew."""
        mixed = [
            None if x is None else x * rng.choice([-1.0, 1.0], x.shape)
            for x in (self.incoming, self.outgoing, self.vectors)
        ]
        sets = self.sets
        if sets is not None:
            pool = [w for s in sets if s for w in sorted(s)]
            dealt = iter(rng.permutation(np.array(pool, object)).tolist())
            sets = [frozenset(next(dealt) for _ in s) if s else None for s in sets]
        return Evidence(mixed[0], mixed[1], sets, mixed[2])


def reliance(rows: Float[np.ndarray, "unit node"]) -> Pairs:
    """How far a cosine can be relied on: d / (d + 10). With random signs it has the variance sum a^2 b^2 = 1/d over unit rows,
    so d is the number of edges it effectively rests on."""
    squares = rows**2
    part = squares / np.maximum(squares.sum(1, keepdims=True), 1e-300)
    return 1 / (1 + 10 * (part @ part.T))


def mean_known(parts: Sequence[Pairs], weights: Sequence[Pairs | float]) -> Pairs:
    """Weighted mean over the parts a pair has; 0 where it has none."""
    stack = np.stack(parts)
    weight = np.where(np.isnan(stack), 0.0, np.stack([np.broadcast_to(w, stack.shape[1:]) for w in weights]))
    total = weight.sum(0)
    return np.where(total > 0, np.nansum(stack * weight, axis=0) / np.where(total > 0, total, 1), 0.0)


def likeness(parts: Mapping[str, Pairs], weights: Weights) -> Pairs:
    """One number a pair: the weighted mean of what is known."""
    names = ("tokens", "direction", "influence")
    return mean_known([parts[n] for n in names], [getattr(weights, n) for n in names])
