"""One graph type for every circuit: what wrote to what, by how much, at which token. No model inside.

Nodes are parallel arrays; edges are a sparse matrix stored as (source, target, weight) with weight > 0 for excitation.
The graph of one prompt is exact: for every explained node,

    value = constant + sum of its incoming edges                                   (conservation)

and `residual` says how far the arithmetic is from that. Kinds of nodes stand in `circuits.graph.nodes`.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.graph import in_words as words
from circuits.graph import influence as through
from circuits.graph.influence import Pruned, Scores
from circuits.graph.nodes import KINDS, PUSHES, ROOTS, UNITS, Edges, Kinds, Nodes, of_kinds
from probe.artifacts.json import finite
from probe.errors import BadInput
from probe.model.unit_names import LETTERS, UnitName, as_text, nearly, unit_name
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.show.values import quoted
from probe.words import counted


@dataclass(frozen=True)
class CircuitGraph(Record, figure=True, page=True):
    """An attribution graph of one prompt.

    prompt: the text. token_ids, tokens: its tokens as ids and as text (special tokens included). constant: the part of a
    node's value that no source explains (encoder constants, norm biases under a reader), 0 for sources. probability: the
    weight of each root: the model's probability of a logit's token, 1 for a direction, 0 for other nodes.
    residual: largest |value - constant - incoming| over explained nodes; NaN where a file of another program holds no values.
    residual_relative: largest such gap divided by the size of its sum, |constant| + incoming |edges|: where these cancel to
    a small value, the model's own rounding is of that size too. convention: every choice that changes a number.
    supernodes, pinned: a person's groups of nodes by name, and the nodes chosen to look at. The rest is provenance.

    >>> graph.name(0), graph.n_layers
    ("token@0 '<bos>'", 4)
    >>> int(graph.prune().nodes.sum()) < len(graph.nodes)
    True
    """

    prompt: str
    token_ids: list[int]
    tokens: list[str]
    nodes: Nodes
    edges: Edges
    constant: Float[np.ndarray, " node"]
    probability: Float[np.ndarray, " node"]
    unit_tokens: list[str]
    residual: float
    residual_relative: float
    n_layers: int
    model: str = ""
    dictionaries: dict[str, str] = field(default_factory=dict)
    convention: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    supernodes: dict[str, list[int]] = field(default_factory=dict)
    pinned: list[int] = field(default_factory=list)

    of_task: ClassVar[bool] = False
    "Whether it is a circuit of components on a task (`ComponentGraph`), and not what one prompt was traced to."

    def summary(self) -> str:
        """One sentence: what it explains, by how many nodes and edges, and how exactly."""
        known = "unknown" if np.isnan(self.residual_relative) else f"{self.residual_relative:.1e}"
        roots = [self.unit_tokens[int(i)] for i in np.flatnonzero(self.roots)]
        named = ", ".join(quoted(r, 24) for r in roots[:3]) or "nothing"
        more = f" and {len(roots) - 3} more" if len(roots) > 3 else ""
        size = f"{counted(len(self.nodes), 'node')} and {counted(len(self.edges), 'edge')}"
        return f"Explains {named}{more} by {size}, which sum to what they explain up to {known}."

    @cached_property
    def explained(self) -> Bool[np.ndarray, " node"]:
        """Nodes whose value the edges explain: units and roots."""
        return self.nodes.where(*UNITS, *ROOTS)

    @cached_property
    def roots(self) -> Bool[np.ndarray, " node"]:
        """What the graph explains in the end: logits and directions."""
        return self.nodes.where(*ROOTS)

    @property
    def chosen(self) -> list[int]:
        """Pinned nodes and members of groups, each once."""
        return list(dict.fromkeys([*self.pinned, *(i for members in self.supernodes.values() for i in members)]))

    @cached_property
    def way(self) -> Int[np.ndarray, " node"]:
        """Which way every node went: -1 for a unit below zero, 1 for every other node. See `pushes`."""
        value = np.where(np.isnan(self.nodes.value), self.nodes.activation, self.nodes.value)
        return np.where(self.nodes.where(*UNITS) & (value < 0), -1, 1)

    @cached_property
    def pushes(self) -> Float[np.ndarray, " edge"]:
        """Every edge's weight, above 0 where it pushes its target the way that went. Into a unit at -22 a negative edge makes it
        more of what it is, so it counts as positive here. Roots keep their sign: an edge raises or lowers what is explained."""
        return self.edges.weight * self.way[self.edges.target]

    def flow(self, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """How much influence runs along these edges."""
        e, size = self.edges, np.abs(self.edges.weight).astype(np.float64)
        ends, total = e.target[rows], np.bincount(e.target, size, minlength=len(self.nodes))
        return size[rows] / np.maximum(total, 1e-30)[ends] * (self.influence + self.probability)[ends]

    @cached_property
    def influence(self) -> Float[np.ndarray, " node"]:
        """Influence of every node on the logits, through paths of every length."""
        return through.influence(self)

    @cached_property
    def cancellation(self) -> Float[np.ndarray, " node"]:
        """Share of every node's influence that is lost to paths of opposite sign; NaN where it has none."""
        return through.cancellation(self)

    @cached_property
    def scores(self) -> Scores:
        """`Scores(replacement, completeness, kept)` of the whole graph."""
        return through.scores(self)

    def prune(self, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
        """`Pruned(nodes, edges, scores)`: the fewest nodes and edges that hold these shares of the influence."""
        return through.prune(self, node_threshold, edge_threshold)

    @property
    def lines_mean(self) -> str:
        """What every picture of the edges says of its lines."""
        return PUSHES

    @property
    def first_shown(self) -> Bool[np.ndarray, " node"]:
        """Nodes that a picture begins with: what pruning keeps."""
        return self.prune().nodes

    def incoming(self, node: int) -> Edges:
        """Edges into a node, strongest first."""
        return self.edges_at(self.numbers_of(node, "in"))

    def outgoing(self, node: int) -> Edges:
        """Edges out of a node, strongest first."""
        return self.edges_at(self.numbers_of(node, "out"))

    def numbers_of(self, node: int, direction: Literal["in", "out"]) -> Int[np.ndarray, " some"]:
        """Which edges run into a node or out of it, strongest first."""
        rows = np.flatnonzero((self.edges.target if direction == "in" else self.edges.source) == node)
        return rows[np.argsort(-np.abs(self.edges.weight[rows]), kind="stable")]

    def edges_at(self, rows: Int[np.ndarray, " some"]) -> Edges:
        """Some of the edges, by number."""
        return Edges(self.edges.source[rows], self.edges.target[rows], self.edges.weight[rows])

    def other_end(self, edge: int, direction: Literal["in", "out"]) -> str:
        """The node that an edge comes from, or runs into."""
        return self.name(int((self.edges.source if direction == "in" else self.edges.target)[edge]))

    def name(self, node: int) -> str:
        """`L5N120@3 ' is'`: what a node is and where."""
        kind, layer = KINDS[self.nodes.kind[node]], int(self.nodes.layer[node])
        pos, unit = int(self.nodes.pos[node]), int(self.nodes.unit[node])
        where = f"@{pos} {self.tokens[pos]!r}"
        if kind in LETTERS:
            return f"{unit_name(kind, layer, unit, pos)} {self.tokens[pos]!r}"
        if kind in ROOTS:
            return f"{kind} {self.unit_tokens[node]!r}"
        return f"{kind}{where}" if kind in ("token", "position") else f"L{layer} {kind}{where}"

    def rows(self, k: int | None = 20, *, kind: Kinds = ()) -> list[dict[str, Any]]:
        """The k most influential nodes as rows for a table; only those of one `kind` or several (`units`: all kinds of units)."""
        order = np.argsort(-self.influence, kind="stable")
        return [self.row(int(i)) for i in order[of_kinds(self.nodes.kind, kind)[order]][:k]]

    def row(self, node: int) -> dict[str, Any]:
        """One node as a row for a table; cancellation: the share of its influence lost to paths of opposite sign."""
        return {
            "node": self.name(node),
            "kind": KINDS[self.nodes.kind[node]],
            "influence": float(self.influence[node]),
            "cancellation": finite(self.cancellation[node]),
            "activation": finite(self.nodes.activation[node]),
        }

    def find(self, name: str | int | UnitName) -> list[int]:
        """Nodes by name: `L5N120@3 ' is'` or `L5N120@3` is one, `L5N120` one for every position, a number itself.

        Raises BadInput where there is none.
        """
        name = as_text(name)
        if not isinstance(name, str | int | np.integer) or isinstance(name, bool):
            raise BadInput(f"A node is its name or its number; {type(name).__name__} {str(name)[:40]} came.")
        if not isinstance(name, str) or name.strip().isdecimal():
            found = [int(name)] if 0 <= int(name) < len(self.nodes) else []
        else:
            found = self._names.get(name.strip(), [])
            if not found and name.strip() in ROOTS and self.nodes.where(name.strip()).sum() == 1:
                found = [int(i) for i in np.flatnonzero(self.nodes.where(name.strip()))]
        if not found:
            roots = ", ".join(self.name(int(i)) for i in np.flatnonzero(self.roots)[:5])
            raise BadInput(
                f"This graph has no node {name!r} among its {len(self.nodes)}.{nearly(str(name))} A node is written L5N120@3 "
                "(neuron 120 of layer 5 at position 3; F for a latent, H for a head), L5N120 for every position, or by "
                f"its number. What is explained: {roots}; where there is only one, `logit` or `direction` will do."
            )
        return found

    @cached_property
    def _names(self) -> dict[str, list[int]]:
        """Nodes by full name, by name without the token's text, and by name without the position."""
        found: dict[str, list[int]] = {}
        for i in range(len(self.nodes)):
            full = self.name(i)
            what = full if self.roots[i] else full.split("@", 1)[0]
            for key in {full, what, what if self.roots[i] else f"{what}@{self.nodes.pos[i]}"}:
                found.setdefault(key, []).append(i)
        return found

    def tokens_of_root(self, root: int) -> tuple[int, ...]:
        """The token of a logit, the two of a difference of logits, none of any other direction."""
        unit = int(self.nodes.unit[root])
        if self.nodes.where("logit")[root]:
            return (unit,)
        return tuple(self._direction(unit).get("difference", ()))

    def _direction(self, number: int) -> dict[str, Any]:
        """What the graph says of one of its directions; nothing where a file says nothing that can be read."""
        told = self.convention.get("directions", [])
        found = told[number] if isinstance(told, list) and number < len(told) else {}
        return found if isinstance(found, dict) else {}

    def target(self, root: int) -> dict[str, Any]:
        """A root in the report. probability: of a logit's token; of a difference, of the first token, the other's beside it."""
        named = {"token": self.unit_tokens[root]}
        if self.nodes.where("logit")[root]:
            chances: dict[str, Any] = {"probability": float(self.probability[root])}
        else:
            known = self._direction(int(self.nodes.unit[root])).get("probabilities") or (None,)
            chances = dict(zip(("probability", "other_probability"), known, strict=False))
        return {**named, **chances, "logit": finite(self.nodes.value[root])}

    def told(self) -> list[str]:
        """The graph in sentences."""
        return words.told(self)

    def panels(self) -> list[Panel]:
        """What it explains and by how much, its picture, and its most influential nodes."""
        return [
            Figure("Circuit", self.figure),
            Rows("Most influential nodes", self.rows(100)),
            Sentence(self.summary()),
            *map(Sentence, self.told()),
        ]

    def report(self) -> dict[str, Any]:
        """The numbers of this graph, ready for JSON."""
        logits = np.flatnonzero(self.roots)
        numbers = {
            "prompt": self.prompt,
            "model": self.model,
            "n_tokens": len(self.token_ids),
            "n_nodes": len(self.nodes),
            "n_edges": len(self.edges),
            "nodes_by_kind": {k: int(n) for k in KINDS if (n := self.nodes.where(k).sum())},
            "targets": [self.target(int(i)) for i in logits],
            "conservation_residual": finite(self.residual_relative),
            "conservation_residual_absolute": finite(self.residual),
            "replacement_score": self.scores.replacement,
            "completeness_score": self.scores.completeness,
            "dictionaries": self.dictionaries,
            "convention": self.convention,
        }
        return {**numbers, **{k: v for k, v in self.facts.items() if k not in numbers}}

    def to_dict(self) -> dict[str, Any]:
        """The report with the most influential nodes."""
        return {**self.report(), "top_nodes": self.rows()}
