"""One cell of a patching sweep: its numbers, what is likeliest with the patch, and where to go from there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import dcc, html

from app import links
from app.components.drawn import Drawn
from app.components.parts import Parts, stat
from app.pages.patching.work import Asked
from app.selection import Selection
from circuits.patching.record import PatchingSweep
from probe.artifacts.json import Json
from probe.words import decimals

if TYPE_CHECKING:
    pass


TITLE = "Empty where the token was not among the likeliest of that run"


def cell_of(sweep: PatchingSweep, selection: Selection | None) -> tuple[int, ...]:
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


def picked(sweep: PatchingSweep, cell: Sequence[int]) -> Json:
    """A cell as part of the selection."""
    found: dict[str, Any] = {"layer": cell[0]}
    if sweep.kind.by_head:
        found["head"] = f"{cell[0]}.{cell[1]}"
    if sweep.kind.by_pos:
        found["token"] = cell[-1]
    return found


def cell_facts(sweep: PatchingSweep, cell: tuple[int, ...], asked: Asked) -> Parts:
    """Exact numbers of one patch, and where else to look."""
    start = sweep.base.value
    stats = [
        stat(
            "moves the metric by",
            decimals(sweep.effect[cell]),
            f"{decimals(sweep.start, 0)} → {decimals(sweep.values[cell])} (clean is 1)",
        ),
        stat(sweep.pair.measured, decimals(sweep.raw[cell]), f"{decimals(start)} without the patch"),
    ]
    if (mean := sweep.control_effect) is not None and (spread := sweep.control_spread) is not None:
        unrelated = f"{decimals(mean[cell])} ± {decimals(spread[cell])}"
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


def then_rows(sweep: PatchingSweep, cell: tuple[int, ...]) -> Drawn:
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
