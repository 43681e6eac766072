"""What a head looks at, as scores of its attention pattern: entropy, first token, token before, itself, induction.

Each is averaged over the queries after the first, whose only choice is itself. Induction is the attention paid to the tokens that
followed earlier occurrences of the query's token (Olsson et al. 2022), over the queries that have one.
"""

import numpy as np
from jaxtyping import Bool, Float

from probe.heads.margins import entropy
from probe.words import number

METRICS = ("entropy", "first_token", "previous_token", "self", "induction")
CALLED = {
    "previous_token": "previous token",
    "first_token": "first token",
    "self": "itself",
    "induction": "induction",
    "entropy": "entropy",
}
"""What people call them."""
MEANING = {
    "entropy": "spread of its attention, nats",
    "previous_token": "attention to the token before",
    "first_token": "attention to the first token",
    "self": "attention to the token itself",
    "induction": "attention to what followed earlier copies of the token",
}


def head_metrics(patterns: Float[np.ndarray, "layer head q_pos k_pos"], ids: list[int]) -> dict[str, np.ndarray]:
    """See `HeadPatterns.metrics`."""
    if len(ids) < 2:
        return {m: np.full(patterns.shape[:2], np.nan) for m in METRICS}
    token = np.array(ids)
    # After an earlier occurrence: key k counts for query q if token[k - 1] == token[q] and k <= q.
    follows = np.zeros((len(ids), len(ids)), bool)
    follows[:, 1:] = token[:, None] == token[None, :-1]
    follows &= np.tril(np.ones_like(follows))
    layers = [_layer_metrics(layer, follows) for layer in patterns]  # of all at once: three times the patterns
    return {m: np.stack([layer[m] for layer in layers]) for m in METRICS}


def head_facts(metrics: dict[str, np.ndarray], layer: int, head: int) -> list[tuple[str, str, str]]:
    """The scores of one head: name, value, and what it means."""
    there = [(metric, called) for metric, called in CALLED.items() if metric in metrics]
    return [(called, number(float(metrics[metric][layer, head])), MEANING[metric]) for metric, called in there]


def _layer_metrics(
    patterns: Float[np.ndarray, "head q_pos k_pos"], follows: Bool[np.ndarray, "q_pos k_pos"]
) -> dict[str, Float[np.ndarray, " head"]]:
    late, queries, repeated = patterns[:, 1:], np.arange(1, len(follows)), follows[1:].any(1)
    paid = (late * follows[1:]).sum(-1)
    return {
        "entropy": entropy(late).mean(-1),
        "first_token": late[..., 0].mean(-1),
        "previous_token": patterns[:, queries, queries - 1].mean(-1),
        "self": patterns[:, queries, queries].mean(-1),
        "induction": paid[:, repeated].mean(-1) if repeated.any() else np.full(len(patterns), np.nan),
    }
