"""The panels of a unit's page that show what is known of it: by a table, or by its weights alone."""

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from app.components import drawn
from app.components.parts import empty, graph, icon, panel, segmented, store
from app.components.snippets import snippets
from app.figures.dress import dress
from app.frame.theme import worn
from app.jobs import measuring
from app.pages.unit import address
from app.pages.unit import tables as data
from app.pages.unit.address import Looked
from app.pages.unit.labels import labels_panel
from probe.artifacts.folder import place
from probe.errors import BadInput


def measured(found: Looked, record: Any, kept: dict[str, Any], full: bool = False) -> list[Any]:
    """Everything a table holds of a unit."""
    view = segmented("unit-view", [("snippet", "snippet"), ("full", "full")], "full" if full else "snippet")
    box = html.Div(
        [
            dcc.Store(id="unit-examples-data", data={**data.examples_data(record), "empty": _no_examples(record)}),
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


def by_weights(found: Looked, told: Sequence[Any] | None, notes: Sequence[str] | None) -> list[Any]:
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


def _not_measured(found: Looked) -> Any:
    """Why there are no examples, and what makes them."""
    caches = address.caches_for(found)
    what = found.layer if found.kind == "neuron" else found.dictionary
    if caches:
        button = dmc.Button(
            f"Measure on {caches[0]}", id={"type": "units-build", "what": what, "cache": caches[0]}, variant="default"
        )
        return empty(
            "Not measured yet", "A pass over a stored cache finds the text at which it fires, and how often.", button
        )
    return empty("Not measured yet", measuring.plan_words(found.model, what), measure_button(found.model, what))


def measure_button(model: str, what: Any) -> Any:
    """Harvests what the units of a layer or a dictionary read, and measures them."""
    identity = {"type": "units-harvest", "what": what, "model": model}
    return dmc.Button("Harvest and measure", id=identity, variant="default", leftSection=icon("play", small=True))


def _no_examples(record: Any) -> str:
    return "It was never active, so there is no text to show." if record.dead else "The table kept no examples of it."


def _two(left: str, one: Any, right: str, other: Any) -> html.Div:
    return html.Div([html.Div([html.H3(left), one]), html.Div([html.H3(right), other])], className="ow-pair tight")


def filled(name: str, rows: dict[str, Any], height: int | None = None) -> html.Div:
    """A table that has its rows from the start."""
    style = {"maxHeight": height} if height else {}
    return html.Div([store(f"{name}-data", rows), html.Div(id=name, className="ow-rows-box", style=style)])


def _logits(found: Looked, record: Any) -> html.Section:
    if not record.promoted:
        said = record.convention.get("writes", "")
        return panel(
            "What it does to the logits", html.P(f"Nothing can be said: {said}.", className="ow-sub"), export=False
        )
    return panel(
        "What it does to the logits",
        _two(
            "promotes",
            filled("unit-promoted", data.score_rows(record.promoted, "token", "logit")),
            "suppresses",
            filled("unit-suppressed", data.score_rows(record.suppressed, "token", "logit")),
        ),
        note="The direction it writes, as demeaned logits at activation 1.",
    )


def _histogram(record: Any) -> html.Section:
    from probe.features.figures import histogram_figure

    figure = dress(histogram_figure(record), worn(), margin={"l": 52, "r": 8, "t": 6, "b": 38}, bargap=0.05)
    table = html.Details(
        [html.Summary("as a table"), filled("unit-bins", data.bin_rows(record), 260)], className="ow-more"
    )
    signed = " Those below 0 too." if record.min < 0 else ""
    return panel(
        "Activations",
        [graph("unit-histogram", 210, "Histogram of activations", figure), table],
        note=f"Tokens by activation; counts on a logarithmic axis.{signed}",
    )


def _tokens(found: Looked, record: Any) -> html.Section:
    inputs = data.score_rows(record.inputs, "token", "score")
    if not record.inputs:
        inputs["note"] = "What it reads has no fixed embedding for each token, so weights alone do not say."
    return panel(
        "Which tokens",
        _two(
            "fires at: mean activation over a token's occurrences",
            filled("unit-measured", data.score_rows(record.measured, "token", "mean")),
            "would be excited by: de-embedding, weights alone",
            filled("unit-inputs", inputs),
        ),
        note="Measured on text, and by the weights. Where they disagree, it reads more than the present token.",
    )


def _near(found: Looked, record: Any, kept: dict[str, Any]) -> html.Section:
    return panel(
        "Units near it",
        _two(
            "write alike: decoder cosine",
            filled("unit-near", data.near_rows(found, record, kept)),
            "fire together: co-activation",
            filled("unit-coactive", data.coactive_rows(found, record, kept)),
        ),
    )


def circuits(found: Looked) -> html.Section:
    """The stored graphs it is a node of."""
    return panel(
        "Circuits it appears in",
        filled("unit-circuits", data.circuit_rows(found), 320),
        note="Nodes of stored attribution graphs that are this unit. Click one to see its edges.",
    )


def conventions(record: Any) -> html.Section:
    """What every number means."""
    parts = [part for k, v in record.convention.items() for part in (html.Dt(k), html.Dd(str(v)))]
    return panel("How it was measured", html.Dl(parts, className="ow-facts"), export=False)


def stored(found: Looked) -> bool:
    """Whether a latent's dictionary is at hand."""
    try:
        return place("dictionary", str(found.dictionary)).is_dir()
    except BadInput:
        return False


def code(found: Looked) -> tuple[str, str | None]:
    """Lines that show the same."""
    if found.table is not None:
        python = (
            "from probe.artifacts.folder import place\nfrom probe.features import open_features\n\n"
            f'table = open_features(place("features", {found.table!r}))\nunit = table.unit({found.row})\nunit'
        )
        return python, address.shell("features", "--name", found.table, "--unit", str(found.row))
    if found.kind == "neuron":
        return (
            f"from probe import load_model\nfrom probe.features import unit_weights\n\nmodel = load_model({found.model!r})\n"
            f"unit_weights(model, {found.layer}, {found.number})",
            None,
        )
    return (
        "from probe import load_dictionary, load_model\nfrom probe.features import unit_weights\n\n"
        f"model = load_model({found.model!r})\nlearned = load_dictionary({found.dictionary!r}, model)\n"
        f"unit_weights(model, learned, {found.number})",
        None,
    )


def plain_number(value: float) -> str:
    """`2.351`, with a real minus."""
    return f"{value:.4g}".replace("-", "−")


def percent(value: float) -> str:
    """`0.49 %`."""
    return f"{100 * value:.3g} %"
