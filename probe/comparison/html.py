"""Two prompts compared, in a notebook."""

from probe.comparison.prompts import ComparedPrompts
from probe.show.beside import shows
from probe.show.html import block, table_html
from probe.show.notebook_token_strip import aligned_html


@shows
def compared_html(found: ComparedPrompts) -> str:
    """Both prompts token by token, and the next tokens after the last that both have."""
    return block(aligned_html(found.aligned()), table_html(found.rows() if found.candidates else [], found.summary()))
