"""Records of patching as what the page draws: tokens of a pair, facts, tables, thumbnails, the heat map in its clothes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from dash import dcc, html

from app import links
from app.components.parts import error, stat
from app.figures.dress import dress
from app.library.models import short_model
from app.pages.patching.work import Asked
from circuits.patching.figures import patching_figure, plane
from circuits.patching.kinds import KINDS, METRICS
from circuits.patching.record import PatchingSweep
from circuits.patching.sides import Pair
from circuits.patching.store import stored_patchings
from probe.words import percent

MOST = 200
"""Rows of the table of patches; the rest is said to be there."""
TITLE = "Empty where the token was not among the likeliest of that run"
_MONO = {"family": "JetBrains Mono, monospace", "size": 11}


def number(value: float, digits: int = 3) -> str:
    """With a real minus sign; a dash where there is none."""
    return "–" if not np.isfinite(value) else f"{value:.{digits}f}".replace("-", "−")


def small(value: float) -> float:
    """An effect, or 0 where it is below 0.00005: that is the rounding of float32, not an effect."""
    return 0.0 if abs(value) < 5e-5 else float(f"{value:.6g}")


def tokens_data(pair: Pair) -> dict[str, Any]:
    """Both prompts, position by position."""
    return {
        "clean": pair.clean.tokens,
        "corrupted": pair.corrupted.tokens,
        "differs": pair.differs,
        "same": len(pair.clean.tokens) == len(pair.corrupted.tokens),
    }


def pair_facts(pair: Pair) -> list[Any]:
    """The metric and the answers in both runs, or why they cannot be patched."""
    if pair.problem:
        return [error(pair.problem, heading="These two do not fit")]
    stats = [
        stat("clean run (1)", number(pair.clean.value), METRICS.get(pair.metric, pair.metric)),
        stat("corrupted run (0)", number(pair.corrupted.value), "the same in the corrupted run"),
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


def top_rows(pair: Pair) -> dict[str, Any]:
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


def figure_of(sweep: PatchingSweep, scheme: str) -> Any:
    """The heat map, dressed."""
    figure = patching_figure(sweep)
    n_rows, n = plane(sweep).shape
    slanted = sweep.kind.by_pos and n > 6
    small = n_rows * n <= 1200
    figure.update_traces(xgap=1 if small else 0, ygap=1 if small else 0, colorbar={"thickness": 10, "outlinewidth": 0})
    figure.update_xaxes(tickangle=-40 if slanted else 0, tickfont=_MONO, showgrid=False)
    figure.update_yaxes(showgrid=False)
    return dress(figure, scheme, margin={"l": 58, "r": 8, "t": 8, "b": 104 if slanted else 46})


def figure_style(sweep: PatchingSweep) -> dict[str, Any]:
    """Size of the heat map."""
    n_rows, n = plane(sweep).shape
    each = 17 if n_rows <= 40 else 4
    wide = "100%" if n <= 80 else f"max(100%, {min(n * 14, 6000)}px)"
    return {"height": int(np.clip(n_rows * each + 130, 260, 1000)), "width": wide}


def shape_of(sweep: PatchingSweep) -> dict[str, Any]:
    """What the page's own script needs to find a cell in the heat map."""
    return {
        "heads": sweep.raw.shape[1] if sweep.kind.by_head else 0,
        "byPos": sweep.kind.by_pos,
        "of": list(sweep.raw.shape),
    }


def cell_of(sweep: PatchingSweep, selection: dict[str, Any] | None) -> tuple[int, ...]:
    """The selected cell, or the strongest."""
    chosen = selection or {}
    layer, head = chosen.get("layer"), None
    if sweep.kind.by_head:
        layer, _, head = str(chosen.get("head", "")).partition(".")
    parts = [layer, head, chosen.get("token")] if sweep.kind.by_pos and sweep.kind.by_head else None
    parts = parts or ([layer, head] if sweep.kind.by_head else [layer, chosen.get("token")])
    try:
        return sweep.require_cell(tuple(int(p) for p in parts))  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return sweep.order()[0]


def picked(sweep: PatchingSweep, cell: Sequence[int]) -> dict[str, Any]:
    """A cell as part of the selection."""
    found: dict[str, Any] = {"layer": cell[0]}
    if sweep.kind.by_head:
        found["head"] = f"{cell[0]}.{cell[1]}"
    if sweep.kind.by_pos:
        found["token"] = cell[-1]
    return found


def cell_facts(sweep: PatchingSweep, cell: tuple[int, ...], asked: Asked) -> list[Any]:
    """Exact numbers of one patch, and where else to look."""
    start = sweep.base.value
    stats = [
        stat(
            "moves the metric by",
            number(sweep.effect[cell]),
            f"{number(sweep.start, 0)} → {number(sweep.values[cell])} (clean is 1)",
        ),
        stat(sweep.pair.measured, number(sweep.raw[cell]), f"{number(start)} without the patch"),
    ]
    if (mean := sweep.control_effect) is not None and (spread := sweep.control_spread) is not None:
        unrelated = f"{number(mean[cell])} ± {number(spread[cell])}"
        stats.append(stat("unrelated donors", unrelated, f"mean and standard deviation of {len(sweep.control.raw)}"))  # type: ignore[union-attr]
    known = (
        []
        if sweep.computed[cell]
        else [html.P("The same in both runs up to here, so not run.", className="ow-partial")]
    )
    head = html.H3([html.Span(sweep.name(cell), className="mono", dir="auto")], className="patching-name")
    said = html.P(f"Patched: {sweep.kind.meaning}.", className="ow-sub")
    return [head, said, html.Div(stats, className="ow-stats"), *known, _links(sweep, cell, asked)]


def _links(sweep: PatchingSweep, cell: tuple[int, ...], asked: Asked) -> html.Div:
    token = cell[-1] if sweep.kind.by_pos else None
    head = f"{cell[0]}.{cell[1]}" if sweep.axes[1] == "head" else None
    found = []
    for name, prompt in (("clean", asked.clean), ("corrupted", asked.corrupted)):
        where = {"token": token, "layer": cell[0], "head": head}
        places = [
            ("prompt", links.prompt_page(prompt, asked.model, **where)),
            ("lens", links.lens_page(asked.model, prompt, token=token, layer=cell[0])),
            ("heads", links.heads_page(asked.model, prompt, token=token, head=head)),
        ]
        linked = [html.Span([" ", dcc.Link(label, href=href)]) for label, href in places]
        found.append(html.Span([f"{name}:", *linked]))
    return html.Div(found, className="patching-links")


def then_rows(sweep: PatchingSweep, cell: tuple[int, ...]) -> dict[str, Any]:
    """What is predicted with this one patch, beside both runs."""
    sides = {"clean": dict(sweep.pair.clean.top), "corrupted": dict(sweep.pair.corrupted.top)}
    for i, token in enumerate(sweep.pair.answers):
        for name, side in (("clean", sweep.pair.clean), ("corrupted", sweep.pair.corrupted)):
            sides[name][token] = side.answer_probs[i]
    likely = {c.token: c.patched for c in sweep.candidates(cell)}
    likely |= dict(zip(sweep.pair.answers, (float(p) for p in sweep.answer_probs[cell]), strict=True))
    rows = [
        {"token": t, "clean": sides["clean"].get(t), "corrupted": sides["corrupted"].get(t), "patched": p, "bar": p}
        for t, p in sorted(likely.items(), key=lambda pair: -pair[1])
    ]
    columns = [
        {"key": "token", "label": "then predicted", "kind": "token"},
        {"key": "patched", "label": "patched", "kind": "share"},
        {"key": "bar", "label": "", "kind": "meter"},
        {"key": "clean", "label": "clean", "kind": "share", "title": TITLE},
        {"key": "corrupted", "label": "corrupted", "kind": "share", "title": TITLE},
    ]
    return {"columns": columns, "rows": rows, "label": "Next tokens with this patch"}


def table(sweep: PatchingSweep) -> tuple[dict[str, Any], str]:
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


def _row(sweep: PatchingSweep, cell: tuple[int, ...]) -> dict[str, Any]:
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


def beside_data(found: list[tuple[Asked, PatchingSweep]], shown: str) -> dict[str, Any]:
    """Small pictures of the sweeps of this pair that are in memory."""
    return {"sweeps": [_small(asked, sweep, asked.key() == shown) for asked, sweep in found]}


def _small(asked: Asked, sweep: PatchingSweep, shown: bool) -> dict[str, Any]:
    z = plane(sweep)
    steps = [max(1, -(-n // 96)) for n in z.shape]
    z = z[:: steps[0], :: steps[1]]
    top = float(np.abs(z).max(initial=0)) or 1.0
    words = "restored" if asked.direction == "denoise" else "broken"
    control = ", with unrelated donors" if asked.control else ""
    return {
        "name": KINDS[asked.over].label,
        "note": f"{words}{control}: up to {number(top, 2)}",
        "href": asked.address(),
        "shown": shown,
        "rows": z.shape[0],
        "values": [round(float(v) / top, 3) for v in z.ravel()],
    }


def stored_rows() -> dict[str, Any]:
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
