"""Feature tables and units in a notebook."""

from typing import TYPE_CHECKING

import numpy as np

from probe.features.example_colours import colour_scale
from probe.features.table import DENSEST
from probe.show.beside import shows
from probe.show.chart import histogram_html
from probe.show.html import block, folded, note, side_by_side, table_html
from probe.show.notebook_token_strip import tokens_html
from probe.words import percent

if TYPE_CHECKING:
    from probe.features.by_weights import UnitWeights
    from probe.features.search import Found
    from probe.features.table import FeatureTable
    from probe.features.unit import Unit

_OPEN_GROUPS = 2
"How many groups of examples stand open; the others open at a click."


@shows
def features_html(table: "FeatureTable") -> str:
    """How dense the units are, and the densest."""
    density = np.asarray(table.column("density"))
    alive = np.log10(density[density > 0])
    counts, edges = np.histogram(alive, bins=40) if len(alive) else (np.zeros(0, int), np.zeros(1))
    words = "log10 of the share of tokens a unit is active at"
    chart = histogram_html(edges.tolist(), counts.tolist(), f"{len(alive):,} living units by density", words)
    rows = table.search(sort="density", descending=True, limit=DENSEST).rows()
    dead = note(f"{percent(table.dead_share)} of the units were never active on {table.n_tokens:,} tokens")
    return block(chart, dead, table_html(rows, "Densest first"), title=repr(table))


@shows
def found_html(found: "Found") -> str:
    """The units found, of how many."""
    return table_html(found.rows(), f"{len(found.units):,} of {found.total:,} units")


@shows
def weights_html(unit: "UnitWeights") -> str:
    """Tokens and units that its weights connect it with."""
    return table_html(unit.lists(), f"{unit.name} by its weights alone")


@shows
def unit_html(unit: "Unit") -> str:
    """What a unit does: its tokens, its activations, and examples over their whole range."""
    low, high = colour_scale(unit)
    scores = [*unit.promoted[:8], *reversed(unit.suppressed[:8])]
    logits = table_html(
        [{"token": s.token, "logit": float(s.score)} for s in scores], "Logits it raises and lowers most"
    )
    chart = histogram_html(unit.edges, unit.counts, "activations", "activation")
    groups = list(dict.fromkeys(e.group for e in unit.examples))
    parts = []
    for i, group in enumerate(groups):
        lines = "".join(
            tokens_html(e.tokens, e.activations, most=max(high, -low), marked=e.peak, value=e.value)
            for e in unit.examples
            if e.group == group
        )
        parts.append(f"{note(group)}{lines}" if i < _OPEN_GROUPS else folded(group, lines))
    return block(side_by_side(logits, chart), table_html(unit.lists()), *parts, title=unit.summary())
