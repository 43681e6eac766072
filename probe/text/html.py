"""Windows of text in a notebook."""

from probe.show.beside import shows
from probe.show.html import facts_html
from probe.text.tokens import TokenSet


@shows
def token_set_html(found: TokenSet) -> str:
    """How many rows, tokens and documents."""
    counts = {"rows": len(found), "tokens a row": found.context, "tokens of text": found.n_text}
    return facts_html({**counts, "documents": len(found.documents)}, "Token set")
