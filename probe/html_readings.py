"""What a prompt's readings look like in a notebook: the lens, the heads, the strongest units, an edited run."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from probe.html import block, note, side_by_side, table_html
from probe.html_grid import CLEAR, cells_html, heat_html, levels, picture_html
from probe.html_tokens import tokens_html
from probe.record import quoted

if TYPE_CHECKING:
    from probe.edited import EditedRun
    from probe.heads import HeadPatterns
    from probe.lens import LensResult
    from probe.neurons import TopUnits

POSITIONS, LAYERS = 10, 16
"Columns and rows of a lens table; the last positions, layers evenly spaced."
_THUMB, _GAP, _MOST_HEADS, _LARGE = 14, 1, 1600, 64
_SAID = {"previous_token": "the token before", "induction": "what followed earlier", "self": "the token itself"}


def lens_html(lens: "LensResult") -> str:
    """Loss of each token, the likeliest token by layer and position, and the model's own prediction."""
    n, layers = len(lens.tokens), len(lens.layers)
    at = list(range(max(0, n - POSITIONS), n))
    some = sorted({*range(layers - 1, -1, -max(1, -(-layers // LAYERS))), 0}, reverse=True)
    words = [[lens.top_tokens[i][p][0] for p in at] for i in some]
    part = (
        ""
        if len(at) == n and len(some) == layers
        else f": {len(some)} of {layers} layers, {len(at)} of {n:,} positions"
    )
    grid = cells_html(
        words,
        np.asarray(lens.top_probs)[np.ix_(some, at, [0])][..., 0],
        [lens.layers[i] for i in some],
        [lens.tokens[p] for p in at],
        f"Likeliest next token, layer by position{part}; the fuller the colour, the surer",
        1.0,
    )
    said = table_html(lens.next_tokens(), f"Next token, after position {n - 1}")
    return block(
        tokens_html(lens.tokens, lens.loss, "loss of each token, nats"),
        grid,
        said,
        title=f"Logit lens of {quoted(lens.prompt)}",
    )


def heads_html(heads: "HeadPatterns") -> str:
    """All patterns as one picture, the most pronounced ones large, and the numbers of each."""
    layers, count = heads.patterns.shape[:2]
    parts = [_montage(heads.patterns)] if layers * count <= _MOST_HEADS else []
    large, rows = [], []
    for metric in ("previous_token", "induction", "self"):
        values = np.nan_to_num(heads.metrics[metric], nan=-1.0)
        if values.size and values.max() > 0:
            i, h = np.unravel_index(int(values.argmax()), values.shape)
            large.append(_pattern(heads, int(i), int(h), f"L{i}H{h} looks at {_SAID[metric]}"))
            rows += heads.rows(metric, 3)
    named = list({row["head"]: row for row in rows}.values())
    return block(
        *parts, side_by_side(*large), table_html(named), title=f"{layers} × {count} heads on {quoted(heads.prompt)}"
    )


def _montage(patterns: Float[np.ndarray, "layer head q_pos k_pos"]) -> str:
    """Every head's pattern, small: layers across, heads down. The square root is drawn, so that weak attention shows."""
    layers, heads = patterns.shape[:2]
    side = _THUMB + _GAP
    pixels = np.full((heads * side, layers * side), CLEAR, np.uint8)
    for i in range(layers):
        for h in range(heads):
            small = _thumb(patterns[i, h])
            pixels[h * side : h * side + len(small), i * side : i * side + len(small)] = small
    words = f"every pattern: layers 0 to {layers - 1} across, heads 0 to {heads - 1} down; in each, queries down and keys across"
    return picture_html(pixels, words, min(layers * side * 2, 920)) + note(words)


def _thumb(pattern: Float[np.ndarray, "q_pos k_pos"]) -> UInt8[np.ndarray, "q k"]:
    """At most 14 by 14 pixels, each the strongest attention of its block; what lies ahead is clear."""
    n = len(pattern)
    edges = np.unique(np.linspace(0, n, min(n, _THUMB) + 1).astype(int))
    small = np.maximum.reduceat(np.maximum.reduceat(pattern, edges[:-1], 0), edges[:-1], 1)
    if n < _THUMB:
        small = np.kron(small, np.ones((_THUMB // n, _THUMB // n)))
    return levels(np.where(np.tri(len(small), dtype=bool), np.sqrt(np.clip(small, 0, 1)), np.nan), 0, 1)


def _pattern(heads: "HeadPatterns", layer: int, head: int, title: str) -> str:
    """One pattern with its tokens; of a long prompt the last tokens."""
    tokens = heads.tokens[-_LARGE:]
    values = np.where(np.tri(len(heads.tokens), dtype=bool), heads.patterns[layer, head], np.nan)[-_LARGE:, -_LARGE:]
    part = f" (last {_LARGE} tokens)" if len(heads.tokens) > _LARGE else ""
    return heat_html(values, tokens, tokens, f"{title}{part}", high=1.0)


def units_html(units: "TopUnits") -> str:
    """How much the strongest unit writes at each token, and the strongest units of the last one."""
    most = np.full(len(units.tokens), np.nan)
    for row in units.units:
        most[row.pos] = np.fmax(most[row.pos], row.write_norm)
    strip = tokens_html(units.tokens, most, "how much the strongest unit writes at each token (norm)")
    rows = units.rows() if units.tokens else []
    return block(strip, table_html(rows, "At the last token"), title=units.summary())


def edited_html(run: "EditedRun") -> str:
    """What changed in words, where the prediction moved, the candidates, and both continuations."""
    strip = tokens_html(run.tokens, run.kl, "KL from the unchanged prediction, nats", marked=run.pos)
    texts = [{"run": "unchanged", "continues": run.text_before}, {"run": "changed", "continues": run.text_after}]
    more = table_html(texts) if run.text_before is not None else ""
    return block(strip, table_html(run.rows(), "Next token"), more, title=run.summary())
