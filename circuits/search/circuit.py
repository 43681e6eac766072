"""A component circuit: which edges between heads and MLPs are kept, and how they were found."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.layout import Layout
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.words import counted, percent


@dataclass(frozen=True, kw_only=True)
class ComponentCircuit(Record, figure=True):
    """kept: the edges of the circuit, sender by receiver; every other edge carries something else. score: of every edge, where
    it was chosen by one (below 0: it speaks for the right answer). convention: every choice that changes it. found: what the
    search saw on the way, a row an edge that stayed or whose removal was felt (by a tenth of the threshold); empty where none was
    tried.

    >>> circuit = ow.choose_edges(ow.eap(model, "greater-than", n=2), 20, "optimal")
    >>> len(circuit) == len(circuit.names) == len(circuit.rows())
    True
    """

    method: str
    task: str
    layout: Layout
    kept: Bool[np.ndarray, "sender receiver"]
    score: Float[np.ndarray, "sender receiver"] | None = None
    convention: dict[str, Any] = field(default_factory=dict)
    found: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return int(self.kept.sum())

    @cached_property
    def names(self) -> list[str]:
        """Its edges by name, in the order of their senders."""
        return [self.layout.name(int(u), int(v)) for u, v in np.argwhere(self.kept)]

    @property
    def share(self) -> float:
        """Its edges as a share of the model's."""
        return len(self) / int(self.layout.edges.sum())

    def rows(self) -> list[dict[str, Any]]:
        """One row an edge, with its score where it has one."""
        told = [{} if self.score is None else {"score": float(s)} for s in self.scores_kept]
        ends = [dict(zip(("sender", "receiver"), name.split("->"), strict=True)) for name in self.names]
        return [{**names, **more} for names, more in zip(ends, told, strict=True)]

    @property
    def scores_kept(self) -> Float[np.ndarray, " edge"]:
        """The scores of its edges, in the order of `names`; NaN where they were not chosen by one."""
        return np.full(len(self), np.nan) if self.score is None else self.score[self.kept]

    def panels(self) -> list[Panel]:
        """What it is, its picture, and its edges."""
        return [
            *([Figure("The circuit", self.figure)] if len(self) else []),
            Sentence(self.summary()),
            *([Rows("Its edges", self.rows())] if len(self) else []),
            *([Rows("Edges tried", self.found)] if self.found else []),
        ]

    def summary(self) -> str:
        """One sentence."""
        total, asked = int(self.layout.edges.sum()), self.convention.get("edges asked")
        fewer = f"; {asked:,} were asked for" if isinstance(asked, int) and asked > len(self) else ""
        found = f"found by {self.method} on {self.task}{fewer}"
        return f"{counted(len(self), 'edge')} of {total:,} ({percent(self.share)}), {found}."


def connected(
    layout: Layout, kept: Bool[np.ndarray, "sender receiver"], ablation: str = "resample"
) -> Bool[np.ndarray, "sender receiver"]:
    """The edges that lie on a path from the input to the logits: what dangles at either end goes.

    Whoever is read by nobody does nothing. Whoever reads nothing writes what it writes in the corrupted run, so its edges do
    nothing either where removed edges carry that; where they carry a constant, it writes something else, and they stay. (Where a
    norm stands behind attention its heads share a divisor, and what goes still moves it a little.)
    """
    kept, own = kept & layout.edges, layout.components
    while True:
        fed = (own & kept.any(0)).any(1)  # senders some of whose receivers are reached
        fed[: len(layout.inputs)] = True
        fed |= ablation != "resample"
        heard = (own & kept.any(1)[:, None]).any(0)  # receivers whose component is read by someone
        heard[-1] = True
        left = kept & fed[:, None] & heard
        if (left == kept).all():
            return kept
        kept = left


def circuit_of(layout: Layout, names: Iterable[str], **about: Any) -> ComponentCircuit:
    """A circuit of these edges, by name."""
    kept = np.zeros(layout.edges.shape, bool)
    for name in names:
        kept[layout.edge(name)] = True
    return ComponentCircuit(layout=layout, kept=kept, **about)
