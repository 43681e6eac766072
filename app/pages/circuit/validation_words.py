"""What the test of a pinned subgraph found, in sentences and tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from app.components.drawn import Drawn
from probe.artifacts.json import Json
from probe.show import glossary
from probe.words import counted, signed

if TYPE_CHECKING:
    from circuits.faithfulness.sufficiency import Sufficiency
    from circuits.validation.records import RootEffect, SubgraphTest


def meaning(test: "SubgraphTest") -> str:
    """The record in sentences: what moved, what was predicted, and whether random subgraphs do as much."""
    first, n = test.first, len(test.first.nodes)
    top = max(first.roots, key=lambda r: r.probability or 0.0)
    does = {"ablate": "Setting to zero", "scale": f"Multiplying by {test.factor:g}", "restore": "Restoring"}[test.mode]
    moved = f"{does} the {counted(n, 'pinned node')} moves {top.root} by {signed(top.full)}"
    moved += f"; the graph predicted {signed(top.predicted_full)}"
    if top.probability is not None and top.probability_after is not None:
        whose = "Its" if top.other_probability is None else "Its first token's"
        moved += f". {whose} probability goes from {top.probability:.3f} to {top.probability_after:.3f}"
        if top.other_probability is not None:
            moved += f", the other's from {top.other_probability:.3f} to {top.other_probability_after:.3f}"
    held = f"With everything else held, the graph's sums are met to {_gap(top)}"
    against = _against(test, len(first.random))
    return f"{moved}. {held}. {against}"


def _against(test: "SubgraphTest", n: int) -> str:
    """The subgraph beside random ones, by every measure."""
    from circuits.validation.verdicts import chance_words

    said = chance_words(test.verdicts)
    if not test.comparisons:
        return f"{said[0].upper()}{said[1:]}."
    each = "; ".join(
        f"{c.measure} {signed(c.subgraph.mean)}, theirs {signed(c.random.mean)} (p = {c.p:.2g})"
        for c in test.comparisons
    )
    words = (
        f"Beside {counted(n, 'random subgraph')} of as many nodes of the same kinds and layers: {each}. That is {said}"
    )
    shared = test.first.overlap
    return f"{words}." + (
        f" They share {100 * shared:.0f} % of their nodes with it, for want of others." if shared > 0.05 else ""
    )


def enough_meaning(found: "Sufficiency") -> str:
    """What is left of the likeliest root with the pinned units alone."""
    one = next((r for r in found.roots if not np.isnan(r.share)), None)
    if one is None:
        return "Silencing every unit moves no logit by a hundredth of its value, so what is enough alone cannot be told here."
    random = f"; random subgraphs of the same size keep {100 * np.mean(one.random):.0f} %" if one.random else ""
    kept = f"the {counted(found.n_kept, 'pinned unit')} keep {100 * one.share:.0f} % of what all units together do to {one.root}"
    said = f"the graph predicts {100 * one.predicted_share:.0f} %"
    return (
        f"Alone, with the other {counted(found.n_silenced, 'unit')} of the graph set to zero, {kept} ({said}){random}."
    )


def _gap(top: "RootEffect") -> str:
    return f"{abs(top.direct - top.predicted_direct):.1g}"


def table(rows: Sequence[Json], label: str) -> Drawn:
    """Rows of a record for the page: numbers right, texts left."""
    keys = list(dict.fromkeys(k for row in rows for k in row))
    number = {k: all(isinstance(row.get(k), int | float | None) for row in rows) for k in keys}
    columns = [
        {
            "key": k,
            "label": k.replace("_", " "),
            "kind": "num" if number[k] and k != "n" else "text",
            "title": glossary.meaning(k),
        }
        for k in keys
    ]
    plain = [
        {
            k: None if isinstance(v, float) and not np.isfinite(v) else f"{v:,}" if k == "n" and v is not None else v
            for k, v in row.items()
        }
        for row in rows
    ]
    return {"columns": columns, "rows": plain, "label": label, "sorts": True}


def verdict_table(test: "SubgraphTest", enough: "Sufficiency | None") -> Drawn:
    """Every question by every measure, with its p and n."""
    from circuits.validation.verdicts import verdict_rows

    found = table(verdict_rows([*test.verdicts, *(enough.verdicts if enough else [])]), "What the test says")
    note = "p: share of random subgraphs that do as much, itself counted; n: how many there are. Each measure answers for itself."
    return {**found, "note": note}
