"""Scores of edges as the graph that pages, notebooks and files of circuits share, and back.

Every edge of the layout whose score is known becomes one edge of the graph with that score, sign and all, in the layout's order.
Queries, keys and values run into their head; keys and values that several heads share into a node of their own, since one score
cannot be shared out among them.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from circuits.edge_attribution.layout import SIDES as READ
from circuits.edge_attribution.layout import Layout
from circuits.edge_attribution.scores import EdgeScores
from circuits.graph.component_graph import SIDES, ComponentGraph
from circuits.graph.graph import KINDS, Edges, Nodes
from probe.artifacts.records import stamp_known
from probe.errors import BadInput
from probe.show.made import made_by, remember
from probe.show.opening import came_from, origin
from probe.words import counted

Places = list[tuple[str, int, int]]
"""Kind, layer and number of every node."""
Receivers = tuple[Int[np.ndarray, " receiver"], Int[np.ndarray, " receiver"]]
"""Of every receiver its node, and which side of it reads."""


def scores_graph(scores: EdgeScores) -> ComponentGraph:
    """These scores as a graph: of every edge what its score is, by component.

    >>> graph = ow.component_graph(ow.eap(model, "greater-than", n=2))
    >>> len(graph.edges), graph.summary()[:31]
    (343, 'EAP on 2 pairs of greater-than:')
    """
    known = scores.layout.edges & np.isfinite(scores.matrix)
    if not known.any():
        raise BadInput("No edge has a score, so there is nothing to draw.")
    facts = {
        "clean": float(scores.clean.mean()),
        "corrupted": float(scores.corrupted.mean()),
        "pairs": len(scores.by_pair),
    }
    words = f"{scores.method} on {counted(len(scores.by_pair), 'pair')} of {scores.task}"
    about = {"task": scores.task, "method": scores.method, "signed": scores.signed, **facts}
    return like(scores, graph_of(scores.layout, known, scores.matrix, words, about, scores.convention))


def graph_of(
    layout: Layout,
    kept: Bool[np.ndarray, "sender receiver"],
    score: Float[np.ndarray, "sender receiver"] | None,
    words: str,
    about: dict[str, Any],
    convention: dict[str, Any],
) -> ComponentGraph:
    """The graph of the kept edges; without scores each has the weight 1."""
    places = _places(layout)
    senders, (receivers, sides) = _senders(layout, places), _receivers(layout, places)
    u, v = np.nonzero(kept)
    weight = np.ones(len(u), np.float32) if score is None else score[u, v]
    if not np.isfinite(weight).all():
        raise BadInput("Some of these edges have a score that is not finite; leave them out.")
    kinds, layers, units = (np.array(column) for column in zip(*places, strict=True))
    width = max(layout.heads)
    pos = [_column(layout, width, *place) for place in places]
    out, into = (np.bincount(ends, weight, len(places)) for ends in (senders[u], receivers[v]))
    net, unknown = np.where(np.isin(kinds, ("kv", "direction")), into, out), np.full(len(places), np.nan)
    said = {
        "scored": score is not None,
        "edges_of_model": int(layout.edges.sum()),
        "layout": {f.name: list(getattr(layout, f.name)) for f in fields(layout)},
    }
    return ComponentGraph(
        prompt=words,
        token_ids=list(range(width + 1)),
        tokens=[*map(str, range(width)), "MLP"],
        nodes=Nodes(
            np.array([KINDS.index(k) for k in kinds]),
            layers,
            np.array(pos),
            units,
            net if score is not None else unknown,
            unknown,
        ),
        edges=Edges(senders[u], receivers[v], weight),
        constant=np.where(kinds == "input", 0.0, np.nan),
        probability=(kinds == "direction").astype(float),
        unit_tokens=[layout.inputs[n] if k == "input" else "logits" if k == "direction" else "" for k, _, n in places],
        residual=float("nan"),
        residual_relative=float("nan"),
        n_layers=layout.n_layers,
        convention={"basis": "task", "method": about.get("method", ""), **convention},
        facts={**about, **said},
        side=sides[v],
    )


def scores_of_graph(graph: ComponentGraph) -> EdgeScores:
    """The scores that a graph was made of, their mean over pairs; of edges that are not in it NaN."""
    layout = layout_of_graph(graph)
    score = np.full(layout.edges.shape, np.nan)
    score[tuple(edges_of_graph(graph).T)] = graph.edges.weight
    ends = [np.array([float(graph.facts.get(which, np.nan))]) for which in ("clean", "corrupted")]
    return EdgeScores(
        method=str(graph.facts.get("method", "")),
        task=graph.task,
        layout=layout,
        by_pair=score[layout.edges][None].astype(graph.edges.weight.dtype),
        clean=ends[0],
        corrupted=ends[1],
        examples=[],
        convention=graph.convention,
        signed=graph.signed,
    )


def layout_of_graph(graph: ComponentGraph) -> Layout:
    """The edges that the graph's model has. BadInput where the graph does not tell."""
    try:
        return Layout(**graph.facts["layout"])
    except (KeyError, TypeError) as error:
        raise BadInput("This circuit does not say which edges its model has; make it again.") from error


def edges_of_graph(graph: ComponentGraph) -> Int[np.ndarray, "edge 2"]:
    """Sender and receiver in the layout of every edge of a graph. BadInput where they do not belong together."""
    layout = layout_of_graph(graph)
    places = _places(layout)
    senders, (receivers, sides) = _senders(layout, places), _receivers(layout, places)
    sender_of = {int(node): i for i, node in enumerate(senders)}
    receiver_of = {(int(node), int(side)): i for i, (node, side) in enumerate(zip(receivers, sides, strict=True))}
    ends = zip(graph.edges.source.tolist(), graph.edges.target.tolist(), graph.side.tolist(), strict=True)
    try:
        return np.array([(sender_of[s], receiver_of[t, side]) for s, t, side in ends], int).reshape(-1, 2)
    except KeyError as error:
        raise BadInput("This circuit has edges that its model has not; make it again.") from error


def like(record: Any, graph: ComponentGraph) -> ComponentGraph:
    """The graph, of the model and the call that the record is of."""
    source, stamp = origin(record), stamp_known(record)
    if stamp is not None:
        graph = replace(graph, model=stamp.name)
    if hasattr(source, "original_model"):
        graph = came_from(graph, source)
    return remember(graph, made_by(record))


def _places(layout: Layout) -> Places:
    """The nodes in the order in which they read and write."""
    found: Places = [("input", -1, i) for i in range(len(layout.inputs))]
    for layer, heads in enumerate(layout.heads):
        shared = layout.kv_heads[layer] if layout.kv_heads[layer] != heads else 0
        found += [("kv", layer, i) for i in range(shared)] + [("head", layer, i) for i in range(heads)]
        found.append(("mlp", layer, -1))
    return [*found, ("direction", layout.n_layers, 0)]


def _column(layout: Layout, width: int, kind: str, layer: int, number: int) -> int:
    """Where a node stands in the picture: heads by number, shared keys and values amid their heads, the MLP last."""
    if kind == "head":
        return number
    if kind == "kv":
        group = layout.heads[layer] // layout.kv_heads[layer]
        return number * group + (group - 1) // 2
    return width if kind == "mlp" else min(width, (width + 1) // 2 + (number if kind == "input" else 0))


def _senders(layout: Layout, places: Places) -> Int[np.ndarray, " sender"]:
    """The node of every sender, which are in the same order."""
    found = np.array([i for i, (kind, *_) in enumerate(places) if kind not in ("kv", "direction")])
    assert len(found) == len(layout.senders)
    return found


def _receivers(layout: Layout, places: Places) -> Receivers:
    """The node and the side of every receiver."""
    at = {place: i for i, place in enumerate(places)}
    nodes, sides = [], []
    for layer in range(layout.n_layers):
        for side in READ:
            kind = "kv" if ("kv", layer, 0) in at and side != "q" else "head"
            nodes += [at[kind, layer, i] for i in range(layout.count(layer, side))]
            sides += [SIDES.index(side)] * layout.count(layer, side)
        nodes.append(at["mlp", layer, -1])
        sides.append(0)
    return np.array([*nodes, len(places) - 1]), np.array([*sides, 0], np.int8)
