"""The scores of a graph beside those of what is left of it: of the nodes that hold a share of the influence, and of the pinned
units alone."""

from dataclasses import dataclass

from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.in_words import conservation, units
from circuits.graph.influence import Scores
from circuits.supernodes.subgraph import subgraph_scores
from probe.show.glossary import WORDS
from probe.words import counted

_MEANS = {
    "replacement": "share of influence that ends in tokens and biases",
    "completeness": "share of what nodes read that comes from explained parts",
}


@dataclass(frozen=True)
class Part:
    """Nodes, edges and scores of a part of a graph; of pinned units, how many they are."""

    nodes: int
    edges: int
    scores: Scores


def pruned_part(graph: CircuitGraph, keep: float, edges: float) -> Part:
    """What holds these shares of the influence."""
    left = graph.prune(keep, edges)
    return Part(int(left.nodes.sum()), int(left.edges.sum()), left.scores)


def pinned_units(graph: CircuitGraph) -> tuple[int, ...]:
    """The units that are pinned, in groups or not."""
    able = graph.nodes.where(*UNITS)
    return tuple(i for i in graph.chosen if able[i])


def pinned_part(graph: CircuitGraph, nodes: tuple[int, ...]) -> Part | None:
    """These units, and what they explain by themselves."""
    return Part(len(nodes), 0, subgraph_scores(graph, nodes, n_random=0).scores) if nodes else None


def score_lines(graph: CircuitGraph, pruned: Part | None, pinned: Part | None) -> list[tuple[str, str, str, str]]:
    """Each number of the whole graph: its name, itself, the same of the parts, and what it means."""
    counts = [f"{pruned.nodes:,} pruned"] if pruned else []
    counts += [f"{counted(pinned.nodes, 'unit')} pinned"] if pinned else []
    edges = f"{pruned.edges:,} pruned" if pruned else ""
    return [
        ("conservation", *conservation(graph), ""),
        *(_score(graph, name, pruned, pinned) for name in _MEANS),
        ("nodes", f"{len(graph.nodes):,}", " · ".join(counts) or units(graph), ""),
        ("edges", f"{len(graph.edges):,}", edges, ""),
    ]


def _score(graph: CircuitGraph, name: str, pruned: Part | None, pinned: Part | None) -> tuple[str, str, str, str]:
    parts = {"pruned": pruned, "pinned": pinned}
    beside = " · ".join(f"{what} {getattr(part.scores, name):.3f}" for what, part in parts.items() if part)
    here = "Of the whole graph, of what the sliders leave, of the pinned units alone."
    return name, f"{getattr(graph.scores, name):.3f}", beside or _MEANS[name], f"{name}: {WORDS[name].told()} {here}"
