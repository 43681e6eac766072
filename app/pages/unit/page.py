"""One unit, a latent or a neuron: what it fires at over its whole range, what it does to the logits, which units are near it,
what people say of it, and what happens on one's own text when it is changed.

One layout for the three addresses; what is not measured says so.
"""

from typing import TYPE_CHECKING, Any

from dash import dcc, html
from dash.development.base_component import Component

from app import links
from app.components.parts import Parts, error, icon, stat, title
from app.components.slot import slot
from app.frame.shell import Page
from app.jobs import work
from app.jobs.edited import WHAT
from app.library import tables, units
from app.library.models import short_model
from app.library.units import PageUnit
from app.pages.unit import panels
from app.pages.unit.callbacks import noted, register, told
from app.pages.unit.own_text import own_panels
from app.pages.unit.tables import warning
from app.pages.unit.work import weights_work
from app.selection import Selection, selection_from

if TYPE_CHECKING:
    from probe.features.unit import Unit


def layout(source: str, where: str, unit: str, query: dict[str, str]) -> Parts:
    """A measured unit at once; one that is not, when its weights were read."""
    found = units.unit_at(source, where, unit, query)
    record = tables.open_table(found.table).unit(found.row) if found.table and found.row is not None else None
    chosen = {**selection_from(query), "model": found.model}
    kept = {k: v for k, v in chosen.items() if k in ("prompt", "token")}
    key = None if record is not None else work.submit(weights_work(found, found.href()))
    head = [
        dcc.Store(id="selection", data=chosen),
        dcc.Store(id="unit-args", data={"source": source, "where": where, "unit": unit, "model": query.get("m", "")}),
        dcc.Store(id="unit-prompt"),
        title(_heading(found), eyebrow=_eyebrow(found), actions=[_around(found, kept)], lead=_said(found)),
        *_badges(found, record),
    ]
    if record is None:
        weights = work.result(key)
        known = (told(weights, found, chosen), noted(weights)) if weights is not None else (None, None)
        return [
            *head,
            slot("unit-weights", key),
            *panels.by_weights(found, *known),
            *own_panels(found, chosen, panels.circuits(found), work.given(query.get("edit"), WHAT)),
        ]
    return [
        *head,
        _scores(record),
        *panels.measured(found, record, kept, query.get("view") == "full"),
        *own_panels(found, chosen, panels.circuits(found), work.given(query.get("edit"), WHAT)),
        panels.conventions(record),
    ]


def _eyebrow(found: PageUnit) -> Parts:
    model = short_model(found.model)
    if found.kind == "neuron":
        parts: list[Any] = [f"Neuron {found.number:,} of layer {found.layer} · {model}"]
    else:
        learned = dcc.Link(found.dictionary, href=links.latent_page(str(found.dictionary), found.number))
        parts = [
            f"Latent {found.number:,} of ",
            learned if found.source == "table" and panels.stored(found) else found.dictionary,
        ]
        parts.append(f" · {model}")
    if found.table:
        parts += [" · table ", dcc.Link(found.table, href=links.table_page(found.table))]
    return parts


def _heading(found: PageUnit) -> Parts:
    """Its name, and what it is called; the tab's name follows from it."""
    return [found.name, html.Span(_called(units.label_of(found)), id="unit-called", className="ow-called", dir="auto")]


def _called(label: str) -> str:
    return f" · {label[:120]}" if label else ""


def _said(found: PageUnit) -> Component | None:
    """The best label, where there is one."""
    labels = tables.open_table(found.table).labels.get(found.row or 0, []) if found.table else []
    return html.Span(labels[0].text, dir="auto", id="unit-said") if labels else html.Span(id="unit-said")


def _around(found: PageUnit, kept: Selection) -> html.Nav:
    """Links to the units beside it, and to the layers above and below; the arrow keys press them."""
    last = units.how_many(found)
    before = found.href(found.number - 1, **kept) if found.number > 0 else None
    after = found.href(found.number + 1, **kept) if last is None or found.number + 1 < last else None
    if found.source == "table" and found.row is not None:
        before = found.href(found.row - 1, **kept) if found.row > 0 else None
        after = found.href(found.row + 1, **kept) if found.row + 1 < (last or 0) else None
    pairs = [("unit-previous", "‹ previous", before), ("unit-next", "next ›", after)]
    pairs += [(f"unit-{way}", f"layer {layer}", href) for way, layer, href in units.layers_beside(found, kept)]
    return html.Nav(
        [dcc.Link(words, href=href, id=name) for name, words, href in pairs if href],
        className="ow-unit-nav",
        **{"aria-label": "Units beside this one"},
    )


def _badges(found: PageUnit, record: "Unit") -> Parts:
    """Stale, dead, rare."""
    shown = []
    if old := units.stale(found):
        shown.append(error(old, heading="Measured on another model"))
    if record is not None and (careful := warning(record)):
        shown.append(html.Div([icon("warning"), html.Span(careful)], className="ow-warning", role="note"))
    return shown


def _scores(record: "Unit") -> html.Section:
    below = [stat("min", panels.plain_number(record.min), "lowest activation")] if record.min < 0 else []
    numbers = [
        stat("active at", panels.percent(record.density), f"{record.fired:,} of {record.n_tokens:,} tokens"),
        stat("mean when active", panels.plain_number(record.mean_active) if record.fired else "–"),
        stat("max", panels.plain_number(record.max) if record.fired else "–", "strongest activation"),
        *below,
    ]
    return html.Section(
        html.Div(numbers, className="body ow-stats", style={"paddingTop": 14}), className="ow-panel", id="unit-scores"
    )


PAGE = Page(
    r"/units/(?P<source>table|neuron|latent)/(?P<where>[^/]+)/(?P<unit>\d+)",
    "Unit",
    layout,
    register,
    ("unit-histogram",),
)
