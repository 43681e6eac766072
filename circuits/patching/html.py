"""A patching sweep in a notebook."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from probe.show.beside import shows
from probe.show.grid import heat_html
from probe.show.html import block, table_html

if TYPE_CHECKING:
    from circuits.patching.record import PatchingSweep

_WIDE = 512
"""Columns of the widest heat map."""


def _reach(values: Float[np.ndarray, "layer column"]) -> float:
    """The end of both colours: the whole way, or further where a patch goes further."""
    return max(1.0, float(np.nanmax(np.abs(values), initial=0)))


@shows
def patching_html(sweep: "PatchingSweep") -> str:
    """What each patch restores, as a heat map where the sweep has two axes, and the cells that matter most."""
    parts = []
    if len(sweep.axes) == 2 and sweep.raw.shape[1] <= _WIDE:
        values, n, letter = sweep.effect, sweep.raw.shape[1], "N" if "neuron" in sweep.axes else "H"
        columns = (
            ["/".join(sweep.tokens_at(p)) for p in range(n)]
            if sweep.kind.by_pos
            else [f"{letter}{h}" for h in range(n)]
        )
        rows = [f"L{i}" for i in range(values.shape[0])]
        title = "what one patch moves: blue towards the clean run (1: all the way), red towards the corrupted one"
        parts.append(heat_html(values[::-1], rows[::-1], columns, title, high=_reach(values), signed=True))
    return block(*parts, table_html(sweep.rows(12), "Patches that move the metric most"), title=sweep.title())
