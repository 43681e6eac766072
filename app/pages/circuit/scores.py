"""The scores that stay in sight: of the whole graph, of what the sliders leave, and of what is pinned."""

from functools import lru_cache

from dash import html

from app.components.parts import Parts, stat
from app.library.graphs import body, graph_of
from app.pages.circuit import components
from circuits.graph.component_graph import ComponentGraph
from circuits.graph.graph import CircuitGraph
from circuits.supernodes.scores_beside import Part, pinned_part, pinned_units, pruned_part, score_lines


def bar(found: CircuitGraph) -> html.Section:
    """The panel, with the numbers of the whole graph; the others follow."""
    first = components.stats(found, None) if isinstance(found, ComponentGraph) else stats(found, None, None)
    inner = html.Div(first, id="scores-live", className="ow-stats")
    return html.Section(html.Div(inner, className="body"), className="ow-panel", id="scores")


def scores_in_sight(name: str, keep: float, edges: float) -> Parts:
    """Everything, at these shares of the influence."""
    found, of = graph_of(name), body(name)
    return stats(found, pruned(name, of, keep, edges), pinned(name, of, pinned_units(found)))


@lru_cache(maxsize=64)
def pruned(name: str, of: str, keep: float, edges: float) -> Part:
    """What the sliders leave; marks do not change it, so `of` is the digest of the graph's edges."""
    return pruned_part(graph_of(name), keep, edges)


@lru_cache(maxsize=64)
def pinned(name: str, of: str, units: tuple[int, ...]) -> Part | None:
    """The pinned units in the graph of this digest."""
    return pinned_part(graph_of(name), units)


def stats(found: CircuitGraph, left: Part | None, mine: Part | None) -> Parts:
    """One number after the other: the whole graph large, the parts below it."""
    shown = [(stat(label, value, note), meaning) for label, value, note, meaning in score_lines(found, left, mine)]
    for part, meaning in shown:
        part.title = meaning or None
    return [part for part, _ in shown]
