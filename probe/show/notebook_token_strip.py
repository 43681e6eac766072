"""Tokens in a notebook: each on a ground coloured by its number, which a tooltip says; aligned where the text wraps."""

from collections.abc import Sequence
from math import isfinite

from probe.show.html import ground, note, number, text, token_text
from probe.show.panels import Aligned

MOST_TOKENS = 400
_STRIP = (
    "font-family:ui-monospace,monospace;font-size:12px;line-height:1.9;white-space:pre-wrap;word-break:break-all;"
    "max-width:1000px"
)
_COLUMN = "display:inline-grid;margin:0 3px 8px 0;text-align:center"
_TOKEN = (
    "padding:2px 1px;border-radius:2px;white-space:pre-wrap;unicode-bidi:isolate;"
    "box-shadow:inset 0 0 0 0.5px rgba(128,128,128,0.35)"
)


def tokens_html(
    tokens: Sequence[str],
    values: Sequence[float] | None = None,
    label: str = "",
    *,
    most: float | None = None,
    marked: int | None = None,
    value: float | None = None,
) -> str:
    """A strip of tokens coloured by `values` (full colour at `most`, by default the largest), and what the colour means.

    marked: the position of a token that is underlined. value: a number written before the strip.
    """
    cut = len(tokens) - MOST_TOKENS
    head = tokens[:MOST_TOKENS]
    given = [float(v) for v in values[: len(head)]] if values is not None else [float("nan")] * len(head)
    finite = [abs(v) for v in given if isfinite(v)]
    top = most or max(finite, default=0.0) or 1.0
    spans = "".join(_token(t, v, top, i == marked) for i, (t, v) in enumerate(zip(head, given, strict=True)))
    words = f"{label}; full colour is {top:.3g}" if label and finite else label
    if cut > 0:
        words += f" (first {MOST_TOKENS} of {len(tokens):,} tokens)"
    said = "" if value is None else f"<span style='opacity:0.75'>{text(f'{value:7.3g}')}  </span>"
    return f"<div style='{_STRIP}'>{said}{spans}</div>{note(words) if words else ''}"


def _token(token: str, value: float, most: float, marked: bool) -> str:
    line = ";border-bottom:2px solid currentColor" if marked else ""
    said = f" title='{text(f'{value:.4g}')}'" if isfinite(value) else ""
    return f"<span{said} style='{_TOKEN};{ground(value, most) if isfinite(value) else ''}{line}'>{token_text(token)}</span>"


def aligned_html(panel: Aligned) -> str:
    """Two rows of tokens as columns that wrap: either token on a ground coloured by its number, below them the column's own."""
    finite = [abs(float(v)) for row in panel.values for v in row if isfinite(v)]
    top = max(finite, default=0.0) or 1.0
    boxes = "".join(
        f"<span style='{_COLUMN}'>{_cell(panel, 0, a, top)}{_cell(panel, 1, b, top)}"
        f"<span style='font-size:10px;opacity:0.8'>{text(number(float(apart))) if isfinite(apart) else '&nbsp;'}</span></span>"
        for (a, b), apart in list(zip(panel.columns, panel.between, strict=True))[:MOST_TOKENS]
    )
    cut = len(panel.columns) - MOST_TOKENS
    rest = f" (first {MOST_TOKENS} of {len(panel.columns):,} columns)" if cut > 0 else ""
    return f"<div style='{_STRIP}'>{boxes}</div>{note(f'{panel.label}; below {panel.apart}{rest}')}"


def _cell(panel: Aligned, side: int, at: int | None, top: float) -> str:
    if at is None:
        return "<span style='opacity:0.5'>–</span>"
    return _token(panel.tokens[side][at], float(panel.values[side][at]), top, False)
