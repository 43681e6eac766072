"""The strongest units of a prompt in a notebook."""

from typing import TYPE_CHECKING

from probe.show.beside import shows
from probe.show.html import block, table_html
from probe.show.notebook_token_strip import tokens_html

if TYPE_CHECKING:
    from probe.neurons.strongest import TopUnits


@shows
def units_html(units: "TopUnits") -> str:
    """How much the strongest unit writes at each token, and the strongest units of the last one."""
    strip = tokens_html(units.tokens, units.strongest(), "how much the strongest unit writes at each token (norm)")
    rows = units.rows() if units.tokens else []
    return block(strip, table_html(rows, "At the last token"), title=units.summary())
