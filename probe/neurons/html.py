"""The strongest units of a prompt in a notebook."""

from typing import TYPE_CHECKING

import numpy as np

from probe.show.html import block, table_html
from probe.show.tokens import tokens_html

if TYPE_CHECKING:
    from probe.neurons.strongest import TopUnits


def units_html(units: "TopUnits") -> str:
    """How much the strongest unit writes at each token, and the strongest units of the last one."""
    most = np.full(len(units.tokens), np.nan)
    for row in units.units:
        most[row.pos] = np.fmax(most[row.pos], row.write_norm)
    strip = tokens_html(units.tokens, most, "how much the strongest unit writes at each token (norm)")
    rows = units.rows() if units.tokens else []
    return block(strip, table_html(rows, "At the last token"), title=units.summary())
