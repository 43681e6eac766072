"""A graph in a notebook: its strongest links drawn as SVG."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool

from probe.show.beside import shows
from probe.show.html import block, facts_html, note, svg, table_html, text, token_text
from probe.show.values import quoted
from probe.words import counted

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph
    from circuits.graph.influence import Pruned
    from circuits.graph.node_positions import Arrangement

MOST_NODES, MOST_EDGES, MOST_TOKENS = 150, 120, 24
_W, _LAYER, _LEFT, _TOP, _FOOT = 880, 15, 60, 14, 70
_MOST_HEIGHT = 460
Places = dict[int, float]
WITH_COLOUR, AGAINST_COLOUR = "#2f8fd8", "#e0731d"  # lighter than the figures': they are seen on black too


@shows
def graph_html(graph: "CircuitGraph") -> str:
    """The strongest nodes and edges where they stand, whether the graph adds up, and its most influential nodes."""
    if graph.of_task:
        return block(links_html(graph), table_html(graph.rows(12), "Components"), title=graph.summary())
    report = graph.report()
    residual = report["conservation_residual"]
    facts = {
        "conservation residual": "unknown" if residual is None else f"{residual:.1e} of what is summed",
        "replacement score": report["replacement_score"],
        "completeness score": report["completeness_score"],
        "model": graph.model,
        "dictionaries": ", ".join(graph.dictionaries) or "none (neurons)",
    }
    count = f"{counted(len(graph.nodes), 'node')}, {counted(len(graph.edges), 'edge')}"
    title = f"Attribution graph of {quoted(graph.prompt)}: {count}"
    return block(links_html(graph), facts_html(facts), table_html(graph.rows(12), "Most influential"), title=title)


@shows
def pruned_html(pruned: "Pruned") -> str:
    """The nodes that pruning kept, and the most influential of them."""
    return block(links_html(pruned.graph, pruned.nodes), table_html(pruned.rows(15)), title=pruned.summary())


def links_html(graph: "CircuitGraph", chosen: Bool[np.ndarray, " node"] | None = None) -> str:
    """Position across, layer upwards, size by influence; solid edges push their target the way it went, dashed ones do not.

    chosen: nodes to draw, by default those that pruning keeps; of either the most influential, and always what is explained.
    """
    from circuits.graph.node_positions import arranged

    shown = arranged(graph, _strongest(graph, graph.first_shown if chosen is None else chosen))
    step = min(_LAYER, _MOST_HEIGHT / (graph.n_layers + 2))
    wide = (_W - _LEFT - 10) / max(float(shown.columns[-1]), 1.0)
    across = dict(zip(shown.nodes.tolist(), (_LEFT + shown.x * wide).tolist(), strict=True))
    up = dict(zip(shown.nodes.tolist(), (_TOP + (graph.n_layers - shown.y) * step).tolist(), strict=True))
    height = _TOP + (graph.n_layers + 1) * step + _FOOT
    edges = _lines(graph, shown, across, up)
    parts = [*edges, *_marks(graph, across, up), *_labels(graph, (_LEFT + shown.centres * wide).tolist(), step)]
    drawn = (
        f"{len(shown.nodes)} of {len(graph.nodes):,} nodes and {len(edges)} of {len(graph.edges):,} edges are drawn; "
    )
    said = note(f"{drawn}larger nodes have more influence. {graph.lines_mean}")
    return svg(parts, _W, height, "link graph", mono=True) + said


def _strongest(graph: "CircuitGraph", wanted: Bool[np.ndarray, " node"]) -> Bool[np.ndarray, " node"]:
    """Of the wanted nodes the most influential, roots first."""
    order = np.lexsort((-graph.influence, ~graph.roots))
    order = order[wanted[order]][:MOST_NODES]
    shown = np.zeros(len(graph.nodes), bool)
    shown[order] = True
    return shown


def _lines(graph: "CircuitGraph", shown: "Arrangement", across: Places, up: Places) -> list[str]:
    """The edges that carry most influence, faint ones first."""
    from circuits.graph.figures import strongest_edges

    source, target, strength = strongest_edges(graph, shown, None, MOST_EDGES)
    top = float(np.abs(strength).max(initial=0)) or 1.0
    found = []
    for s, t, size in zip(source[::-1].tolist(), target[::-1].tolist(), strength[::-1].tolist(), strict=True):
        share, against = abs(size) / top, f"stroke='{AGAINST_COLOUR}' stroke-dasharray='4 3'"
        look = f"stroke='{WITH_COLOUR}'" if size >= 0 else against
        ends = f"x1='{across[s]:.1f}' y1='{up[s]:.1f}' x2='{across[t]:.1f}' y2='{up[t]:.1f}'"
        found.append(
            f"<line {ends} {look} stroke-width='{0.6 + 1.8 * share:.1f}' stroke-opacity='{0.45 + 0.5 * share:.2f}'/>"
        )
    return found


def _marks(graph: "CircuitGraph", across: Places, up: Places) -> list[str]:
    """Nodes in the colour of their kind: squares are tokens, diamonds what is left over, circles units and answers."""
    from circuits.graph.figures import COLOURS
    from circuits.graph.graph import KINDS

    most = float(graph.influence.max(initial=0)) or 1.0
    found = []
    for i, x in across.items():
        kind, y = KINDS[graph.nodes.kind[i]], up[i]
        r = 2.5 + 6 * float(np.sqrt(max(graph.influence[i] / most, graph.probability[i])))
        name = f"<title>{text(graph.name(i), 80)}, influence {graph.influence[i]:.3g}</title>"
        style = f"fill='{COLOURS[kind]}' stroke='currentColor' stroke-opacity='0.5' stroke-width='0.6'"
        if kind in ("token", "position", "input"):
            found.append(
                f"<rect x='{x - r:.1f}' y='{y - r:.1f}' width='{2 * r:.1f}' height='{2 * r:.1f}' {style}>{name}</rect>"
            )
        elif kind in ("error", "rest", "bias", "first"):
            path = f"M{x:.1f},{y - r:.1f}L{x + r:.1f},{y:.1f}L{x:.1f},{y + r:.1f}L{x - r:.1f},{y:.1f}Z"
            found.append(f"<path d='{path}' {style}>{name}</path>")
        else:
            found.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r:.1f}' {style}>{name}</circle>")
    return found


def _labels(graph: "CircuitGraph", centres: list[float], step: float) -> list[str]:
    """Tokens below, layers at the left."""
    foot = _TOP + (graph.n_layers + 1) * step + 16
    found = []
    for p in range(0, len(graph.tokens), max(1, -(-len(graph.tokens) // MOST_TOKENS))):
        x = centres[p]
        found.append(
            f"<text x='{x:.1f}' y='{foot:.1f}' text-anchor='end' transform='rotate(-30 {x:.1f} {foot:.1f})'>"
            f"{token_text(graph.tokens[p], 14)}</text>"
        )
    every = max(1, -(-graph.n_layers // 10))
    ticks: list[tuple[Any, str]] = [(-1, "embed"), (graph.n_layers, "logits")]
    ticks += [(i, str(i)) for i in range(0, graph.n_layers - every // 2, every)]
    found += [
        f"<text x='{_LEFT - 16}' y='{_TOP + (graph.n_layers - i) * step + 3:.1f}' text-anchor='end' opacity='0.75'>{name}</text>"
        for i, name in ticks
    ]
    return found
