"""Where one head looks on a prompt, as panels: of a query what it looks at, of one of these keys who looks at it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from probe.show.html import shown
from probe.show.panels import Chosen, Panel, Tokens

MARGINS = "above, what a key receives on average; beside, how spread a query looks"
"""What stands at the margins of a pattern (`probe.heads.margins`)."""


def looks(
    tokens: Sequence[str], pattern: Float[np.ndarray, "q_pos k_pos"], query: int = -1, key: int | None = None
) -> Chosen:
    """Both directions of attention, token by token. query, key: where it begins; of a key that is not given the one looked at
    most."""
    query = query % len(tokens)

    def of_key(source: int) -> list[Panel]:
        label = f"Who looks at {token_named(tokens, source, 'key')}"
        return [Tokens(label, tokens, pattern[:, source].tolist(), others=pattern.T)]

    def of_query(token: int) -> list[Panel]:
        label = f"What {token_named(tokens, token, 'query')} looks at"
        looked_at = Tokens(label, tokens, pattern[token].tolist(), picks="source", others=pattern)
        start = key_of(pattern, token, key if token == query else None)
        return [looked_at, Chosen({"source": token + 1}, of_key, {"source": start})]

    return Chosen({"token": len(tokens)}, of_query, {"token": query})


def key_of(pattern: Float[np.ndarray, "q_pos k_pos"], query: int, key: int | None = None) -> int:
    """The key that is told of with a query; of one that is not given, or lies ahead, the one looked at most."""
    return key if key is not None and key <= query else int(np.argmax(pattern[query, : query + 1]))


def token_named(tokens: Sequence[str], pos: int, what: str) -> str:
    """A token by its text, and which query or key it is."""
    return f"{shown(tokens[pos])} ({what} {pos})"
