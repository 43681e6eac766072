"""What a circuit between components must do, as Wang et al. (2023) ask: be faithful, complete, and without much to spare.

    faithful     1 - |1 - f|: with every other edge carrying the corrupted run, f of the way is left; more than all is no better
    complete     1 - max |f(C \\ K) - f(M \\ K)| over sets of components K, none among them: what the model still does without K,
                 the circuit does
    minimal      f(C) - f(C without its weaker half): nothing is there in vain

beside circuits of as many random edges (of `complete` with nothing taken from them, which is the most that they can reach); for
`minimal` beside adding as many random edges that are not in it. The circuit is the best edges by EAP-IG on the other half of the
pairs, a fiftieth of the model's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from circuits.edge_attribution.scores import EdgeScores
from circuits.search.circuit import connected
from circuits.search.select import chosen
from circuits.studies.claim import Measured
from circuits.studies.component_circuits.cuts import Cuts, Edges, out_of
from circuits.studies.component_circuits.head_sets import sets_run
from circuits.studies.component_circuits.shares import measured_of, share
from circuits.studies.study import Bench, Scale, Table

SHARE, FEWEST = 0.02, 12
"""Of the model's edges, how many make a circuit; a small model's has a dozen."""


def size_of(scores: EdgeScores) -> int:
    """How many edges a circuit has."""
    total = int(scores.layout.edges.sum())
    return min(total, max(FEWEST, round(SHARE * total)))


@dataclass(frozen=True)
class CircuitClaims:
    """A circuit found on one half of the pairs, and the other half to try it on. without: sets of components by name, as senders,
    that are taken away from circuit and model alike."""

    bench: Bench
    cuts: Cuts
    scores: EdgeScores
    without: Mapping[str, Int[np.ndarray, " sender"]]

    def measured(self) -> tuple[dict[str, Measured], list[Table]]:
        """The three claims, and what each circuit keeps."""
        seed, way, edges = self.bench.scale.seed, self.cuts.way, self.cuts.layout.edges
        circuit, half = (
            connected(self.scores.layout, chosen(self.scores, size))
            for size in (size_of(self.scores), size_of(self.scores) // 2)
        )
        half &= circuit
        whole, kept = self._left(circuit), self._left(half)
        draw, n, spare = np.random.default_rng(seed), int(circuit.sum()), int(circuit.sum() - half.sum())
        random = [share(self._left(_random(edges, n, draw)), way) for _ in range(self._sets)]
        more = [
            share(self._left(circuit | _random(edges & ~circuit, spare, draw)) - whole, way) for _ in range(self._sets)
        ]
        faithful = [1 - abs(1 - f) for f in random]
        found = {
            "circuit-faithful": measured_of(whole[:, None], way, lambda f: 1 - np.abs(1 - f[0]), faithful, seed),
            "circuit-complete": measured_of(
                self._apart(circuit, whole), way, lambda f: 1 - np.abs(f).max(0), faithful, seed
            ),
            "circuit-minimal": measured_of((whole - kept)[:, None], way, lambda f: f[0], more, seed),
        }
        rows = [
            {"circuit": name, "edges": size, "share of the way left": left}
            for name, size, left in (
                ("all of it", n, share(whole, way)),
                ("its stronger half", n - spare, share(kept, way)),
                ("random edges", n, float(np.mean(random)) if random else None),
            )
        ]
        return found, [Table("Circuits on the pairs they were not found on", rows)]

    @property
    def _sets(self) -> int:
        return sets_run(self.bench.scale)

    def _left(self, kept: Edges) -> Float[np.ndarray, " pair"]:
        found = self.cuts.left(kept)
        self.bench.step(1)
        return found

    def _apart(self, circuit: Edges, whole: Float[np.ndarray, " pair"]) -> Float[np.ndarray, "pair set"]:
        """How far the circuit is from the model, without nothing and without each set."""
        gone = [out_of(self.cuts.layout, some) for some in self.without.values() if len(some)]
        each = [self._left(circuit & ~cut) - self._left(self.cuts.layout.edges & ~cut) for cut in gone]
        return np.stack([whole - self.cuts.way, *each], 1)


def _random(among: Edges, size: int, draw: np.random.Generator) -> Edges:
    kept = np.zeros(among.size, bool)
    at = np.flatnonzero(among)
    kept[draw.choice(at, min(size, len(at)), replace=False)] = True
    return kept.reshape(among.shape)


def runs_of(scale: Scale, sets: int) -> float:
    """About how many runs the three claims take. sets: how many sets of components are taken away."""
    return 2 * sets_run(scale) + 2 + 2 * sets
