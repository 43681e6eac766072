"""What a test of a subgraph means, in sentences: what moved, what was predicted, and whether random subgraphs do as much."""

from typing import TYPE_CHECKING

from circuits.validation.verdicts import chance_words
from probe.words import counted, signed

if TYPE_CHECKING:
    from circuits.validation.records import RootEffect, SubgraphTest

NAMED = 8
"""Nodes that are named; of more, how many there are."""


def meaning(test: "SubgraphTest") -> str:
    """The record in sentences."""
    if not test.first.roots:
        return test.summary()
    top = max(test.first.roots, key=lambda r: r.probability or 0.0)
    held = f"With everything else held, the graph's sums are met to {abs(top.direct - top.predicted_direct):.1g}"
    return f"{_moved(test, top)}. {held}. {_against(test, len(test.first.random))}"


def _moved(test: "SubgraphTest", top: "RootEffect") -> str:
    does = {"scale": f"Scaling by {test.factor:g}", "clamp": "Clamping", "restore": "Patching"}
    names = [name.split(" ")[0] for name in test.first.nodes[:NAMED]]
    more = ", ..." if len(test.first.nodes) > NAMED else ""
    nodes = f"{counted(len(test.first.nodes), 'node')} ({', '.join(names)}{more})"
    moved = f"{does.get(test.mode, 'Ablating')} the {nodes} moves {top.root} by {signed(top.full)}"
    moved += f"; the graph predicted {signed(top.predicted_full)}"
    if top.probability is None or top.probability_after is None:
        return moved
    whose = "Its" if top.other_probability is None else "Its first token's"
    moved += f". {whose} probability goes from {top.probability:.3f} to {top.probability_after:.3f}"
    if top.other_probability is None:
        return moved
    return f"{moved}, the other's from {top.other_probability:.3f} to {top.other_probability_after:.3f}"


def _against(test: "SubgraphTest", n: int) -> str:
    """The subgraph beside random ones, by every measure."""
    said = chance_words(test.verdicts)
    if not test.comparisons:
        return f"{said[0].upper()}{said[1:]}."
    each = "; ".join(
        f"{c.measure} {signed(c.subgraph.mean)}, theirs {signed(c.random.mean)} (p = {c.p:.2g})"
        for c in test.comparisons
    )
    words = (
        f"Beside {counted(n, 'random subgraph')} of as many nodes of the same kinds and layers: {each}. That is {said}."
    )
    shared = test.first.overlap
    return (
        f"{words} They share {100 * shared:.0f} % of their nodes with it, for want of others."
        if shared > 0.05
        else words
    )
