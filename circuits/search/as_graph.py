"""Component circuits as graphs, whoever found them, and which edges of one are looked at.

A circuit that was searched edge by edge knows of each that stays how much worse the model does without it; one that was chosen by
scores has theirs, where they are given; any other only knows which edges are in it.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from circuits.edge_attribution.as_graph import (
    edges_of_graph,
    graph_of,
    layout_of_graph,
    like,
    scores_graph,
    scores_of_graph,
)
from circuits.edge_attribution.scores import EdgeScores
from circuits.graph.component_graph import FIRST, ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.search.circuit import ComponentCircuit
from circuits.search.select import chosen
from probe.errors import BadInput, brief
from probe.model.sizes import model_size
from probe.words import counted

Shown = Literal["strongest", "for", "against", "grown"]
SHOWN: dict[str, str] = {
    "strongest": "strongest either way",
    "for": "most for the right answer",
    "against": "most against it",
    "grown": "grown from the logits",
}
"""Which edges of a graph are looked at, in words."""
MOST = 1000
"""Edges that are looked at, at most."""


def component_graph(found: EdgeScores | ComponentCircuit, scores: EdgeScores | None = None) -> ComponentGraph:
    """Scores of edges, or a circuit, as a graph: stored, drawn and marked like the graph of a prompt.

    Every edge keeps its score, sign and all. scores: of a circuit, those that its edges have.

    >>> scores = ow.eap(model, "greater-than", n=2)
    >>> graph = ow.component_graph(ow.choose_edges(scores, 20), scores)
    >>> len(graph.edges), graph.edges_of_model
    (17, 343)
    """
    if isinstance(found, EdgeScores):
        return scores_graph(found)
    if not isinstance(found, ComponentCircuit):
        raise BadInput(f"Scores of edges or a circuit of them is drawn; {brief(found)} came.")
    if not found.kept.any():
        raise BadInput("This circuit has no edges, so there is nothing to draw.")
    if scores is not None and scores.layout != found.layout:
        raise BadInput("These scores are of another model's edges than the circuit. Give those that it was chosen by.")
    words = f"{found.method} on {found.task}: {counted(len(found), 'edge')}"
    about: dict[str, Any] = {"task": found.task, "method": found.method}
    given = scores.matrix if scores is not None else found.score
    known = given is not None and bool(np.isfinite(given[found.kept]).all())
    score = given if known else _worse_without(found)
    about["searched"] = not known and score is not None
    return like(found, graph_of(found.layout, found.kept, score, words, about, found.convention))


def _worse_without(circuit: ComponentCircuit) -> Float[np.ndarray, "sender receiver"] | None:
    """What a search saw the removal of each edge do, as a score: below 0 where it made things worse. None if it says nothing."""
    worse = {row.get("edge"): row.get("worse by") for row in circuit.found}
    if not all(isinstance(worse.get(name), float | int) for name in circuit.names):
        return None
    score = np.full(circuit.kept.shape, np.nan)
    for name in circuit.names:
        score[circuit.layout.edge(name)] = -float(worse[name])  # type: ignore[arg-type]
    return score


def shown_edges(graph: ComponentGraph, size: int = FIRST, rule: str = "strongest") -> Bool[np.ndarray, " edge"]:
    """`size` of a graph's edges: the `strongest`; those most `for` or `against` the right answer; or `grown` from the logits,
    always the strongest edge into what is there, so that all of them lead there. BadInput for a rule there is not."""
    if rule not in SHOWN:
        raise BadInput(f"There is no choice {brief(rule)}; choose {', '.join(SHOWN)}.")
    if rule == "grown":
        kept = chosen(scores_of_graph(graph), min(size, graph.edges_of_model), "greedy")
        return kept[tuple(edges_of_graph(graph).T)]
    if rule == "strongest":
        return graph.strongest(size)
    way = graph.pushes if rule == "for" else -graph.pushes
    kept = np.zeros(len(way), bool)
    kept[np.argsort(-way, kind="stable")[:size]] = True
    return kept & (way > 0)


def circuit_of_graph(graph: CircuitGraph) -> ComponentCircuit:
    """The edges of a graph as a circuit. BadInput for a graph of a prompt."""
    if not isinstance(graph, ComponentGraph):
        raise BadInput(
            "This is the graph of a prompt; a circuit of components was wanted, as `component_graph` makes them."
        )
    layout = layout_of_graph(graph)
    kept = np.zeros(layout.edges.shape, bool)
    kept[tuple(edges_of_graph(graph).T)] = True
    told = {"method": str(graph.facts.get("method", "")), "task": graph.task}
    return ComponentCircuit(**told, layout=layout, kept=kept, convention=graph.convention)


def mib_of_graph(graph: CircuitGraph) -> dict[str, Any]:
    """A graph as MIB's circuit track reads it (`circuits.search.mib_file`)."""
    from circuits.search.mib_file import write_mib  # needs torch

    circuit = circuit_of_graph(graph)
    scores = scores_of_graph(graph) if isinstance(graph, ComponentGraph) and graph.scored else None
    size = model_size(graph.model)
    width = 0 if size is None else size.d_model
    with TemporaryDirectory() as folder:
        return json.loads(write_mib(circuit, Path(folder) / "circuit.json", scores, width).read_text(encoding="utf8"))
