"""Attention patterns in a notebook: a montage of all, and one large."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from probe.model.unit_names import unit_name
from probe.show.beside import shows
from probe.show.grid import CLEAR, heat_html, levels, picture_html
from probe.show.html import block, note, side_by_side, table_html
from probe.show.values import quoted

if TYPE_CHECKING:
    from probe.heads.patterns import HeadPatterns
    from probe.heads.reading import HeadReading

_THUMB, _GAP, _MOST_HEADS, _LARGE = 14, 1, 1600, 64
_SAID = {"previous_token": "the token before", "induction": "what followed earlier", "self": "the token itself"}


@shows
def heads_html(heads: "HeadPatterns") -> str:
    """All patterns as one picture, the most pronounced ones large, and the numbers of each."""
    layers, count = heads.patterns.shape[:2]
    parts = [_montage(heads.patterns)] if layers * count <= _MOST_HEADS else []
    large, rows = [], []
    for metric, i, h in heads.pronounced():
        large.append(_pattern(heads, i, h, f"{unit_name('head', i, h)} looks at {_SAID[metric]}"))
        rows += heads.rows(metric, 3)
    named = list({row["head"]: row for row in rows}.values())
    return block(
        *parts, side_by_side(*large), table_html(named), title=f"{layers} × {count} heads on {quoted(heads.prompt)}"
    )


@shows
def head_html(reading: "HeadReading") -> str:
    """The tokens that the head attends to most."""
    return table_html(reading.attended(), reading.summary())


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
