"""Small charts in a notebook as inline SVG: lines, bars, points with error bars. Axes in the notebook's own text colour."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from probe.show.html import number, svg, text

COLOURS = ("#3b8bd0", "#e08a1e", "#2fa37c", "#c0699f", "#8a7fd8", "#b0653a")
"Middle tones: 3 to 1 or better on white and on black."
MOST_POINTS, MOST_BARS = 300, 80
_W, _H, _LEFT, _TOP, _FOOT = 300, 170, 48, 22, 34


def lines_html(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x: str = "",
    *,
    errors: Mapping[str, Sequence[float]] | None = None,
    points: bool = False,
    log_x: bool = False,
) -> str:
    """Lines by name, each x and y; errors: one standard error for each point of a line."""
    drawn = {name: _thin(_finite(xs, ys, log_x)) for name, (xs, ys) in lines.items()}
    every = np.concatenate([np.zeros((0, 2)), *drawn.values()])
    if not len(every):
        return ""
    (x0, y0), (x1, y1) = every.min(0), every.max(0)
    y0 = min(0.0, y0) if y0 < 0.5 * y1 else y0  # from zero where that does not flatten the lines
    parts = []
    for i, (name, line) in enumerate(drawn.items()):
        colour = COLOURS[i % len(COLOURS)]
        at = np.stack([_across(line[:, 0], x0, x1), _up(line[:, 1], y0, y1)], 1) if len(line) else line
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in at)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
        if points:
            parts += [f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3' fill='{colour}'/>" for a, b in at]
        if errors and name in errors and len(errors[name]) == len(line):
            parts += [
                _whisker(a, v, e, y0, y1, colour) for (a, _), v, e in zip(at, line[:, 1], errors[name], strict=True)
            ]
        if len(drawn) > 1:
            parts.append(f"<text x='{_LEFT + _W + 8}' y='{_TOP + 12 + 15 * i}' fill='{colour}'>{text(name, 22)}</text>")
    low, high = (10**x0, 10**x1) if log_x else (x0, x1)
    wide = 150 if len(drawn) > 1 else 12
    return _frame(parts, title, x, (low, high), (y0, y1), wide)


def bars_html(
    names: Sequence[str], values: Sequence[float], title: str, x: str = "", *, errors: Sequence[float] | None = None
) -> str:
    """One bar a value, from 0; the first in another colour than those it is compared with is a choice of the caller's order."""
    kept = [(str(n), float(v), float(e)) for n, v, e in zip(names, values, errors or [0.0] * len(values), strict=True)]
    kept = [(n, v, e if np.isfinite(e) else 0.0) for n, v, e in kept if np.isfinite(v)][:MOST_BARS]
    if not kept:
        return ""
    y0, y1 = min(0.0, *(v - e for _, v, e in kept), 0.0), max(0.0, *(v + e for _, v, e in kept), 1e-30)
    step = _W / len(kept)
    parts, named = [], len(kept) <= 6
    for i, (name, value, error) in enumerate(kept):
        left, top, foot = _LEFT + (i + 0.08) * step, _up(max(value, 0.0), y0, y1), _up(min(value, 0.0), y0, y1)
        parts.append(
            f"<rect x='{left:.1f}' y='{top:.1f}' width='{0.84 * step:.1f}' height='{max(foot - top, 0.5):.1f}' "
            f"fill='{COLOURS[0]}'><title>{text(name)}: {number(value)}</title></rect>"
        )
        if error:
            parts.append(_whisker(_LEFT + (i + 0.5) * step, value, error, y0, y1, "currentColor"))
        if named:
            parts.append(
                f"<text x='{_LEFT + (i + 0.5) * step:.1f}' y='{_TOP + _H + 13}' text-anchor='middle'>{text(name, 14)}</text>"
            )
    ends = None if named else (kept[0][0], kept[-1][0])
    return _frame(parts, title, x, ends, (y0, y1), 12)


def histogram_html(edges: Sequence[float], counts: Sequence[int], title: str, x: str = "") -> str:
    """Bars between edges, the empty ones at both ends left out."""
    filled = np.flatnonzero(np.asarray(counts))
    if not len(filled):
        return ""
    a, b = int(filled[0]), int(filled[-1]) + 1
    block = -(-(b - a) // MOST_BARS)
    sums = [int(np.sum(counts[i : min(i + block, b)])) for i in range(a, b, block)]
    return bars_html([number(float(edges[i])) for i in range(a, b, block)], sums, title, x)


def _finite(xs: Sequence[float], ys: Sequence[float], log_x: bool) -> np.ndarray:
    found = np.stack([np.asarray(xs, float), np.asarray(ys, float)], 1)
    if log_x:
        found[:, 0] = np.log10(np.maximum(found[:, 0], 1e-12))
    return found[np.isfinite(found).all(1)]


def _thin(line: np.ndarray) -> np.ndarray:
    return line[:: max(1, -(-len(line) // MOST_POINTS))]


def _across(x: Any, low: float, high: float) -> Any:
    return _LEFT + _W * (x - low) / ((high - low) or 1.0)


def _up(y: Any, low: float, high: float) -> Any:
    return _TOP + _H * (1 - (y - low) / ((high - low) or 1.0))


def _whisker(x: float, value: float, error: float, y0: float, y1: float, colour: str) -> str:
    if not np.isfinite(error):
        return ""
    low, high = _up(value - error, y0, y1), _up(value + error, y0, y1)
    return f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{low:.1f}' y2='{high:.1f}' stroke='{colour}'/>"


def _frame(
    parts: list[str], title: str, x: str, across: tuple[Any, Any] | None, up: tuple[float, float], wide: int
) -> str:
    """The chart's box with its title, the ends of both axes, and their name."""
    words = [f"<text x='{_LEFT}' y='13' font-size='12' font-weight='600'>{text(title, 60)}</text>"]
    for value, y in ((up[1], _TOP + 9), (up[0], _TOP + _H)):
        words.append(f"<text x='{_LEFT - 5}' y='{y}' text-anchor='end'>{text(number(float(value)))}</text>")
    if across is not None:
        ends = [number(float(e)) if not isinstance(e, str) else e for e in across]
        words.append(f"<text x='{_LEFT}' y='{_TOP + _H + 13}'>{text(ends[0])}</text>")
        words.append(f"<text x='{_LEFT + _W}' y='{_TOP + _H + 13}' text-anchor='end'>{text(ends[1])}</text>")
    words.append(f"<text x='{_LEFT + _W / 2}' y='{_TOP + _H + 28}' text-anchor='middle'>{text(x, 60)}</text>")
    box = f"<path d='M{_LEFT},{_TOP}V{_TOP + _H}H{_LEFT + _W}' fill='none' stroke='currentColor' stroke-opacity='0.4'/>"
    return svg([box, *parts, *words], _LEFT + _W + wide, _TOP + _H + _FOOT, title)
