"""One unit, a latent or a neuron: what it fires at over its whole range, what it does to the logits, which units are near it,
what people say of it, and what happens on one's own text when it is changed.

One layout for the three addresses; what is not measured says so. What is told of it is what its record tells (`Unit`, and the
method `unit-by-weights` of one that nobody has measured).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from app import links
from app.components.appearing import appearing
from app.components.parts import Parts, error, icon, panel, segmented, stat, title
from app.components.snippets import snippets
from app.figures.dress import worn
from app.frame.shell import Page
from app.jobs import work as jobs
from app.library import units
from app.library.artifacts import is_registered
from app.library.models import short_model
from app.library.tables import open_table
from app.library.units import PageUnit
from app.methods import result_view
from app.methods.block import Block
from app.methods.drawing import Look, drawn_list
from app.methods.method_jobs import work_of
from app.pages.unit import asking, labels
from app.selection import Selection, selection_from
from probe.features.example_colours import coloured_examples
from probe.features.measuring.caches import TOKENS, Asked
from probe.methods.call import Call
from probe.methods.catalogue import known

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
        *_careful(found, record),
    ]
    told = _by_weights(found, chosen) if record is None else _measured(found, record, chosen, query)
    where_else = panel(
        "Circuits it appears in",
        appearing("unit-circuits", found.model, found.unit, found.dictionary),
        note="Nodes of stored attribution graphs that are this unit. Click one to see its edges.",
    )
    return [*head, *told, *asking.blocks(found, chosen, query), where_else]


def _kept(chosen: Selection) -> Selection:
    """What of the selection another unit's page keeps."""
    return {k: v for k, v in chosen.items() if k in ("prompt", "token")}


def _by_weights(found: PageUnit, chosen: Selection) -> Parts:
    """What the weights say of it: read now, kept in memory, as everybody who passes by asks for it; and what would measure it."""
    call = Call.checked("unit-by-weights", found.model, found.named)
    key = jobs.submit(replace(work_of(call), store=None, link=found.href()))
    told = result_view.result_view("weights", {"method": call.method}, key, selection=chosen)
    given = {"layer": found.layer} if found.kind == "neuron" else {"dictionary": found.dictionary}
    said = Asked.of(found.model, found.dictionary, given.get("layer")).in_words(TOKENS)
    offer = Block("measure", "measure-units", ("cache",), title="Not measured yet", note=said)
    return [html.Div(told, className="ow-stack ow-unit-told"), offer.layout(found.model, given)]


def _measured(found: PageUnit, record: "Unit", chosen: Selection, query: dict[str, str]) -> Parts:
    """Everything a table holds of a unit."""
    full = "full" if query.get("view") == "full" else "snippet"
    box = html.Div(id="unit-examples", className="ow-examples-box ow-data", style={"minHeight": 60})
    examples = panel(
        "Where it fires",
        [dcc.Store(id="unit-examples-data", data=coloured_examples(record)), box],
        note="The strongest, at most one of each row of text, then samples from its whole range. Hover for activations.",
        tools=segmented("unit-view", [(one, one) for one in ("snippet", "full")], full),
        foot=snippets(*code(found)),
    )
    look = Look(worn(), neighbours(found, record, _kept(chosen)))
    activations, *lists = drawn_list(record.beside_examples(), look, "unit")
    facts = html.Div([stat(*one) for one in record.facts()], className="body ow-stats", style={"paddingTop": 14})
    right = html.Div([labels.labels_panel(found), activations], className="ow-stack")
    return [
        html.Section(facts, className="ow-panel", id="unit-scores"),
        html.Div([examples, right], className="ow-grid two"),
        html.Div(lists, className="ow-block-panels ow-unit-lists"),
    ]


def code(found: PageUnit) -> tuple[str, str | None]:
    """Lines that show the same of a unit of a table."""
    call = Call.checked(known()["features", "unit"](), "", {"table": found.table, "unit": str(found.row)})
    return call.python(), call.shell()


def neighbours(found: PageUnit, record: "Unit", kept: Selection) -> Any:
    """From the units near it to their pages, and what people call them."""
    numbers = {near.name: near.unit for near in (*record.near, *record.coactive)}
    called = open_table(str(found.table)).labels

    def opens(name: str, _: Mapping[str, Any]) -> tuple[str | None, str]:
        if name not in numbers:
            return None, ""
        said = called.get(numbers[name], [])
        return found.href(numbers[name], **kept), said[0].text if said else ""

    return opens


def register(app: Dash) -> None:
    labels.register(app)
    asking.register(app)
    app.clientside_callback(
        ClientsideFunction("openwork", "examples"),
        Output("unit-examples", "data-drawn"),
        Input("unit-examples-data", "data"),
        Input("unit-view", "value"),
    )


# -- its heading ------------------------------------------------------------------------------------------------------------


def _eyebrow(found: PageUnit) -> Parts:
    model, table = short_model(found.model), []
    if found.table:
        table = [" · table ", dcc.Link(found.table, href=links.table_page(found.table))]
    if found.kind == "neuron":
        return [f"Neuron {found.number:,} of layer {found.layer} · {model}", *table]
    learned: Any = found.dictionary
    if found.source == "table" and is_registered("dictionary", str(found.dictionary)):
        learned = dcc.Link(found.dictionary, href=links.latent_page(str(found.dictionary), found.number))
    return [f"Latent {found.number:,} of ", learned, f" · {model}", *table]


def _heading(found: PageUnit) -> Parts:
    """Its name, and what it is called; the tab's name follows from it."""
    called = labels.called(units.label_of(found))
    return [found.name, html.Span(called, id="unit-called", className="ow-called", dir="auto")]


def _said(found: PageUnit) -> html.Span:
    """The best label, where the heading has not all of it."""
    kept = labels.labels_at(found) if found.table else []
    return html.Span(labels.said(kept[0].text) if kept else None, dir="auto", id="unit-said")


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


def _careful(found: PageUnit, record: "Unit | None") -> Parts:
    """Stale, dead, rare."""
    old = units.stale(found)
    words = record.warning if record is not None else ""
    return [
        *([error(old, heading="Measured on another model")] if old else []),
        *([html.Div([icon("warning"), html.Span(words)], className="ow-warning", role="note")] if words else []),
    ]


PAGE = Page(r"/units/(?P<source>table|neuron|latent)/(?P<where>[^/]+)/(?P<unit>\d+)", "Unit", layout, register)
