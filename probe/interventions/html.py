"""A run with and without changes in a notebook."""

from typing import TYPE_CHECKING

from probe.show.beside import shows
from probe.show.html import block, table_html
from probe.show.notebook_token_strip import tokens_html

if TYPE_CHECKING:
    from probe.interventions.edited_run import EditedRun


@shows
def edited_html(run: "EditedRun") -> str:
    """What changed in words, where the prediction moved, the candidates, and both continuations."""
    strip = tokens_html(run.tokens, run.kl, "KL from the unchanged prediction, nats", marked=run.pos)
    texts = [{"run": "unchanged", "continues": run.text_before}, {"run": "changed", "continues": run.text_after}]
    more = table_html(texts) if run.text_before is not None else ""
    return block(strip, table_html(run.rows(), "Next token"), more, title=run.summary())
