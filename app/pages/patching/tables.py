"""Records of patching as what the page draws: tokens of a pair, facts, tables, thumbnails, the heat map in its clothes."""

from typing import TYPE_CHECKING

import numpy as np
from dash import html

from app import links
from app.components.drawn import Drawn
from app.components.parts import Parts, error, stat
from app.figures.dress import dress
from app.library.models import short_model
from app.pages.patching.cell import picked
from app.pages.patching.work import Asked
from circuits.patching.figures import patching_figure, plane
from circuits.patching.kinds import KINDS, METRICS
from circuits.patching.record import PatchingSweep
from circuits.patching.sides import Pair
from circuits.patching.store import stored_patchings
from probe.artifacts.json import Json
from probe.words import decimals, percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


MOST = 200
"""Rows of the table of patches; the rest is said to be there."""
_MONO = {"family": "JetBrains Mono, monospace", "size": 11}


def small(value: float) -> float:
    """An effect, or 0 where it is below 0.00005: that is the rounding of float32, not an effect."""
    return 0.0 if abs(value) < 5e-5 else float(f"{value:.6g}")


def tokens_data(pair: Pair) -> Drawn:
    """Both prompts, position by position."""
    return {
        "clean": pair.clean.tokens,
        "corrupted": pair.corrupted.tokens,
        "differs": pair.differs,
        "same": len(pair.clean.tokens) == len(pair.corrupted.tokens),
    }


def pair_facts(pair: Pair) -> Parts:
    """The metric and the answers in both runs, or why they cannot be patched."""
    if pair.problem:
        return [error(pair.problem, heading="These two do not fit")]
    stats = [
        stat("clean run (1)", decimals(pair.clean.value), METRICS.get(pair.metric, pair.metric)),
        stat("corrupted run (0)", decimals(pair.corrupted.value), "the same in the corrupted run"),
    ]
    for i, token in enumerate(pair.answers):
        name = ("right", "wrong")[i]
        given = "" if pair.answers_given else f"; what the {('clean', 'corrupted')[i]} run says"
        shown = html.Span(
            [
                percent(pair.clean.answer_probs[i]),
                html.Span(" → ", className="patching-arrow"),
                percent(pair.corrupted.answer_probs[i]),
            ]
        )
        stats.append(stat(f"probability of {token!r} ({name})", shown, f"clean → corrupted{given}"))
    note = [html.P(pair.note, className="ow-state patching-note")] if pair.note else []
    return [html.Div(stats, className="ow-stats"), *note]


def top_rows(pair: Pair) -> Drawn:
    """What each run predicts, side by side."""
    columns = [
        {"key": "clean", "label": "clean run says", "kind": "token"},
        {"key": "p", "label": "", "kind": "share"},
        {"key": "bar", "label": "", "kind": "meter"},
        {"key": "corrupted", "label": "corrupted run says", "kind": "token"},
        {"key": "q", "label": " ", "kind": "share"},
        {"key": "bar2", "label": "", "kind": "meter"},
    ]
    rows = [
        {"clean": a, "p": p, "bar": p, "corrupted": b, "q": q, "bar2": q}
        for (a, p), (b, q) in zip(pair.clean.top[:4], pair.corrupted.top[:4], strict=False)
    ]
    return {"columns": columns, "rows": rows, "label": "Likeliest next tokens of both runs"}


def figure_of(sweep: PatchingSweep, scheme: str) -> "Figure":
    """The heat map, dressed."""
    figure = patching_figure(sweep)
    n_rows, n = plane(sweep).shape
    slanted = sweep.kind.by_pos and n > 6
    small = n_rows * n <= 1200
    figure.update_traces(xgap=1 if small else 0, ygap=1 if small else 0, colorbar={"thickness": 10, "outlinewidth": 0})
    figure.update_xaxes(tickangle=-40 if slanted else 0, tickfont=_MONO, showgrid=False)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 58, "r": 8, "t": 8, "b": 104 if slanted else 46})


def figure_style(sweep: PatchingSweep) -> Json:
    """Size of the heat map."""
    n_rows, n = plane(sweep).shape
    each = 17 if n_rows <= 40 else 4
    wide = "100%" if n <= 80 else f"max(100%, {min(n * 14, 6000)}px)"
    return {"height": int(np.clip(n_rows * each + 130, 260, 1000)), "width": wide}


def shape_of(sweep: PatchingSweep) -> Json:
    """What the page's own script needs to find a cell in the heat map."""
    return {
        "heads": sweep.raw.shape[1] if sweep.kind.by_head else 0,
        "byPos": sweep.kind.by_pos,
        "of": list(sweep.raw.shape),
    }


def table(sweep: PatchingSweep) -> tuple[Drawn, str]:
    """The strongest patches, and the sentence that says how many there are."""
    columns = [
        {"key": "name", "label": "patch", "kind": "unit"},
        *([{"key": "token", "label": "token", "kind": "tokens"}] if sweep.kind.by_pos else []),
        {"key": "effect", "label": "moves by", "kind": "num"},
        {"key": "bar", "label": "", "kind": "signed"},
        {"key": "raw", "label": sweep.pair.measured, "kind": "num"},
    ]
    if sweep.control is not None:
        columns.append({"key": "control", "label": "unrelated", "kind": "num"})
        columns.append({"key": "sd", "label": "± sd", "kind": "num"})
    rows = [_row(sweep, cell) for cell in sweep.order()[:MOST]]
    many = sweep.raw.size
    run = int(sweep.computed.sum())
    known = f"; {many - run:,} before the first difference need no run" if run < many else ""
    note = f"{len(rows):,} of {many:,} by the size of what they move{known}."
    return {"columns": columns, "rows": rows, "sorts": True, "label": "Patches by effect"}, note


def _row(sweep: PatchingSweep, cell: tuple[int, ...]) -> Json:
    place = (
        f"L{cell[0]}{'KV' if 'kv_head' in sweep.axes else 'H'}{cell[1]}" if sweep.kind.by_head else f"layer {cell[0]}"
    )
    effect = small(sweep.effect[cell])
    found = {"name": f"{place} @{cell[-1]}" if sweep.kind.by_pos else place, "effect": effect, "bar": effect}
    found |= {"raw": float(f"{sweep.raw[cell]:.6g}"), "pick": picked(sweep, cell)}
    if sweep.kind.by_pos:
        found["token"] = list(sweep.tokens_at(cell[-1]))
    if (mean := sweep.control_effect) is not None and (spread := sweep.control_spread) is not None:
        found |= {n: None if np.isnan(x[cell]) else small(x[cell]) for n, x in (("control", mean), ("sd", spread))}
    return found


def beside_data(found: list[tuple[Asked, PatchingSweep]], shown: str) -> Drawn:
    """Small pictures of the sweeps of this pair that are in memory."""
    return {"sweeps": [_small(asked, sweep, asked.key() == shown) for asked, sweep in found]}


def _small(asked: Asked, sweep: PatchingSweep, shown: bool) -> Drawn:
    z = plane(sweep)
    steps = [max(1, -(-n // 96)) for n in z.shape]
    z = z[:: steps[0], :: steps[1]]
    top = float(np.abs(z).max(initial=0)) or 1.0
    words = "restored" if asked.direction == "denoise" else "broken"
    control = ", with unrelated donors" if asked.control else ""
    return {
        "name": KINDS[asked.over].label,
        "note": f"{words}{control}: up to {decimals(top, 2)}",
        "href": asked.address(),
        "shown": shown,
        "rows": z.shape[0],
        "values": [round(float(v) / top, 3) for v in z.ravel()],
    }


def stored_rows() -> Drawn:
    """The stored sweeps as rows that open them."""
    columns = [
        {"key": "name", "label": "name", "kind": "unit"},
        {"key": "over", "label": "patched", "kind": "text"},
        {"key": "clean", "label": "clean prompt", "kind": "text"},
        {"key": "corrupted", "label": "corrupted prompt", "kind": "text"},
        {"key": "model", "label": "model", "kind": "text"},
        {"key": "created", "label": "stored", "kind": "text"},
    ]
    rows = []
    for name, manifest in stored_patchings():
        facts = manifest.facts
        label = KINDS[facts["over"]].label if facts.get("over") in KINDS else str(facts.get("over", ""))
        told = "restored" if facts.get("direction") == "denoise" else "broken"
        cut = {side: str(facts.get(side, ""))[:80] for side in ("clean", "corrupted")}
        row = {
            "name": name,
            "over": f"{label}, {told}",
            **cut,
            "model": short_model(manifest.model.name) if manifest.model else "",
        }
        rows.append(
            {
                **row,
                "created": manifest.created[:16].replace("T", " "),
                "href": links.address(links.PATCHING, stored=name),
            }
        )
    return {"columns": columns, "rows": rows, "label": "Stored sweeps"}
