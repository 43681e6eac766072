"""One unit, a latent or a neuron: what it fires at over its whole range, what it does to the logits, which units are near it,
what people say of it, and what happens on one's own text when it is changed.

One layout for the three addresses; what is not measured says so.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from app import links
from app.components.parts import Parts, error, icon, loading, stat, title
from app.components.slot import register_slot, slot
from app.frame.shell import Page
from app.jobs import work as jobs
from app.library import units
from app.library.artifacts import is_registered
from app.library.models import short_model
from app.library.units import PageUnit
from app.methods.work import work_of
from app.pages.unit import asking, labels, panels
from app.selection import Selection, selection_from
from probe.methods.call import Call
from probe.words import figures

if TYPE_CHECKING:
    from probe.features.unit import Unit


def layout(source: str, where: str, unit: str, query: dict[str, str]) -> Parts:
    """A measured unit at once; one that is not, when its weights were read."""
    found = units.unit_at(source, where, unit, query)
    record = found.measured
    chosen = {**selection_from(query), "model": found.model}
    head = [
        dcc.Store(id="selection", data=chosen),
        dcc.Store(id="unit-args", data={"source": source, "where": where, "unit": unit, "model": query.get("m", "")}),
        title(_heading(found), eyebrow=_eyebrow(found), actions=[_around(found, _kept(chosen))], lead=_said(found)),
        *_badges(found, record),
    ]
    own = [*asking.blocks(found, chosen, query), panels.circuits(found)]
    if record is None:
        return [*head, *_by_weights(found, chosen), panels.not_measured(found), *own]
    shown = panels.measured(found, record, _kept(chosen), query.get("view") == "full")
    return [*head, _scores(record), *shown, *own, panels.conventions(record)]


def _kept(chosen: Selection | None) -> Selection:
    """What of the selection another unit's page keeps."""
    return {k: v for k, v in (chosen or {}).items() if k in ("prompt", "token")}


def _by_weights(found: PageUnit, chosen: Selection) -> Parts:
    """What the weights say of it: read now, kept in memory, as everybody who passes by asks for it."""
    call = Call.checked("unit-by-weights", found.model, found.named)
    key = jobs.submit(replace(work_of(call), store=None, link=found.href()))
    weights = jobs.result(key)
    shown = panels.by_weights(found, weights, _kept(chosen)) if weights is not None else loading()
    return [slot("unit-weights", key, shown=weights is not None), html.Div(shown, id="unit-by-weights")]


def register(app: Dash) -> None:
    register_slot(app, "unit-weights")
    labels.register(app)
    asking.register(app)
    app.clientside_callback(
        ClientsideFunction("openwork", "examples"),
        Output("unit-examples", "data-drawn"),
        Input("unit-examples-data", "data"),
        Input("unit-view", "value"),
    )

    @app.callback(
        Output("unit-by-weights", "children"),
        Input("unit-weights-done", "data"),
        State("unit-args", "data"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    def weights(key: str | None, args: dict[str, str], chosen: Selection | None):
        record = jobs.result(key)
        return no_update if record is None else panels.by_weights(units.unit_of(args), record, _kept(chosen))


def _eyebrow(found: PageUnit) -> Parts:
    model = short_model(found.model)
    if found.kind == "neuron":
        parts: list[Any] = [f"Neuron {found.number:,} of layer {found.layer} · {model}"]
    else:
        learned = dcc.Link(found.dictionary, href=links.latent_page(str(found.dictionary), found.number))
        parts = [
            f"Latent {found.number:,} of ",
            learned
            if found.source == "table" and is_registered("dictionary", str(found.dictionary))
            else found.dictionary,
        ]
        parts.append(f" · {model}")
    if found.table:
        parts += [" · table ", dcc.Link(found.table, href=links.table_page(found.table))]
    return parts


def _heading(found: PageUnit) -> Parts:
    """Its name, and what it is called; the tab's name follows from it."""
    called = labels.called(units.label_of(found))
    return [found.name, html.Span(called, id="unit-called", className="ow-called", dir="auto")]


def _said(found: PageUnit) -> Component:
    """The best label, where there is one."""
    said = labels.labels_at(found) if found.table else []
    return html.Span(said[0].text if said else None, dir="auto", id="unit-said")


def _around(found: PageUnit, kept: Selection) -> html.Nav:
    """Links to the units beside it, and to the layers above and below; the arrow keys press them."""
    last, at = units.how_many(found), found.number if found.source != "table" or found.row is None else found.row
    before = found.href(at - 1, **kept) if at > 0 else None
    after = found.href(at + 1, **kept) if last is None or at + 1 < last else None
    pairs = [("unit-previous", "‹ previous", before), ("unit-next", "next ›", after)]
    pairs += [(f"unit-{way}", f"layer {layer}", href) for way, layer, href in units.layers_beside(found, kept)]
    return html.Nav(
        [dcc.Link(words, href=href, id=name) for name, words, href in pairs if href],
        className="ow-unit-nav",
        **{"aria-label": "Units beside this one"},
    )


def _badges(found: PageUnit, record: "Unit | None") -> Parts:
    """Stale, dead, rare."""
    shown = []
    if old := units.stale(found):
        shown.append(error(old, heading="Measured on another model"))
    if record is not None and (careful := record.warning):
        shown.append(html.Div([icon("warning"), html.Span(careful)], className="ow-warning", role="note"))
    return shown


def _scores(record: "Unit") -> html.Section:
    below = [stat("min", figures(record.min, 4), "lowest activation")] if record.min < 0 else []
    numbers = [
        stat("active at", f"{100 * record.density:.3g} %", f"{record.fired:,} of {record.n_tokens:,} tokens"),
        stat("mean when active", figures(record.mean_active, 4) if record.fired else "–"),
        stat("max", figures(record.max, 4) if record.fired else "–", "strongest activation"),
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
