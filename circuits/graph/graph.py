"""One graph type for every circuit: what wrote to what, by how much, at which token. No model inside.

Nodes are parallel arrays; edges are a sparse matrix stored as (source, target, weight) with weight > 0 for excitation.
The graph of one prompt is exact: for every explained node,

    value = constant + sum of its incoming edges                                   (conservation)

and `residual` says how far the arithmetic is from that. Kinds of nodes:

    token      the token embedding read at one position          neuron     one MLP neuron at one position
    position   a learned position embedding                      latent     one dictionary latent at one position
    bias       what a layer writes whatever it reads: attention  rest       the units of one layer that are not nodes
               output and value biases, norm biases, MLP output  error      what a dictionary fails to reconstruct
               and decoder biases                                logit      one output token, demeaned over the vocabulary
    first      all that a layer's units write at the first       direction  what is read along a given direction, or the
               position, where that is the same in every prompt             difference of two logits
    head       one attention head at one (query) position        mlp        a whole MLP at one position

Tokens, positions, biases, `first`, `rest` and `error` are leaves. Logits and directions are roots: what the graph explains.
A head or a whole MLP writes a vector, so its value is what that vector contributes to the roots (weighted by `probability`)
through every path of the frozen model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from probe.errors import BadInput, brief
from probe.model.unit_names import LETTERS, nearly, unit_name
from probe.show.opening import Opens
from probe.show.record import Record, Table, quoted
from probe.words import counted

KINDS = (
    *("token", "position", "bias", "neuron", "latent", "rest", "error", "logit"),
    *("first", "mlp", "head", "direction"),
)
"""Kinds of nodes; stored as indices, so new ones go to the end."""
UNITS = ("neuron", "latent", "mlp", "head")
ROOTS = ("logit", "direction")


Kinds = str | Sequence[str]
"""One kind of nodes by its name, or several; `units` and `roots` stand for all of theirs, none for every kind."""
_SETS = {"units": UNITS, "unit": UNITS, "roots": ROOTS, "root": ROOTS}


def of_kinds(kinds: Int[np.ndarray, " node"], wanted: Kinds) -> Bool[np.ndarray, " node"]:
    """Mask of the nodes whose kind is wanted. BadInput for a kind there is not."""
    if not isinstance(wanted, Sequence) or not all(isinstance(w, str) for w in wanted):
        raise BadInput(f"Kinds of nodes are named in text, one or a list of them; {brief(wanted)} came.")
    if not wanted:
        return np.ones(len(kinds), bool)
    names = [n for w in ([wanted] if isinstance(wanted, str) else wanted) for n in _SETS.get(w, (w,))]
    if unknown := [n for n in names if n not in KINDS]:
        raise BadInput(
            f"There is no kind of node {unknown[0]!r}. Kinds are {', '.join(KINDS)}; `units` are all of {', '.join(UNITS)}."
        )
    return np.isin(kinds, [KINDS.index(n) for n in names])


@dataclass(frozen=True)
class Nodes(Record):
    """Parallel arrays over nodes, in topological order: sources first, logits last.

    kind: index into `KINDS`. layer: -1 for embeddings, n_layers for logits. pos: token position. unit: neuron, latent or head
    index, vocabulary id for tokens and logits, number of a direction, -1 where there is none. value: activation of a
    neuron, pre-activation of a latent, demeaned logit of a logit; NaN for leaves. activation: what a neuron or latent
    writes with, NaN for others.
    """

    kind: Int[np.ndarray, " node"]
    layer: Int[np.ndarray, " node"]
    pos: Int[np.ndarray, " node"]
    unit: Int[np.ndarray, " node"]
    value: Float[np.ndarray, " node"]
    activation: Float[np.ndarray, " node"]

    def __len__(self) -> int:
        return len(self.kind)

    def where(self, *kinds: str) -> Bool[np.ndarray, " node"]:
        """Mask of the nodes of these kinds."""
        return np.isin(self.kind, [KINDS.index(k) for k in kinds])


@dataclass(frozen=True)
class Edges(Record):
    """Parallel arrays over edges."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class CircuitGraph(Table, Opens):
    """An attribution graph of one prompt.

    prompt: the text. token_ids, tokens: its tokens as ids and as text (special tokens included). constant: the part of a
    node's value that no source explains (encoder constants, norm biases under a reader), 0 for sources. probability: the
    weight of each root: the model's probability of a logit's token, 1 for a direction, 0 for other nodes.
    residual: largest |value - constant - incoming| over explained nodes; NaN where a file of another program holds no values.
    residual_relative: largest such gap divided by the size of its sum, |constant| + incoming |edges|: where these cancel to
    a small value, the model's own rounding is of that size too. convention: every choice that changes a number.
    supernodes, pinned: a person's groups of nodes by name, and the nodes chosen to look at. The rest is provenance.
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

    @cached_property
    def influence(self) -> Float[np.ndarray, " node"]:
        """Influence of every node on the logits, through paths of every length."""
        from circuits.graph.influence import influence

        return influence(self)

    @cached_property
    def cancellation(self) -> Float[np.ndarray, " node"]:
        """Share of every node's influence that is lost to paths of opposite sign; NaN where it has none."""
        from circuits.graph.influence import cancellation

        return cancellation(self)

    @cached_property
    def scores(self) -> Any:
        """`Scores(replacement, completeness, kept)` of the whole graph."""
        from circuits.graph.influence import scores

        return scores(self)

    def prune(self, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Any:
        """`Pruned(nodes, edges, scores)`: the fewest nodes and edges that hold these shares of the influence."""
        from circuits.graph.influence import prune

        return prune(self, node_threshold, edge_threshold)

    def incoming(self, node: int) -> Edges:
        """Edges into a node, strongest first."""
        return self._edges(self.edges.target == node)

    def outgoing(self, node: int) -> Edges:
        """Edges out of a node, strongest first."""
        return self._edges(self.edges.source == node)

    def _edges(self, mask: Bool[np.ndarray, " edge"]) -> Edges:
        rows = np.flatnonzero(mask)
        rows = rows[np.argsort(-np.abs(self.edges.weight[rows]), kind="stable")]
        return Edges(self.edges.source[rows], self.edges.target[rows], self.edges.weight[rows])

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
            "cancellation": _number(self.cancellation[node]),
            "activation": _number(self.nodes.activation[node]),
        }

    def find(self, name: str | int) -> list[int]:
        """Nodes by name: `L5N120@3 ' is'` or `L5N120@3` is one, `L5N120` one for every position, a number itself.

        Raises BadInput where there is none.
        """
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
        return {**named, **chances, "logit": _number(self.nodes.value[root])}

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
            "conservation_residual": _number(self.residual_relative),
            "conservation_residual_absolute": _number(self.residual),
            "replacement_score": self.scores.replacement,
            "completeness_score": self.scores.completeness,
            "dictionaries": self.dictionaries,
            "convention": self.convention,
        }
        return {**numbers, **{k: v for k, v in self.facts.items() if k not in numbers}}

    def to_dict(self) -> dict[str, Any]:
        """The report with the most influential nodes."""
        return {**self.report(), "top_nodes": self.rows()}

    def figure(self, **options: Any) -> Any:
        """Link graph: position across, layer upwards, size by influence."""
        from circuits.graph.figures import graph_figure

        return graph_figure(self, **options)

    def save(self, folder: Path | str, **facts: Any) -> Path:
        """Write the graph as an artifact folder."""
        from circuits.graph.store import save_graph

        return save_graph(self, folder, **facts)

    def _repr_html_(self) -> str:
        from circuits.graph.html import graph_html

        return graph_html(self)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
