"""The difference of two graphs: of two prompts, two checkpoints, or two dictionaries.

Nodes are matched by identity (`circuits.comparison.identity`), and what cannot be matched is never compared in silence
(`circuits.comparison.comparable`); `notes` says so.

A unit that is a node in one graph only was weaker than the weakest node of the other, or inactive there: it has no number to
compare with, not the number 0.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.comparison.comparable import apart_in, changed_conventions, explained, other_roots
from circuits.comparison.identity import Identities, identities
from circuits.comparison.two_rows import correlation, largest, largest_first, pair, sizes, states_of
from circuits.graph.graph import KINDS, CircuitGraph, Kinds, of_kinds
from circuits.graph.graph_arguments import GraphName, read_graph
from circuits.graph.influence import normalised
from probe.artifacts.json import finite
from probe.methods import Doc, method
from probe.show.opening import came_from
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record, in_lines
from probe.show.values import quoted
from probe.words import clip

Match = Literal["auto", "position", "end", "none"]
LISTED, _NOTES = 100, 20  # nodes and edges of a table, notes that are told
Two = Float[np.ndarray, "graph key"]
TwoEdges = Float[np.ndarray, "graph edge"]


@dataclass(frozen=True, kw_only=True)
class GraphDifference(Record, figure=True, page=True):
    """Two graphs side by side; every array has a row for `a` and one for `b`, NaN where that graph lacks the item.

    nodes: the distinct nodes. held: which graph has them. influence, activation, value: theirs (added up where nodes are the
    same). source, target, weight, flow: edges, numbers of nodes; flow: the influence that runs along. notes: what is comparable
    and what not.
    """

    prompts: tuple[str, str]
    models: tuple[str, str]
    nodes: Identities
    held: Bool[np.ndarray, "graph key"]
    influence: Two
    activation: Two
    value: Two
    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: TwoEdges
    flow: TwoEdges
    convention: dict[str, Any]
    notes: list[str]

    @property
    def where(self) -> list[str]:
        """For every node: `a`, `b` or `both`."""
        return states_of(self.held)

    @property
    def overlap(self) -> float:
        """The smaller share of influence of each node, added up: 1 for equal graphs, 0 for strangers."""
        share = np.nan_to_num(self.influence)
        share = share / np.maximum(share.sum(1, keepdims=True), 1e-30)
        return float(share.min(0).sum()) if share.any() else float("nan")

    def rows(self, k: int | None = 30, *, where: str = "", kind: Kinds = ()) -> list[dict[str, Any]]:
        """Nodes whose influence differs most; `where` picks those in `a`, in `b` or in `both`, `kind` those of some kinds."""
        wanted = of_kinds(self.nodes.kind, kind)
        change, states = np.abs(np.diff(np.nan_to_num(self.influence), axis=0)[0]), self.where
        order = [int(i) for i in np.argsort(-change, kind="stable") if wanted[i] and where in ("", states[i])]
        return [
            {
                "node": self.nodes.names[i],
                "kind": KINDS[self.nodes.kind[i]],
                "in": states[i],
                **pair("influence", self.influence[:, i]),
                **pair("activation", self.activation[:, i]),
                **pair("value", self.value[:, i]),
            }
            for i in order[:k]
        ]

    def edge_rows(self, k: int | None = 30) -> list[dict[str, Any]]:
        """Edges whose influence differs most."""
        order = largest_first(np.abs(np.diff(np.nan_to_num(self.flow), axis=0)[0]), k)
        states = states_of(~np.isnan(self.weight[:, order]))
        return [
            {
                "from": self.nodes.names[self.source[i]],
                "to": self.nodes.names[self.target[i]],
                "in": state,
                **pair("weight", self.weight[:, i]),
                **pair("flow", self.flow[:, i]),
            }
            for i, state in zip(order, states, strict=True)
        ]

    def __repr__(self) -> str:
        named, models = " and ".join(quoted(p) for p in self.prompts), [m for m in dict.fromkeys(self.models) if m]
        heading = f"GraphDifference of {named}" + (f" on {clip(' and '.join(models), 60)}" if models else "")
        return in_lines(self, heading, f"{self.counted()}; overlap {self.overlap:.3f}.")

    def counted(self) -> str:
        found = sizes(self.held)
        return f"{found['both']} nodes in both, {found['only_a']} only in a, {found['only_b']} only in b"

    def summary(self) -> str:
        """How many nodes are in both, how much influence they share, and how far the edges of both agree."""
        alike = self.numbers()["edge_correlation"]
        edges = "" if alike is None else f" The weights of edges in both correlate by {alike:.3f}."
        return f"{self.counted()}. They share {self.overlap:.3f} of their influence (1: equal, 0: strangers).{edges}"

    def panels(self) -> list[Panel]:
        """The picture, counts, the nodes and edges that changed most, what differs in words, and what is comparable."""
        counts = self.numbers()
        alike = {"nodes": counts["overlap"], "edges": counts["edge_correlation"]}
        counted = [
            {"what": n, **{k.replace("_", " "): v for k, v in counts[n].items()}, "alike": alike[n]} for n in alike
        ]
        tables = {"both": "Nodes of both that changed most", "a": "Nodes only in a", "b": "Nodes only in b"}
        nodes = [Rows(title, rows) for where, title in tables.items() if (rows := self._listed(where))]
        edges = [{k: v for k, v in row.items() if not k.endswith("change")} for row in self.edge_rows(LISTED)]
        return [
            Figure("Influence in b against influence in a", self.figure),
            Rows("What is in both, and how alike it is", counted),
            *nodes,
            *([Rows("Edges that changed most, by the influence that runs along", edges)] if edges else []),
            Sentence(self.summary()),
            *(Sentence(note) for note in self.notes[:_NOTES]),
        ]

    def _listed(self, where: str) -> list[dict[str, Any]]:
        """Nodes for a table: how their influence changed, or, of those of one graph, its own numbers."""
        numbers = ("influence_change", "influence_a", "influence_b")
        kept = ("node", "kind", *(numbers if where == "both" else (f"influence_{where}", f"activation_{where}")))
        return [{k: row[k] for k in kept} for row in self.rows(LISTED, where=where)]

    def numbers(self) -> dict[str, Any]:
        """Counts, overlap and the largest changes."""
        edges = ~np.isnan(self.weight)
        changes = ("influence", "activation", "value", "weight")
        return {
            "nodes": sizes(self.held),
            "edges": sizes(edges),
            "overlap": finite(self.overlap),
            "largest_change": {name: largest(getattr(self, name)) for name in changes},
            "edge_correlation": correlation(self.weight[:, edges.all(0)]),
        }

    def to_dict(self, k: int | None = 200) -> dict[str, Any]:
        """Ready for JSON; the k nodes and edges that differ most, all of them for None."""
        return {
            "a": {"prompt": self.prompts[0], "model": self.models[0]},
            "b": {"prompt": self.prompts[1], "model": self.models[1]},
            **self.numbers(),
            "notes": self.notes,
            "convention": self.convention,
            "nodes_changed": self.rows(k),
            "edges_changed": self.edge_rows(k),
        }


@method("compare-graphs", group="circuits")
def difference(
    a: Annotated[GraphName, Doc("A stored graph.")],
    b: Annotated[GraphName, Doc("The graph it is compared with.")],
    *,
    match: Annotated[
        Literal["auto", "position", "end", "none"],
        Doc(
            "How positions correspond: from the first token (`position`), from the last (`end`), or added up (`none`)."
        ),
    ] = "auto",
) -> GraphDifference:
    """The difference of two graphs: of two prompts, two checkpoints, or two dictionaries.

    Nodes and edges only in `a`, only in `b`, and in both with what changed. Auto takes `position` for prompts of one length and
    `end` for others. A token is only ever matched with the same token: by its id, or by its text where the models differ.

    >>> gone = ow.difference(graph, other)
    >>> 0 < gone.overlap < 1  # 1: the same weights on the same edges
    True
    """
    a, b = read_graph(a), read_graph(b)
    graphs = (a, b)
    align = match if match != "auto" else "position" if len(a.token_ids) == len(b.token_ids) else "end"
    apart, notes = apart_in(a, b)
    at = identities(graphs, align, apart=apart, by_text=a.model != b.model)
    held = np.stack([at.present(i) for i in (0, 1)])
    kept = {
        "influence": [at.total(i, g.influence / explained(g)) for i, g in enumerate(graphs)],
        "activation": [at.total(i, g.nodes.activation) for i, g in enumerate(graphs)],
        "value": [at.total(i, g.nodes.value) for i, g in enumerate(graphs)],
    }
    keys, weight, flow = _edges(graphs, at)
    record = GraphDifference(
        prompts=(a.prompt, b.prompt),
        models=(a.model, b.model),
        nodes=at,
        held=held,
        influence=np.stack(kept["influence"]),
        activation=np.stack(kept["activation"]),
        value=np.stack(kept["value"]),
        source=keys // len(at),
        target=keys % len(at),
        weight=weight,
        flow=flow,
        convention={
            "match": align,
            "absent": "not a node of that graph; no number, not 0",
            "influence": "per explained probability",
        },
        notes=[*notes, *other_roots(a, b), *changed_conventions(a, b)],
    )
    return came_from(record, a, b)


def _edges(
    graphs: tuple[CircuitGraph, CircuitGraph], at: Identities
) -> tuple[Int[np.ndarray, " edge"], TwoEdges, TwoEdges]:
    """Both graphs' edges as numbers of their two ends; weight and flow of each, NaN where a graph lacks it."""
    summed = []
    for i, graph in enumerate(graphs):
        flow = normalised(graph) * (graph.influence + graph.probability)[graph.edges.target] / explained(graph)
        keys, place = np.unique(at.pairs(i, graphs), return_inverse=True)
        sums = [np.bincount(place.ravel(), w, minlength=len(keys)) for w in (graph.edges.weight, flow)]
        summed.append((keys, *sums))
    keys = np.sort(np.concatenate([summed[0][0], summed[1][0]]))  # numpy's own union hashes, slowly for such numbers
    keys = keys[np.r_[True, keys[1:] != keys[:-1]]] if len(keys) else keys
    weight, flow = np.full((2, len(keys)), np.nan), np.full((2, len(keys)), np.nan)
    for i, (mine, w, f) in enumerate(summed):
        rows = np.searchsorted(keys, mine)
        weight[i, rows], flow[i, rows] = w, f
    return keys, weight, flow
