"""Two prompts compared, in a notebook."""

from probe.comparison.prompts import ComparedPrompts
from probe.show.beside import shows
from probe.show.html import table_html


@shows
def compared_html(found: ComparedPrompts) -> str:
    """The next tokens before and after."""
    return table_html(found.rows() if found.candidates else [], found.summary())
