"""Neurons and features: what there is to browse. Tables of measured units; dictionaries nobody has measured yet, with the button
or the command that does it; and every neuron of every model by its number."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import choose_model, count
from app.components.measuring import measure_button, measure_words
from app.components.measuring import register as register_measuring
from app.components.parts import Parts, copyable, empty, icon, panel, title
from app.components.plain_rows import row_data
from app.components.snippets import python, shell_line, snippets
from app.frame.shell import Page
from app.library.artifacts import Library, library
from app.library.models import models, require_offered, short_model
from app.library.tables import caches_for, neuron_tables, neurons_in, table_facts, warm
from app.library.units import unit_at
from app.selection import selection_from
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput
from probe.model.sites import parse_site
from probe.model.sizes import model_size
from probe.words import counted

MOST = 60
"""Rows of dictionaries shown."""


def layout(query: dict[str, str]) -> Parts:
    """Tables, dictionaries without one, and the neurons."""
    stored = library()
    lead = "What each neuron and each dictionary latent fires at, what it does to the logits, and which others are near it."
    return [
        dcc.Store(id="selection", data=selection_from(query)),
        dcc.Store(id="units-gone"),
        title("Neurons and features", lead=lead),
        _tables(stored),
        _neurons(query.get("m", "")),
        *_unmeasured(stored),
    ]


def _tables(stored: Library) -> html.Section:
    found = stored.kinds["features"]
    cards = [_card(folder.name, table_facts(folder, m), m) for folder, m in found[:120]]
    if not cards:
        words = (
            "A feature table holds, for every unit, the text it fires at, how often, and what it does to the logits."
        )
        first = "openwork features --layer 4 --cache NAME" if stored.kinds["cache"] else "openwork demo"
        return panel("Feature tables", empty("No feature tables yet", words, copyable(first)), export=False)
    warm()
    note = "Units measured on stored activations. Open one to browse, sort and search."
    name = found[0][0].name
    lines = f'table = open_features({name!r})\ntable.search(sort="density", descending=True, limit=20)'
    code = snippets(python(lines, probe=["open_features"]), shell_line("features", "--name", name, "--search", ""))
    return panel("Feature tables", html.Div(cards, className="ow-cards"), note=note, foot=code, export=False)


def _card(name: str, facts: Json, manifest: Manifest) -> dcc.Link:
    kind = manifest.facts.get("units", "unit")
    if "damaged" in facts:
        numbers = f"damaged: {facts['damaged']}"
    else:
        numbers = f"{counted(facts['n_units'], kind)} · {counted(facts['tokens'], 'token')} · {facts['dead']:.1%} dead"
    middle, model = facts.get("median"), short_model(manifest.model.name) if manifest.model else ""
    said = [numbers, f"middle density {middle:.3%}" if middle else "", f"{manifest.facts.get('source', '')} · {model}"]
    words = [html.Div(name, className="name", dir="auto"), *(html.Div(one, className="meta") for one in said)]
    return dcc.Link(words, href=links.table_page(name), className="ow-card")


def _neurons(model: str) -> html.Section:
    """A model, a layer, a number."""
    rules: dict[str, Any] = {"over": True, "size": "sm"}
    boxes = html.Div(
        [
            choose_model("units-model", model if model in models() else "", over=True, w=200),
            count("units-layer", 0, "Layer", least=0, w=110, **rules),
            count("units-number", 0, "Neuron", least=0, w=130, **rules),
            dmc.Button("Open the neuron", id="units-open", rightSection=icon("arrow", small=True)),
        ],
        className="ow-actions ow-baseline",
    )
    note = html.Span(
        "Every MLP neuron has a page; with a table of its layer it also shows what it fires at.", id="units-size"
    )
    body = [
        boxes,
        html.Div(id="units-error", className="ow-units-error", role="status"),
        html.Div(id="units-measure"),
        drawn.rows("units-layers", 320),
    ]
    return panel("Neurons", body, note=note)


def _unmeasured(stored: Library) -> list[html.Section]:
    """Dictionaries without a table; their cache, or what is missing."""
    having = {m.facts.get("source") for _, m in stored.kinds["features"]}
    without = [(folder.name, m) for folder, m in stored.kinds["dictionary"] if folder.name not in having]
    if not without:
        return []
    rows = [_dictionary_row(name, manifest) for name, manifest in without[:MOST]]
    more = f" The newest {MOST} of {len(without)}." if len(without) > MOST else ""
    note = "Their latents can be opened by number; measure one to see what its latents fire at." + more
    return [panel("Dictionaries without a table", html.Div(rows, className="ow-lines"), note=note, export=False)]


def _dictionary_row(name: str, manifest: Manifest) -> html.Div:
    facts = manifest.facts
    sites = ", ".join(parse_site(s).short for s in manifest.sites[:4])
    words = html.Div(
        [
            dcc.Link(name, href=links.latent_page(name, 0), className="name"),
            html.Div(
                f"{int(facts.get('d_dict', 0)):,} latents · {facts.get('dictionary_kind', '')} · {sites}",
                className="meta",
            ),
        ]
    )
    action = measure_button(manifest.model.name, name) if manifest.model else None
    return html.Div([words, action], className="ow-line")


def layer_rows(model: str) -> Drawn:
    """A row for each layer: its table if it has one, or the cache it could be measured on."""
    require_offered(model)
    size = model_size(model)
    tables = {int(m.facts["layers"][0][1]): name for name, m in reversed(neuron_tables(model))}
    mine = [m for _, m in library().kinds["cache"] if m.model and m.model.name == model]
    rows, links_to = [], []
    for layer in sorted({*tables, *(layer for m in mine for layer in neurons_in(m))}):
        table = tables.get(layer)
        said = f"table {table}" if table else f"can be measured on {caches_for(model, layer)[0]}"
        rows.append({"layer": f"L{layer}", "measured": said})
        links_to.append(links.table_page(table) if table else links.neuron_page(model, layer, 0))
    data = row_data("Layers", rows)
    lines = [{**row, "href": href} for row, href in zip(data["rows"], links_to)]
    many = f"{size.layers} layers of {size.d_mlp:,} neurons each. " if size else ""
    rest = (
        ""
        if size and len(rows) == size.layers
        else "Other layers can be harvested and measured from here: give the layer."
    )
    return {**data, "rows": lines, "page": None, "note": many + rest}


def layer_offer(model: str, layer: object) -> Parts:
    """The button that measures all neurons of a layer, where no table holds them."""
    require_offered(model)
    size = model_size(model)
    if isinstance(layer, bool) or not isinstance(layer, int) or (size and not 0 <= layer < size.layers):
        return []
    if any(m.facts.get("layers") == [[0, layer]] for _, m in neuron_tables(model)):
        return []
    return [
        html.P(measure_words(model, layer), className="ow-sub"),
        measure_button(model, layer),
    ]


def neuron_address(model: str, layer: object, number: object) -> str:
    """The page of a neuron; BadInput for what the model does not have."""
    if not all(isinstance(x, int) and x >= 0 for x in (layer, number)):
        raise BadInput("Give the layer and the neuron as whole numbers from 0.")
    return unit_at("neuron", str(layer), str(number), {"m": model}).href()


def register(app: Dash) -> None:
    drawn.register_rows(app, "units-layers")
    register_measuring(app)

    @app.callback(Output("units-layers-data", "data"), Input("units-model", "value"))
    def layers(model: str):
        return layer_rows(model)

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Output("units-error", "children"),
        Input("units-open", "n_clicks"),
        State("units-model", "value"),
        State("units-layer", "value"),
        State("units-number", "value"),
        prevent_initial_call=True,
    )
    def open_neuron(clicks: int | None, model: str, layer: object, number: object):
        if not clicks:
            return no_update, no_update
        try:
            return neuron_address(model, layer, number), None
        except BadInput as problem:
            return no_update, str(problem)

    @app.callback(
        Output("units-measure", "children"),
        Input("units-model", "value"),
        Input("units-layer", "value"),
    )
    def offer(model: str, layer: object):
        return layer_offer(model, layer)


PAGE = Page(r"/units", "Neurons and features", layout, register)
