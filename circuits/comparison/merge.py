"""Several prompts' graphs as one: which units come back, how strong they are, and how sure that is.

A unit keeps its identity from prompt to prompt (`circuits.comparison.identity`): with align="none" wherever it is active, with
align="end" at one distance from the last token, for prompts of one template. For every unit and edge: how many prompts hold
it, mean and standard deviation over all prompts, and a bootstrap interval that resamples whole prompts.

A graph has only its strongest units as nodes; the others are in its `rest` nodes. So a unit that a prompt does not hold counts
as 0 there, which is a little less than it is: means of influence are lower bounds, and `mean_held` is the mean over prompts
that hold it. Influence is divided by the probability the graph explains, so that a sure and an unsure prompt count alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.comparison.identity import Identities, identities, is_unit
from circuits.graph.graph import KINDS, CircuitGraph, Kinds, of_kinds
from circuits.graph.graph_arguments import GraphName, read_graph
from circuits.graph.influence import normalised
from probe.artifacts.json import finite
from probe.errors import BadInput
from probe.methods import Doc, method
from probe.show.panels import Figure, Panel, Rows, Sentence
from probe.show.record import Record
from probe.statistics import Intervals, bootstrap_each


@dataclass(frozen=True, kw_only=True)
class MergedGraph(Record, figure=True):
    """The union of several prompts' graphs.

    nodes: names, kinds, layers, units and places of the distinct nodes. held, influence: per prompt and node; activation NaN
    where not held. source, target: ends of the strongest edges, numbers of nodes; weight: per prompt and edge, 0 where absent,
    and edge_held says where it is not. notes: what differs between the graphs.
    """

    prompts: list[str]
    model: str
    nodes: Identities
    held: Bool[np.ndarray, "prompt key"]
    influence: Float[np.ndarray, "prompt key"]
    activation: Float[np.ndarray, "prompt key"]
    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, "prompt edge"]
    edge_held: Bool[np.ndarray, "prompt edge"]
    dictionaries: dict[str, str]
    convention: dict[str, Any]
    notes: list[str]
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def spread(self) -> Intervals:
        """Influence of every node over prompts."""
        return bootstrap_each(self.influence, self.resamples, self.seed)

    @cached_property
    def edge_spread(self) -> Intervals:
        """Weight of every kept edge over prompts."""
        return bootstrap_each(self.weight, self.resamples, self.seed)

    @property
    def overlap(self) -> float:
        """Mean over pairs of prompts of shared units / units of either: 1 where all prompts hold the same units."""
        held = self.held[:, is_unit(self.nodes)].astype(np.float64)
        both = held @ held.T
        either = held.sum(1)[:, None] + held.sum(1)[None] - both
        pairs = np.triu_indices(len(held), 1)
        found = both[pairs] / np.maximum(either[pairs], 1)
        return float(found.mean()) if len(found) else float("nan")

    def rows(self, k: int | None = 30, *, kind: Kinds = ()) -> list[dict[str, Any]]:
        """Nodes, strongest on average first; only those of one `kind` or several (`units`: all kinds of units)."""
        order = np.argsort(-self.spread.mean, kind="stable")
        order = order[of_kinds(self.nodes.kind, kind)[order]]
        return [self._row(int(i)) for i in order[:k]]

    def _row(self, i: int) -> dict[str, Any]:
        held = self.held[:, i]
        known = self.activation[held & ~np.isnan(self.activation[:, i]), i]
        return {
            "node": self.nodes.names[i],
            "kind": KINDS[self.nodes.kind[i]],
            "prompts": int(held.sum()),
            **self.spread.row(i, "influence"),
            "mean_held": float(self.influence[held, i].mean()),
            "activation": float(known.mean()) if len(known) else None,
        }

    def edge_rows(self, k: int | None = 30) -> list[dict[str, Any]]:
        """The kept edges, those that carry most influence on average first."""
        return [
            {
                "from": self.nodes.names[self.source[i]],
                "to": self.nodes.names[self.target[i]],
                "prompts": int(self.edge_held[:, i].sum()),
                **self.edge_spread.row(i, "weight"),
                "mean_held": float(self.weight[self.edge_held[:, i], i].mean()),
            }
            for i in range(len(self.source))[:k]
        ]

    def panels(self) -> list[Panel]:
        """What comes back in every prompt and what does not, and what differs between the graphs."""
        return [
            Figure("Influence over prompts", self.figure),
            Rows("Nodes, strongest on average first", self.rows(100)),
            *[Rows("Edges", edges) for edges in [self.edge_rows(100)] if edges],
            Sentence(self.summary()),
            *map(Sentence, self.notes),
        ]

    def to_dict(self, k: int | None = 200) -> dict[str, Any]:
        """Ready for JSON; the k strongest nodes and edges, all of them for None."""
        return {
            "prompts": self.prompts,
            "model": self.model,
            "dictionaries": self.dictionaries,
            "n_nodes": len(self.nodes),
            "n_in_all_prompts": int(self.held.all(0).sum()),
            "n_edges_kept": len(self.source),
            "overlap": finite(self.overlap),
            "notes": self.notes,
            "convention": self.convention,
            "nodes": self.rows(k),
            "edges": self.edge_rows(k),
        }

    def summary(self) -> str:
        """One sentence: how many prompts, and what they share."""
        shared, most = int(self.held.all(0).sum()), self.rows(1)
        strongest = f"; strongest on average {most[0]['node']}" if most else ""
        return f"{len(self.prompts)} prompts, {len(self.nodes)} distinct nodes, {shared} in all{strongest}."


@method("merge-graphs", group="circuits")
def merge_graphs(
    graphs: Annotated[Sequence[GraphName], Doc("Stored graphs of one model.")],
    *,
    align: Annotated[
        Literal["none", "end", "position"],
        Doc("`none`: units wherever they are active; `end` or `position`: at one place."),
    ] = "none",
    roots: Annotated[
        Literal["token", "rank"], Doc("`token`: a logit is its token; `rank`: the first, second, ... of its prompt.")
    ] = "token",
    max_edges: Annotated[int, Doc("Edges kept, the strongest on average.", least=1)] = 5000,
    resamples: Annotated[int, Doc("Of the bootstrap over prompts.", least=1, most=100_000)] = 1000,
    seed: Annotated[int, Doc("Of the bootstrap.", least=0, most=2147483647)] = 0,
) -> MergedGraph:
    """Several prompts' graphs as one: which units come back, how strong, with intervals over prompts.

    With `end` and `position`, tokens are known by place, not by what they are; `rank` is for prompts with different answers.
    Raises BadInput for graphs of different models, or with different dictionaries at one place.

    >>> merged = ow.merge_graphs([graph, other])
    >>> len(merged.prompts)
    2
    """
    graphs = [read_graph(one) for one in graphs]
    _check_mergeable(graphs)
    at = identities(graphs, align, roots=roots, by_id=align == "none")
    held = np.stack([at.present(i) for i in range(len(graphs))])
    mass = [max(float(g.probability.sum()), 1e-30) for g in graphs]
    influence = np.stack([at.total(i, g.influence) / m for i, (g, m) in enumerate(zip(graphs, mass, strict=True))])
    activation = np.stack([at.total(i, g.nodes.activation) for i, g in enumerate(graphs)])
    chosen = _strongest(graphs, at, mass, max_edges)
    found = [_weights(at.pairs(i, graphs), g.edges.weight, chosen) for i, g in enumerate(graphs)]
    convention = {
        "align": align,
        "roots": roots,
        "influence": "divided by the probability each graph explains; 0 in a prompt where the unit is no node",
        "interval": f"95% bootstrap over prompts, {resamples} resamples, seed {seed}",
        "edges": f"the {max_edges} that carry most influence on average",
    }
    return MergedGraph(
        prompts=[g.prompt for g in graphs],
        model=graphs[0].model,
        nodes=at,
        held=held,
        influence=np.nan_to_num(influence),
        activation=activation,
        source=chosen // len(at),
        target=chosen % len(at),
        weight=np.stack([w for w, _ in found]),
        edge_held=np.stack([h for _, h in found]),
        dictionaries=graphs[0].dictionaries,
        convention=convention,
        notes=_notes(graphs),
        resamples=resamples,
        seed=seed,
    )


def _check_mergeable(graphs: Sequence[CircuitGraph]) -> None:
    if not graphs:
        raise BadInput("There is no graph to merge; give one for each prompt.")
    first = graphs[0]
    for i, graph in enumerate(graphs[1:], 2):
        if (graph.model, graph.n_layers) != (first.model, first.n_layers):
            raise BadInput(
                f"Graph {i} is of {graph.model or 'an unnamed model'} ({graph.n_layers} layers), graph 1 of "
                f"{first.model or 'an unnamed model'} ({first.n_layers}). Only graphs of one model can be merged; "
                "`difference` compares two models."
            )
        for slot in sorted(set(first.dictionaries) | set(graph.dictionaries)):
            one, other = first.dictionaries.get(slot), graph.dictionaries.get(slot)
            if one != other:
                raise BadInput(
                    f"At {slot}, graph {i} has {other or 'no dictionary'} and graph 1 {one or 'no dictionary'}. A latent is "
                    "the same only within one dictionary: trace all prompts with the same ones."
                )


def _notes(graphs: Sequence[CircuitGraph]) -> list[str]:
    """Choices that change numbers and are not the same in all graphs."""
    notes = []
    for key in sorted({k for g in graphs for k in g.convention}):
        values = list(dict.fromkeys(str(g.convention.get(key)) for g in graphs))
        if len(values) > 1:
            notes.append(f"{key} differs between the graphs: {', '.join(values[:4])}")
    if 1 < len(graphs) < 5:
        notes.append(f"An interval from {len(graphs)} prompts is rough; five or more are better.")
    return notes


def _strongest(
    graphs: Sequence[CircuitGraph], at: Identities, mass: Sequence[float], most: int
) -> Int[np.ndarray, " edge"]:
    """Ends of the edges that carry most influence on average. Each graph proposes its strongest, to keep memory bounded."""
    keys, flows = [], []
    for i, (graph, m) in enumerate(zip(graphs, mass, strict=True)):
        flow = normalised(graph) * (graph.influence + graph.probability)[graph.edges.target] / m
        mine, place = np.unique(at.pairs(i, graphs), return_inverse=True)
        flow = np.bincount(place.ravel(), flow, minlength=len(mine))
        top = np.argpartition(-flow, 10 * most)[: 10 * most] if len(flow) > 10 * most else np.arange(len(flow))
        keys.append(mine[top])
        flows.append(flow[top])
    found, place = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.bincount(place.ravel(), np.concatenate(flows), minlength=len(found))
    return found[np.argsort(-total, kind="stable")[:most]]


def _weights(
    pairs: Int[np.ndarray, " edge"], weight: Float[np.ndarray, " edge"], chosen: Int[np.ndarray, " kept"]
) -> tuple[Float[np.ndarray, " kept"], Bool[np.ndarray, " kept"]]:
    """Summed weight of each chosen edge in one graph, and whether the graph has it."""
    if not len(chosen):
        return np.zeros(0), np.zeros(0, bool)
    order = np.argsort(chosen)
    place = np.minimum(np.searchsorted(chosen[order], pairs), len(chosen) - 1)
    hit = chosen[order][place] == pairs
    rows = order[place[hit]]
    summed = np.bincount(rows, weight[hit].astype(np.float64), minlength=len(chosen))
    return summed, np.bincount(rows, minlength=len(chosen)) > 0
