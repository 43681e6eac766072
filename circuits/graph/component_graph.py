"""The circuit of a task: how much every edge between heads and MLPs matters to its metric. A graph like that of a prompt.

Nodes are components, wherever they stand in a prompt: the input, every head, keys and values that heads share, every MLP, the
logits. An edge is one sender read by one side of a receiver (its queries, keys, values, or all of it), so two nodes may have
three edges. Its weight is its score: what the metric changes by when the edge carries what its sender writes in the corrupted
run.

    size(node) = sum over its edges of |score|            edges out of it; into shared keys and values, which write nothing
    net(node)  = sum over its edges of score              to first order, the change if all of them carried the corrupted run

Scores do not add up to what they run into, so there is no conservation, and influence through paths is not asked: a score holds
everything after the edge already. What rests on either is refused (`circuits.graph.graph_arguments.read_graph`).
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.graph.graph import CircuitGraph
from circuits.graph.influence import Pruned, Scores
from circuits.graph.nodes import KINDS, ROOTS
from probe.artifacts.json import finite
from probe.errors import BadInput
from probe.model.unit_names import UnitName, as_text
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.words import counted, figures, percent

SIDES = ("", "q", "k", "v")
"""What of its receiver an edge is read by: all of an MLP or the logits, or queries, keys, values of a head."""
FOR, OPPOSED = "speaks for the right answer", "speaks against it"
SPEAKS = (
    "Solid blue edges speak for the right answer: without them the metric falls. Dashed orange ones speak against it."
)
CARRIES = "Edges are drawn by how much they carry, which speaks neither for the right answer nor against it."
FIRST = 100
"""Edges that a picture begins with."""


@dataclass(frozen=True)
class ComponentGraph(CircuitGraph, figure=True, page=True):
    """How a task's edges between components matter.

    prompt: what it is a circuit of, in words; there is no single prompt. tokens: the columns of the picture, heads by number and
    the MLP; nodes.pos is their place there. side: of each edge, an index into `SIDES`. facts: `task`, `method`, the metric of
    both runs where it is known, and `layout`, which edges the model has.

    >>> graph = ow.component_graph(ow.eap(model, "greater-than", n=2))
    >>> len(graph.edges), graph.name(0), graph.edge_name(0)
    (343, 'input', 'input->a0.h0<q>')
    """

    side: Int[np.ndarray, " edge"] = field(default_factory=lambda: np.zeros(0, np.int8))

    of_task = True

    @property
    def scored(self) -> bool:
        """Whether its edges have scores; a circuit that was searched may only know which edges are in it."""
        return bool(self.facts.get("scored", True))

    @property
    def signed(self) -> bool:
        """Whether a score speaks for the right answer or against it; some say how much an edge carries, and no more."""
        return self.scored and bool(self.facts.get("signed", True))

    @property
    def searched(self) -> bool:
        """Whether its scores are what a search saw on removing each edge: how much better or worse the circuit got."""
        return bool(self.facts.get("searched", False))

    @property
    def lines_mean(self) -> str:
        """What every picture of the edges says of its lines."""
        if self.searched:
            return "Solid blue edges are those without which the search found the circuit worse; dashed orange ones, better."
        return SPEAKS if self.signed else CARRIES if self.scored else "An edge that is drawn is in the circuit."

    @property
    def edges_of_model(self) -> int:
        """How many edges the model has; a circuit holds some of them."""
        return int(self.facts.get("edges_of_model", len(self.edges)))

    @cached_property
    def pushes(self) -> Float[np.ndarray, " edge"]:
        """Above 0 where an edge speaks for the right answer: without it the metric falls. Above 0 for all where none says so."""
        return -self.edges.weight if self.signed else np.ones(len(self.edges))

    @cached_property
    def size(self) -> Float[np.ndarray, " edge"]:
        """How much each edge matters: |score|."""
        return np.abs(self.edges.weight).astype(np.float64)

    def flow(self, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """How much these edges matter."""
        return self.size[rows]

    @cached_property
    def influence(self) -> Float[np.ndarray, " node"]:
        """Size of every node: the |score| of its edges together."""
        return self._over_edges(self.size)

    @cached_property
    def net(self) -> Float[np.ndarray, " node"]:
        """The scores of every node's edges together; of the logits, of those into them."""
        into = self.roots | self.nodes.where("kv")
        out, inward = (self._sum(ends, self.edges.weight) for ends in (self.edges.source, self.edges.target))
        return np.where(into, inward, out)

    @cached_property
    def cancellation(self) -> Float[np.ndarray, " node"]:
        """Share of every node's size that edges of opposite sign take from each other; NaN where it has none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            lost = 1 - np.abs(self._over_edges(self.edges.weight)) / self.influence
        return np.where(self.influence > 0, np.clip(lost, 0, 1), np.nan)

    def _over_edges(self, weight: Float[np.ndarray, " edge"]) -> Float[np.ndarray, " node"]:
        """Of every node, the sum over its edges out; into shared keys and values. Nothing of the logits, which are explained."""
        shared = self.nodes.where("kv")[self.edges.target]
        return self._sum(self.edges.source, weight) + self._sum(self.edges.target[shared], weight[shared])

    def _sum(self, ends: Int[np.ndarray, " some"], weight: Float[np.ndarray, " some"]) -> Float[np.ndarray, " node"]:
        return np.bincount(ends, weight.astype(np.float64), minlength=len(self.nodes)).astype(
            np.float64
        )  # of none: whole

    @cached_property
    def scores(self) -> Scores:
        """Refused: replacement and completeness are of graphs that sum to what they explain."""
        raise self._cannot("Replacement and completeness are")

    def prune(self, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
        """Refused: see `circuits.choose_edges` for circuits of a size."""
        raise self._cannot("Pruning by influence is")

    def _cannot(self, what: str) -> BadInput:
        said = f"{what} asked of the graph of one prompt; this is a circuit of components on {self.task}, whose scores"
        return BadInput(
            f"{said} already hold all that comes after an edge. Take a size: `choose_edges`, `faithfulness`."
        )

    @property
    def task(self) -> str:
        """What it is a circuit of."""
        return str(self.facts.get("task", ""))

    def strongest(self, k: int = FIRST) -> Bool[np.ndarray, " edge"]:
        """The k edges of largest |score|."""
        kept = np.zeros(len(self.edges), bool)
        kept[np.argsort(-self.size, kind="stable")[:k]] = True
        return kept

    def touched(self, edges: Bool[np.ndarray, " edge"]) -> Bool[np.ndarray, " node"]:
        """The ends of these edges; the input, the logits and what is pinned always."""
        found = self.roots | self.nodes.where("input")
        found[[*self.edges.source[edges], *self.edges.target[edges], *self.chosen]] = True
        return found

    @property
    def first_shown(self) -> Bool[np.ndarray, " node"]:
        """The ends of the strongest edges."""
        return self.touched(self.strongest())

    def name(self, node: int) -> str:
        """`a5.h3`, `a5.kv1`, `m5`, `input`, `logits`, as the literature on edges writes them."""
        kind, layer, unit = KINDS[self.nodes.kind[node]], int(self.nodes.layer[node]), int(self.nodes.unit[node])
        if kind == "mlp":
            return f"m{layer}"
        return (
            self.unit_tokens[node] if kind in ("input", *ROOTS) else f"a{layer}.{'h' if kind == 'head' else kind}{unit}"
        )

    def other_end(self, edge: int, direction: Literal["in", "out"]) -> str:
        """`m3 (q)`, which is read as queries; `a9.h1<q>`, whose queries read it."""
        side, end = SIDES[int(self.side[edge])], super().other_end(edge, direction)
        return end if not side else f"{end} ({side})" if direction == "in" else f"{end}<{side}>"

    def edge_name(self, edge: int) -> str:
        """`a0.h1->a1.h2<q>`."""
        side = SIDES[int(self.side[edge])]
        ends = self.name(int(self.edges.source[edge])), self.name(int(self.edges.target[edge]))
        return "->".join(ends) + (f"<{side}>" if side else "")

    def find(self, name: str | int | UnitName) -> list[int]:
        """Nodes by name (`a5.h3`, or `L5H3` for a head) or number. BadInput where there is none."""
        unit = UnitName.parse(text, "head") if isinstance(text := as_text(name), str) else None
        return super().find(name if unit is None else f"a{unit.layer}.h{unit.unit}")

    def row(self, node: int) -> dict[str, Any]:
        """One component as a row: what its edges come to, the size of that, and the share that cancels."""
        return {
            "node": self.name(node),
            "kind": KINDS[self.nodes.kind[node]],
            "net score": float(self.net[node]),
            "sum of |score|": float(self.influence[node]),
            "cancellation": finite(self.cancellation[node]),
        }

    def edge_rows(self, k: int | None = 50) -> list[dict[str, Any]]:
        """The k strongest edges, by name."""
        return [
            {"edge": self.edge_name(i), **({"score": float(self.edges.weight[i])} if self.scored else {})}
            for i in np.argsort(-self.size, kind="stable")[:k].tolist()
        ]

    def held(self, edges: Bool[np.ndarray, " edge"]) -> float:
        """Share of all |score| that these edges hold."""
        return float(self.size[edges].sum() / max(float(self.size.sum()), 1e-30))

    def summary(self) -> str:
        """One sentence: of what, how many edges, the strongest."""
        share = f" of {self.edges_of_model:,} ({percent(len(self.edges) / max(1, self.edges_of_model))})"
        size = f"{counted(len(self.edges), 'edge')}{share if len(self.edges) < self.edges_of_model else ''}"
        first = self.edge_rows(1)
        most = f"; the strongest is {first[0]['edge']}, {figures(first[0]['score'])}" if first and self.scored else ""
        return f"{self.prompt}: {size} between components{most}."

    def told(self) -> list[str]:
        """The circuit in sentences."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.report()["nodes_by_kind"].items())
        ends = [
            (which, self.facts[which]) for which in ("clean", "corrupted") if isinstance(self.facts.get(which), float)
        ]
        metric = ", ".join(f"{figures(value)} {which}" for which, value in ends)
        return [
            f"{self.model or 'a model without a name'}: {self.prompt}",
            f"{counted(len(self.nodes), 'node')} ({kinds}), {counted(len(self.edges), 'edge')} of {self.edges_of_model:,}",
            *([f"the metric is {metric}"] if metric else []),
            *([f"pinned: {', '.join(map(self.name, self.pinned))}"] if self.pinned else []),
        ]

    def panels(self) -> list[Panel]:
        """Its picture, its components, its strongest edges."""
        return [
            Figure("Circuit", self.figure),
            Rows("Components", self.rows(100)),
            Rows("The strongest edges", self.edge_rows()),
            Sentence(self.summary()),
        ]

    def report(self) -> dict[str, Any]:
        """Its numbers, ready for JSON."""
        numbers = {
            "prompt": self.prompt,
            "model": self.model,
            "n_nodes": len(self.nodes),
            "n_edges": len(self.edges),
            "nodes_by_kind": {k: int(n) for k in KINDS if (n := self.nodes.where(k).sum())},
            "targets": [{"token": self.unit_tokens[int(i)]} for i in np.flatnonzero(self.roots)],
            "convention": self.convention,
        }
        return {**numbers, **{k: v for k, v in self.facts.items() if k not in numbers}}
