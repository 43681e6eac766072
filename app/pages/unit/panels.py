"""The panels of a unit's page that show what is known of it: by a table, or by its weights alone."""

from typing import TYPE_CHECKING

from dash import dcc, html
from dash.development.base_component import Component

from app.components.appearing import appearing
from app.components.drawn import Drawn
from app.components.parts import Part, Parts, fact_list, graph, panel, segmented
from app.components.plain_rows import table
from app.components.snippets import snippets
from app.figures.dress import dress, worn
from app.library.tables import open_table
from app.library.units import PageUnit
from app.methods.block import Block
from app.pages.unit.labels import labels_panel
from app.selection import Selection
from probe.features.measuring.caches import TOKENS, Asked
from probe.features.unit_tables import example_groups, histogram_rows, unit_tables
from probe.methods.call import Call
from probe.methods.catalogue import known

if TYPE_CHECKING:
    from probe.features.by_weights import UnitWeights
    from probe.features.unit import Unit

NO_INPUTS = "What it reads has no fixed embedding for each token, so weights alone do not say."


def measured(found: PageUnit, record: "Unit", kept: Selection, full: bool = False) -> Parts:
    """Everything a table holds of a unit."""
    view = segmented("unit-view", [("snippet", "snippet"), ("full", "full")], "full" if full else "snippet")
    box = html.Div(
        [
            dcc.Store(id="unit-examples-data", data=examples_data(record)),
            html.Div(id="unit-examples", className="ow-examples-box ow-data", style={"minHeight": 60}),
        ]
    )
    examples = panel(
        "Where it fires",
        box,
        note="The strongest, at most one of each row of text, then samples from its whole range. Hover for activations.",
        tools=view,
        foot=snippets(*code(found)),
    )
    shown = lists(found, record, kept)
    writes = record.convention.get("writes", "")
    logits = (
        panel(
            "What it does to the logits",
            _two(shown["promoted"], shown["suppressed"]),
            note="The direction it writes, as demeaned logits at activation 1.",
        )
        if record.promoted
        else panel(
            "What it does to the logits",
            html.P(f"Nothing can be said: {writes}.", className="ow-sub"),
            export=False,
        )
    )
    right = html.Div([labels_panel(found), logits, _histogram(record)], className="ow-stack")
    tokens = panel(
        "Which tokens",
        _two(shown["measured"], shown["inputs"]),
        note="Measured on text, and by the weights. Where they disagree, it reads more than the present token.",
    )
    near = panel("Units near it", _two(shown["near"], shown["coactive"]))
    return [html.Div([examples, right], className="ow-grid two"), tokens, near]


def by_weights(found: PageUnit, record: "UnitWeights", kept: Selection) -> Parts:
    """What can be said of a unit nobody has measured."""
    shown = lists(found, record, kept)
    words = panel(
        "What it does to the logits",
        _two(shown["promoted"], shown["suppressed"]),
        note=f"The direction it writes ({record.convention['writes']}), as demeaned logits.",
        foot=snippets(*code(found)),
    )
    reads = panel(
        "What it reads, and units near it",
        _two(shown["inputs"], shown["near"]),
        note=f"From the weights alone: {record.convention.get('reads', 'encoder columns')}.",
    )
    return [html.Div([words, reads], className="ow-grid even")]


def not_measured(found: PageUnit) -> html.Div:
    """Why there are no examples, and what makes them."""
    given = {"layer": found.layer} if found.kind == "neuron" else {"dictionary": found.dictionary}
    said = Asked.of(found.model, found.dictionary, given.get("layer")).in_words(TOKENS)
    return Block("measure", "measure-units", ("cache",), title="Not measured yet", note=said).layout(found.model, given)


def lists(found: PageUnit, record: "Unit | UnitWeights", kept: Selection) -> dict[str, Component]:
    """The record's lists, each as a table; units near it lead to their pages, and show what people call them."""
    numbers = {near.name: near.unit for near in (*record.near, *record.coactive)}
    labels = open_table(found.table).labels if found.table else {}

    def opens(name: str, _: object) -> tuple[str, str]:
        said = labels.get(numbers[name], [])
        return found.href(numbers[name], **kept), said[0].text if said else ""

    notes = {"inputs": NO_INPUTS}
    return {
        name: table(rows, f"unit-{name}", link=opens, note="" if rows.rows else notes.get(name, "None."))
        for name, rows in unit_tables(record).items()
    }


def _two(left: Part, right: Part) -> html.Div:
    return html.Div([left, right], className="ow-pair tight")


def _histogram(record: "Unit") -> html.Section:
    from probe.features.figures import histogram_figure

    figure = dress(histogram_figure(record), worn(), margin={"l": 52, "r": 8, "t": 6, "b": 38}, bargap=0.05)
    bins = html.Details(
        [html.Summary("as a table"), table(histogram_rows(record), "unit-bins", 260)], className="ow-more"
    )
    signed = " Those below 0 too." if record.min < 0 else ""
    return panel(
        "Activations",
        [graph("unit-histogram", 210, "Histogram of activations", figure), bins],
        note=f"Tokens by activation; counts on a logarithmic axis.{signed}",
    )


def examples_data(record: "Unit") -> Drawn:
    """Groups of examples, strongest first, for `assets/examples.js`."""
    groups = [
        {
            "name": name,
            "examples": [
                {
                    "tokens": e.tokens,
                    "ids": e.token_ids,
                    "values": [float(f"{v:.4g}") for v in e.activations],
                    "peak": e.peak,
                    "value": float(f"{e.value:.4g}"),
                    "where": f"{e.document}, row {e.row}, position {e.pos}",
                }
                for e in examples
            ],
        }
        for name, examples in example_groups(record)
    ]
    none = "It was never active, so there is no text to show." if record.dead else "The table kept no examples of it."
    scale = {"lo": min(record.min, 0.0), "hi": max(record.max, 0.0) or 1.0}
    return {"groups": groups, **scale, "label": f"activation of {record.name}", "empty": none}


def circuits(found: PageUnit) -> html.Section:
    """The stored graphs it is a node of."""
    return panel(
        "Circuits it appears in",
        appearing("unit-circuits", found.model, found.unit, found.dictionary),
        note="Nodes of stored attribution graphs that are this unit. Click one to see its edges.",
    )


def conventions(record: "Unit") -> html.Section:
    """What every number means."""
    return panel("How it was measured", fact_list((k, str(v)) for k, v in record.convention.items()), export=False)


def code(found: PageUnit) -> tuple[str, str | None]:
    """Lines that show the same."""
    if found.table is not None:
        call = Call.checked(known()["features", "unit"](), "", {"table": found.table, "unit": str(found.row)})
    else:
        call = Call("unit-by-weights", found.model, found.named)
    return call.python(), call.shell()
