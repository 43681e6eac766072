"""A circuit of nodes: which heads, MLPs, neurons or latents are kept, and how they were found."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from probe.errors import BadInput, brief
from probe.show.panels import Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import percent


@dataclass(frozen=True, kw_only=True)
class NodeCircuit(Record):
    """kind: what its nodes are (`heads`, `neurons`, ...). nodes: the names of all there are of that kind. kept: those of the
    circuit; every other carries something else. score: of each, where it was chosen by one. convention: every choice that
    changes it.

    >>> circuit = ow.named_circuit(model, ["L1H0", "L2H3"])
    >>> circuit.names
    ['L1H0', 'L2H3']
    """

    method: str
    task: str
    kind: str
    nodes: list[str]
    kept: Bool[np.ndarray, " node"]
    score: Float[np.ndarray, " node"] | None = None
    convention: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.kept.sum())

    @property
    def names(self) -> list[str]:
        """Its nodes."""
        return [self.nodes[i] for i in np.flatnonzero(self.kept)]

    @property
    def share(self) -> float:
        """Its nodes as a share of all of that kind."""
        return len(self) / len(self.nodes)

    def rows(self) -> list[dict[str, Any]]:
        """One row a node, with its score where it has one."""
        told = [{} if self.score is None else {"score": float(self.score[i])} for i in np.flatnonzero(self.kept)]
        return [{"node": name, **more} for name, more in zip(self.names, told, strict=True)]

    def panels(self) -> list[Panel]:
        """What it is, and its nodes."""
        return [Sentence(self.summary()), Rows("Its nodes", self.rows(), kinds={"node": "name"})]

    def summary(self) -> str:
        """One sentence."""
        return f"{len(self):,} of {len(self.nodes):,} {self.kind} ({percent(self.share)}), found by {self.method} on {self.task}."


def kept_named(nodes: list[str], names: list[str], kind: str) -> Bool[np.ndarray, " node"]:
    """Which nodes are those of these names. BadInput for one that is none of them."""
    place = {name: i for i, name in enumerate(nodes)}
    if unknown := [name for name in names if name not in place]:
        raise BadInput(f"{brief(unknown[0])} is none of this model's {kind}; they are named like {nodes[0]}.")
    kept = np.zeros(len(nodes), bool)
    kept[[place[name] for name in names]] = True
    return kept
