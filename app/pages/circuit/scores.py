"""The scores that stay in sight: of the whole graph, of what the sliders leave, and of what is pinned."""

from functools import lru_cache

from dash import html
from dash.development.base_component import Component

from app.components.parts import Parts, stat
from app.library.graphs import body, graph_of
from circuits.graph.graph import UNITS, CircuitGraph
from circuits.graph.influence import Scores
from circuits.graph.told import conservation, units
from circuits.supernodes.subgraph import subgraph_scores
from probe.show.glossary import WORDS
from probe.words import counted

_MEANS = {
    "replacement": "share of influence that ends in tokens and biases",
    "completeness": "share of what nodes read that comes from explained parts",
}


def bar(name: str, found: CircuitGraph) -> html.Section:
    """The panel, with the numbers of the whole graph; the others follow."""
    inner = html.Div(stats(found, None, None), id="scores-live", className="ow-stats")
    return html.Section(html.Div(inner, className="body"), className="ow-panel", id="scores")


def scores_in_sight(name: str, keep: float, edges: float) -> Parts:
    """Everything, at these shares of the influence."""
    found, of = graph_of(name), body(name)
    return stats(found, pruned(name, of, keep, edges), pinned(name, of, chosen_units(found)))


@lru_cache(maxsize=64)
def pruned(name: str, of: str, keep: float, edges: float) -> tuple[int, int, Scores]:
    """Nodes, edges and scores that the sliders leave; marks do not change them, so `of` is the digest of the graph's edges."""
    left = graph_of(name).prune(keep, edges)
    return int(left.nodes.sum()), int(left.edges.sum()), left.scores


def chosen_units(found: CircuitGraph) -> tuple[int, ...]:
    """The units that are pinned, in groups or not."""
    able = found.nodes.where(*UNITS)
    return tuple(i for i in found.chosen if able[i])


@lru_cache(maxsize=64)
def pinned(name: str, of: str, units: tuple[int, ...]) -> tuple[int, Scores] | None:
    """How many units these are, and what they explain by themselves in the graph of this digest."""
    return (len(units), subgraph_scores(graph_of(name), units, n_random=0).scores) if units else None


def stats(found: CircuitGraph, left: tuple[int, int, Scores] | None, mine: tuple[int, Scores] | None) -> Parts:
    """One number after the other: the whole graph large, the parts below it."""

    def score(name: str) -> Component:
        parts = [f"pruned {getattr(left[2], name):.3f}"] if left else []
        parts += [f"pinned {getattr(mine[1], name):.3f}"] if mine else []
        shown = stat(name, f"{getattr(found.scores, name):.3f}", " · ".join(parts) or _MEANS[name])
        here = "Of the whole graph, of what the sliders leave, of the pinned units alone."
        shown.title = f"{name}: {WORDS[name].told()} {here}"
        return shown

    counts = [f"{left[0]:,} pruned"] if left else []
    counts += [f"{counted(mine[0], 'unit')} pinned"] if mine else []
    edges = f"of {len(found.edges):,}: {left[1]:,} pruned" if left else ""
    return [
        stat("conservation", *conservation(found)),
        score("replacement"),
        score("completeness"),
        stat("nodes", f"{len(found.nodes):,}", " · ".join(counts) or units(found)),
        stat("edges", f"{len(found.edges):,}", edges.partition(": ")[2]),
    ]
