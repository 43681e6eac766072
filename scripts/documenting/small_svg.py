"""A plotly figure as a small picture without words: lines, points, bars and heat maps as static SVG, no browser needed.

Each trace is drawn where its axes stand in the figure, so that rows and columns of panels keep their places. What else plotly can
draw is left out; a figure of nothing else has no small picture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.show.chart import COLOURS
from probe.show.grid import levels, picture_url

WIDTH, HEIGHT, MARGIN = 240, 140, 6
MOST = 600
"""Points or bars of one trace."""


@dataclass
class _Axis:
    """One axis of a panel: where it stands, its ends, whether it runs backwards, words in place of numbers."""

    start: float
    end: float
    log: bool
    backwards: bool
    low: float = np.inf
    high: float = -np.inf
    words: tuple[str, ...] = ()

    def numbers(self, values: Any, n: int) -> np.ndarray:
        """The values as numbers; words by their place."""
        if values is None:
            return np.arange(n, dtype=float)
        found = list(values)
        if any(isinstance(one, str) for one in found):
            self.words = tuple(dict.fromkeys((*self.words, *map(str, found))))
            return np.array([self.words.index(str(one)) for one in found], float)
        numbers = np.array([np.nan if one is None else one for one in found], float)
        return np.log10(np.where(numbers > 0, numbers, np.nan)) if self.log else numbers

    def reach(self, values: np.ndarray) -> None:
        values = values[np.isfinite(values)]
        if len(values):
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def at(self, values: np.ndarray, size: float) -> np.ndarray:
        """Pixels of numbers, along a side of the picture."""
        share = (values - self.low) / ((self.high - self.low) or 1.0)
        share = 1 - share if self.backwards else share
        return MARGIN + (self.start + share * (self.end - self.start)) * (size - 2 * MARGIN)


def small_svg(figure: Any) -> str:
    """The picture, or "" where there is nothing that can be drawn."""
    axes = {}
    traces = [(trace, _pair(figure, trace, axes)) for trace in figure.data if trace.visible in (None, True)]
    drawn = [_DRAWN[trace.type](trace, x, y, i) for i, (trace, (x, y)) in enumerate(traces) if trace.type in _DRAWN]
    parts = [part() for part in drawn]  # only now every axis knows how far it reaches
    if not any(parts):
        return ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
    return head + "".join(parts) + "</svg>"


def _pair(figure: Any, trace: Any, known: dict[str, _Axis]) -> tuple[_Axis, _Axis]:
    names = (getattr(trace, "xaxis", None) or "x", getattr(trace, "yaxis", None) or "y")
    for name in names:
        if name not in known:
            told = figure.layout[f"{name[0]}axis{name[1:]}"]
            start, end = told.domain or (0.0, 1.0)
            range_ = told.range or (0, 1)
            known[name] = _Axis(
                start, end, told.type == "log", told.autorange == "reversed" or (told.range and range_[0] > range_[1])
            )
    return known[names[0]], known[names[1]]


def _heat(trace: Any, x: _Axis, y: _Axis, i: int) -> Any:
    z = np.array([[np.nan if v is None else v for v in row] for row in (trace.z if trace.z is not None else [])], float)
    if z.ndim != 2 or not z.size:
        return lambda: ""
    x.reach(np.array([-0.5, z.shape[1] - 0.5]))
    y.reach(np.array([-0.5, z.shape[0] - 0.5]))
    finite = z[np.isfinite(z)]
    if not len(finite):
        return lambda: ""
    signed = trace.zmid == 0 or (finite.min() < 0 < finite.max())
    end = float(np.abs(finite).max())
    low, high = (-end, end) if signed else (float(finite.min()), float(finite.max()))

    def part() -> str:
        url = picture_url(levels(z if y.backwards else z[::-1], low, high), signed)
        a, b = sorted(x.at(np.array([-0.5, z.shape[1] - 0.5]), WIDTH))
        c, d = sorted(_down(y, np.array([-0.5, z.shape[0] - 0.5])))
        box = f'x="{a:.1f}" y="{c:.1f}" width="{b - a:.1f}" height="{d - c:.1f}"'
        return f'<image {box} preserveAspectRatio="none" style="image-rendering:pixelated" href="{url}"/>'

    return part


def _points(trace: Any, x: _Axis, y: _Axis, i: int) -> Any:
    n = len(trace.y if trace.y is not None else trace.x if trace.x is not None else ())
    xs, ys = x.numbers(trace.x, n), y.numbers(trace.y, n)
    x.reach(xs)
    y.reach(ys)
    mode, colour = trace.mode or "lines", _colour(trace.line.color or trace.marker.color, i)

    def part() -> str:
        at = np.stack([x.at(xs, WIDTH), _down(y, ys)], 1)
        found = ""
        if "lines" in mode:
            runs = np.split(at, np.flatnonzero(~np.isfinite(at).all(1)))
            lines = [" ".join(f"{a:.1f},{b:.1f}" for a, b in run if np.isfinite((a, b)).all()) for run in runs]
            found = "".join(
                f'<polyline points="{p}" fill="none" stroke="{colour}" stroke-width="1.5"/>' for p in lines if p
            )
        if "markers" in mode:
            shown = at[np.isfinite(at).all(1)][:MOST]
            found += "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2" fill="{colour}"/>' for a, b in shown)
        return found

    return part


def _bars(trace: Any, x: _Axis, y: _Axis, i: int) -> Any:
    lying = trace.orientation == "h"
    given, at = (trace.x, trace.y) if lying else (trace.y, trace.x)
    along, across = (x, y) if lying else (y, x)
    n = len(given if given is not None else ())
    lengths, places = along.numbers(given, n), across.numbers(at, n)
    along.reach(np.append(lengths, 0.0))
    across.reach(np.concatenate([places - 0.5, places + 0.5]) if n else places)
    colour = _colour(trace.marker.color, i)

    def part() -> str:
        boxes = []
        for length, place in list(zip(lengths, places))[:MOST]:
            ends, sides = np.array([0.0, length]), np.array([place - 0.4, place + 0.4])
            (a, b), (c, d) = (
                (sorted(x.at(ends, WIDTH)), sorted(_down(y, sides)))
                if lying
                else (sorted(x.at(sides, WIDTH)), sorted(_down(y, ends)))
            )
            boxes.append(f'<rect x="{a:.1f}" y="{c:.1f}" width="{b - a:.1f}" height="{d - c:.1f}" fill="{colour}"/>')
        return "".join(boxes)

    return part


def _down(axis: _Axis, values: np.ndarray) -> np.ndarray:
    return HEIGHT - axis.at(values, HEIGHT)


def _colour(given: Any, i: int) -> str:
    plain = isinstance(given, str) and given.replace("#", "").replace("(", "").isascii() and '"' not in given
    return given if plain else COLOURS[i % len(COLOURS)]


_DRAWN = {"heatmap": _heat, "scatter": _points, "scattergl": _points, "bar": _bars}
