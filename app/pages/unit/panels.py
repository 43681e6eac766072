"""The panels of a unit's page that show what is known of it: by a table, or by its weights alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app.components import drawn
from app.components.measuring import measure_button
from app.components.parts import Part, Parts, empty, graph, panel, segmented
from app.components.snippets import python, shell_line, snippets
from app.figures.dress import dress, worn
from app.jobs import measuring
from app.library import units
from app.library.units import PageUnit
from app.pages.unit.labels import labels_panel
from app.pages.unit.tables import bin_rows, circuit_rows, coactive_rows, examples_data, near_rows, score_rows
from app.selection import Selection
from probe.artifacts.folder import place
from probe.errors import BadInput
from probe.words import minus

if TYPE_CHECKING:
    from probe.features.unit import Unit


def measured(found: PageUnit, record: "Unit", kept: Selection, full: bool = False) -> Parts:
    """Everything a table holds of a unit."""
    view = segmented("unit-view", [("snippet", "snippet"), ("full", "full")], "full" if full else "snippet")
    box = html.Div(
        [
            dcc.Store(id="unit-examples-data", data={**examples_data(record), "empty": _no_examples(record)}),
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
    right = html.Div([labels_panel(found), _logits(found, record), _histogram(record)], className="ow-stack")
    return [html.Div([examples, right], className="ow-grid two"), _tokens(found, record), _near(found, record, kept)]


def by_weights(found: PageUnit, told: Parts | None, notes: Sequence[str] | None) -> Parts:
    """What can be said of a unit nobody has measured; the tables and their notes where its weights were read before."""
    promoted, suppressed, inputs, near = told or (None,) * 4
    writes, reads_from = notes or ("The direction it writes, as demeaned logits.", "From the weights alone.")
    absent = panel("Where it fires", _not_measured(found), export=False)
    words = panel(
        "What it does to the logits",
        _two(
            "promotes",
            drawn.rows("unit-promoted", data=promoted),
            "suppresses",
            drawn.rows("unit-suppressed", data=suppressed),
        ),
        note=html.Span(writes, id="unit-writes-note"),
        foot=snippets(*code(found)),
    )
    reads = panel(
        "What it reads, and units near it",
        _two(
            "tokens that would excite it (de-embedding)",
            drawn.rows("unit-inputs", data=inputs),
            "units that write alike (decoder cosine)",
            drawn.rows("unit-near", data=near),
        ),
        note=html.Span(reads_from, id="unit-reads-note"),
    )
    return [html.Div([words, reads], className="ow-grid even"), absent]


def _not_measured(found: PageUnit) -> Component:
    """Why there are no examples, and what makes them."""
    caches = units.caches_for(found)
    what = found.layer if found.kind == "neuron" else found.dictionary
    if caches:
        button = dmc.Button(
            f"Measure on {caches[0]}", id={"type": "units-build", "what": what, "cache": caches[0]}, variant="default"
        )
        return empty(
            "Not measured yet", "A pass over a stored cache finds the text at which it fires, and how often.", button
        )
    return empty("Not measured yet", measuring.plan_words(found.model, what), measure_button(found.model, what))


def _no_examples(record: "Unit") -> str:
    return "It was never active, so there is no text to show." if record.dead else "The table kept no examples of it."


def _two(left: str, one: Part, right: str, other: Part) -> html.Div:
    return html.Div([html.Div([html.H3(left), one]), html.Div([html.H3(right), other])], className="ow-pair tight")


def _logits(found: PageUnit, record: "Unit") -> html.Section:
    if not record.promoted:
        said = record.convention.get("writes", "")
        return panel(
            "What it does to the logits", html.P(f"Nothing can be said: {said}.", className="ow-sub"), export=False
        )
    return panel(
        "What it does to the logits",
        _two(
            "promotes",
            drawn.rows("unit-promoted", data=score_rows(record.promoted, "token", "logit")),
            "suppresses",
            drawn.rows("unit-suppressed", data=score_rows(record.suppressed, "token", "logit")),
        ),
        note="The direction it writes, as demeaned logits at activation 1.",
    )


def _histogram(record: "Unit") -> html.Section:
    from probe.features.figures import histogram_figure

    figure = dress(histogram_figure(record), worn(), margin={"l": 52, "r": 8, "t": 6, "b": 38}, bargap=0.05)
    table = html.Details(
        [html.Summary("as a table"), drawn.rows("unit-bins", 260, bin_rows(record))], className="ow-more"
    )
    signed = " Those below 0 too." if record.min < 0 else ""
    return panel(
        "Activations",
        [graph("unit-histogram", 210, "Histogram of activations", figure), table],
        note=f"Tokens by activation; counts on a logarithmic axis.{signed}",
    )


def _tokens(found: PageUnit, record: "Unit") -> html.Section:
    inputs = score_rows(record.inputs, "token", "score")
    if not record.inputs:
        inputs["note"] = "What it reads has no fixed embedding for each token, so weights alone do not say."
    return panel(
        "Which tokens",
        _two(
            "fires at: mean activation over a token's occurrences",
            drawn.rows("unit-measured", data=score_rows(record.measured, "token", "mean")),
            "would be excited by: de-embedding, weights alone",
            drawn.rows("unit-inputs", data=inputs),
        ),
        note="Measured on text, and by the weights. Where they disagree, it reads more than the present token.",
    )


def _near(found: PageUnit, record: "Unit", kept: Selection) -> html.Section:
    return panel(
        "Units near it",
        _two(
            "write alike: decoder cosine",
            drawn.rows("unit-near", data=near_rows(found, record, kept)),
            "fire together: co-activation",
            drawn.rows("unit-coactive", data=coactive_rows(found, record, kept)),
        ),
    )


def circuits(found: PageUnit) -> html.Section:
    """The stored graphs it is a node of."""
    return panel(
        "Circuits it appears in",
        drawn.rows("unit-circuits", 320, circuit_rows(found)),
        note="Nodes of stored attribution graphs that are this unit. Click one to see its edges.",
    )


def conventions(record: "Unit") -> html.Section:
    """What every number means."""
    parts = [part for k, v in record.convention.items() for part in (html.Dt(k), html.Dd(str(v)))]
    return panel("How it was measured", html.Dl(parts, className="ow-facts"), export=False)


def stored(found: PageUnit) -> bool:
    """Whether a latent's dictionary is at hand."""
    try:
        return place("dictionary", str(found.dictionary)).is_dir()
    except BadInput:
        return False


def code(found: PageUnit) -> tuple[str, str | None]:
    """Lines that show the same."""
    if found.table is not None:
        lines = f"table = open_features({found.table!r})\nunit = table.unit({found.row})\nunit"
        return python(lines, probe=["open_features"]), shell_line(
            "features", "--name", found.table, "--unit", str(found.row)
        )
    if found.kind == "neuron":
        lines = f"model = load_model({found.model!r})\nunit_weights(model, {found.layer}, {found.number})"
        return python(lines, probe=["load_model", "unit_weights"]), None
    lines = (
        f"model = load_model({found.model!r})\nlearned = load_dictionary({found.dictionary!r}, model)\n"
        f"unit_weights(model, learned, {found.number})"
    )
    return python(lines, probe=["load_dictionary", "load_model", "unit_weights"]), None


def plain_number(value: float) -> str:
    """`2.351`, with a real minus."""
    return minus(f"{value:.4g}")


def percent(value: float) -> str:
    """`0.49 %`."""
    return f"{100 * value:.3g} %"
