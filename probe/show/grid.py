"""Grids in a notebook: cells with a word and a ground, and arrays as small PNG pictures that need no script.

A PNG with a palette is a few hundred bytes for a pattern and cannot be scripted; transparent cells let the notebook's ground
through, so that one picture serves light and dark. The colours are viridis, from nine of its points, and for signed values red
to blue with white at zero.
"""

import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from probe.show.html import framed, ground, svg, text, token_text

_VIRIDIS = np.array(
    [
        (68, 1, 84),
        (71, 45, 123),
        (59, 82, 139),
        (44, 114, 142),
        (33, 144, 141),
        (39, 173, 129),
        (92, 200, 99),
        (170, 220, 50),
        (253, 231, 37),
    ]
)
_REDS, _BLUES = [(178, 24, 43), (239, 138, 98), (253, 219, 199)], [(209, 229, 240), (103, 169, 207), (33, 102, 172)]
_SIGNED = np.array([*_REDS, (247, 247, 247), *_BLUES])
CLEAR = 255  # the palette's last entry lets the ground through
MOST_SIDE = 600


def _palette(signed: bool) -> tuple[bytes, bytes]:
    """255 colours and a clear one: their bytes, and their opacities."""
    points = _SIGNED if signed else _VIRIDIS
    at = np.linspace(0, len(points) - 1, CLEAR)
    rgb = np.stack([np.interp(at, np.arange(len(points)), points[:, c]) for c in range(3)], 1)
    return bytes(np.vstack([rgb, np.zeros((1, 3))]).round().astype(np.uint8).tobytes()), b"\xff" * CLEAR + b"\x00"


def png(pixels: UInt8[np.ndarray, "row column"], signed: bool = False) -> bytes:
    """A PNG of palette numbers: 0 dark to 254 bright (signed: red over white to blue), 255 clear."""
    height, width = pixels.shape
    colours, opacity = _palette(signed)
    lines = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # each line begins with its filter, none
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", colours),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    framed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def levels(values: Float[np.ndarray, "row column"], low: float, high: float) -> UInt8[np.ndarray, "row column"]:
    """Palette numbers of values from `low` to `high`; NaN is clear."""
    share = (np.asarray(values, float) - low) / ((high - low) or 1.0)
    return np.where(np.isnan(share), CLEAR, np.clip(np.nan_to_num(share), 0, 1) * (CLEAR - 1)).astype(np.uint8)


def picture_url(pixels: UInt8[np.ndarray, "row column"], signed: bool = False) -> str:
    """The picture as a data address."""
    return "data:image/png;base64," + b64encode(png(pixels, signed)).decode()


def picture_html(pixels: UInt8[np.ndarray, "row column"], alt: str, width: int) -> str:
    """The picture at `width` pixels, in hard squares."""
    style = f"width:{width}px;max-width:100%;image-rendering:pixelated;vertical-align:top"
    return f"<img alt='{text(alt)}' src='{picture_url(pixels)}' style='{style}'>"


def heat_html(
    values: Float[np.ndarray, "row column"],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    low: float = 0.0,
    high: float | None = None,
    side: int = 15,
    signed: bool = False,
) -> str:
    """A heat map with names at its sides: `title` says what the colours are. At most 60 names a side; more are thinned.

    signed: red below zero and blue above, from -high to high."""
    values = np.asarray(values, float)
    top = high if high is not None else float(np.nanmax(np.abs(values) if signed else values, initial=low)) or 1.0
    low = -top if signed else low
    height, width = values.shape
    side = max(2, min(side, MOST_SIDE // max(height, width, 1)))
    left, head, foot = 92, 18, 78
    w, h = width * side, height * side
    names = [*_names(rows, side, lambda i: f"x='{left - 5}' y='{head + (i + 0.7) * side:.1f}' text-anchor='end'")]
    turned = "x='{x:.1f}' y='{y}' transform='rotate(-50 {x:.1f} {y})' text-anchor='end'"
    names += _names(columns, side, lambda i: turned.format(x=left + (i + 0.7) * side, y=head + h + 9))
    where = f"x='{left}' y='{head}' width='{w}' height='{h}'"
    drawn = f"href='{picture_url(levels(values, low, top), signed)}' style='image-rendering:pixelated'"
    image = f"<image {where} preserveAspectRatio='none' {drawn}/>"
    frame = f"<rect {where} fill='none' stroke='currentColor' stroke-opacity='0.3'/>"
    words = f"<text x='{left}' y='12' font-size='12'>{text(title)}</text>"
    return svg(
        [words, image, frame, *names], max(left + w + 8, left + 7.4 * len(title)), head + h + foot, title, mono=True
    )


def _names(names: Sequence[str], side: int, where) -> list[str]:
    every = max(1, -(-len(names) // 60), -(-10 // side))
    return [f"<text {where(i)}>{token_text(names[i], 13)}</text>" for i in range(0, len(names), every)]


def cells_html(
    words: Sequence[Sequence[str]],
    values: Float[np.ndarray, "row column"],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    most: float | None = None,
) -> str:
    """A table of words on coloured grounds, with names at the left and above."""
    top = most or float(np.nanmax(values, initial=0)) or 1.0
    look = "padding:1px 6px;text-align:left;white-space:pre;unicode-bidi:isolate"
    cell = f"{look};font-family:ui-monospace,monospace;font-size:12px"
    head = "".join(f"<th style='{cell};font-weight:600'>{c}</th>" for c in ["", *(token_text(c, 14) for c in columns)])
    body = "".join(
        f"<tr><th style='{cell};font-weight:400;opacity:0.75'>{text(name, 14)}</th>"
        + "".join(
            f"<td title='{v:.4g}' style='{cell};{ground(float(v), top)}'>{token_text(word, 12)}</td>"
            for word, v in zip(line, row, strict=True)
        )
        + "</tr>"
        for name, line, row in zip(rows, words, values, strict=True)
    )
    return framed(head, body, text(title))
