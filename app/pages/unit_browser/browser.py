"""The browser over the units of a feature table: a grid that fetches a hundred rows at a time, filters, and the densities as a
histogram whose range one drags or moves with the keys. Everything chosen stands in the address."""

from typing import TYPE_CHECKING

import dash_mantine_components as dmc
from dash import dcc, html

from app import links
from app.components.cards import outdated_note
from app.components.inputs import choose, write
from app.components.parts import Parts, graph, icon, link_button, panel, segmented, stat, title
from app.components.snippets import of_call
from app.frame.shell import Page
from app.library import tables
from app.library.artifacts import is_registered
from app.library.models import short_model
from app.pages.unit_browser.callbacks import register
from app.pages.unit_browser.query import KEYS, asked_of, ends_of
from app.selection import selection_from
from probe.artifacts.json import Json
from probe.features.search import WORDS
from probe.words import percent

if TYPE_CHECKING:
    from probe.features.table import FeatureTable


def layout(table: str, query: dict[str, str]) -> Parts:
    """The grid of a table, what is asked of it, and how dense its units are."""
    opened, asked = tables.open_table(table), asked_of(query)
    facts, model = opened.manifest.facts, opened.manifest.model
    source = (
        dcc.Link(facts["source"], href=links.latent_page(facts["source"], 0))
        if is_registered("dictionary", str(facts["source"]))
        else facts["source"]
    )
    return [
        dcc.Store(id="selection", data={**selection_from(query), "model": model.name if model else ""}),
        dcc.Store(
            id="ub-args",
            data={"table": table, "base": links.table_page(table), "low": opened.least_density, "asked": asked},
        ),
        dcc.Store(id="ub-query", data={k: query[k] for k in KEYS if k in query}),
        dcc.Store(id="ub-ready"),
        title(
            table,
            eyebrow=["Feature table · ", source, f" · {short_model(model.name) if model else ''}"],
            actions=[link_button("All tables", links.UNITS, "units", small=True)],
        ),
        *outdated_note("features", table),
        _scores(opened),
        panel(
            "Units",
            _body(asked),
            note="Click a row, or press Enter on it, to open the unit.",
            tools=html.Span(id="ub-count", className="ow-partial num", **{"aria-live": "polite"}),
            foot=_code(table, asked),
        ),
        panel(
            "How dense they are",
            _densities(opened, asked),
            note="How many units are active at which share of the tokens. Drag over the bars or move the handles for a range.",
        ),
    ]


def _scores(opened: "FeatureTable") -> html.Section:
    facts = opened.to_dict()
    dead = round(opened.dead_share * opened.n_units)
    numbers = [
        stat("units", f"{opened.n_units:,}", f"{opened.kind}s of {facts['source']}"),
        stat("measured on", f"{opened.n_tokens:,}", "ordinary tokens"),
        stat("never active", percent(opened.dead_share), f"{dead:,} dead units"),
        stat("active at a token", f"{facts['mean_active_units']:.1f}", "units, on average"),
        stat("labelled", f"{len(opened.labels):,}", "units with a label"),
    ]
    return html.Section(html.Div(numbers, className="body ow-stats", style={"paddingTop": 14}), className="ow-panel")


def _body(asked: Json) -> Parts:
    rules = {"size": "sm", "debounce": 350}
    named, loupe = "Text in a unit's labels, tokens or examples", icon("search", small=True)
    search = write(
        "ub-text", named, asked.get("text", ""), hint="Text, for example: war", w=250, leftSection=loupe, **rules
    )
    where = choose("ub-where", WORDS, asked.get("where", "any"), "Where the text stands", w=140, size="sm")
    label = write("ub-label", "Text in a label", asked.get("label", ""), hint="Text in a label (* any)", w=190, **rules)
    chosen = {True: "1", False: "0"}.get(asked.get("dead"), "")
    dead = segmented("ub-dead", [("", "all"), ("0", "active"), ("1", "dead")], chosen)
    clear = dmc.Button("Clear", id="ub-clear", variant="subtle", color="gray", size="compact-sm")
    tools = html.Div([search, where, label, dead, clear], className="ow-actions", style={"marginBottom": 12})
    place = html.Div(
        html.Div(className="ow-skeleton", style={"height": 560}), id="ub-place", className="ow-unit-grid ow-data"
    )
    return [tools, html.Div(id="ub-problem"), place]


def _densities(opened: "FeatureTable", asked: Json) -> Parts:
    low = opened.least_density
    handles = dmc.RangeSlider(
        id="ub-range",
        min=low,
        max=0,
        step=0.02,
        minRange=0.02,
        value=[*ends_of(asked, low)],
        label=None,
        size="sm",
        thumbFromLabel="Lowest density, powers of ten",
        thumbToLabel="Highest density, powers of ten",
        updatemode="mouseup",
    )
    return [
        graph("ub-density", 190, "Histogram of densities; the range below filters the table"),
        html.Div(handles, className="ow-density-range"),
        html.Div(id="ub-range-words", className="ow-partial num", **{"aria-live": "polite"}),
    ]


def _code(table: str, asked: Json) -> html.Details:
    """What remakes the list that this address shows."""
    least, most = asked.get("density", (0.0, 1.0))
    given = {"sort": "unit", "descending": False, **{k: v for k, v in asked.items() if k != "density"}}
    return of_call("features find", table=table, least_density=least, most_density=most, **given)


PAGE = Page(r"/units/table/(?P<table>[^/]+)", "Units", layout, register, ("ub-density",))
