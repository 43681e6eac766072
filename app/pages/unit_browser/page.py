"""Neurons and features: what there is to browse. Tables of measured units; what measures the units of a dictionary or a
layer; dictionaries nobody has measured yet; and every neuron of every model by its number."""

from pathlib import Path
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from app import links
from app.components import drawn
from app.components.drawn import Drawn
from app.components.inputs import choose_model, count
from app.components.parts import Parts, copyable, empty, icon, panel, title
from app.components.plain_rows import TABLE, row_data
from app.components.snippets import of_call
from app.frame.shell import Page
from app.library.artifacts import Library, library
from app.library.models import models, require_offered, short_model
from app.library.tables import warm
from app.library.units import unit_at
from app.methods.block import Block
from app.selection import selection_from
from probe.artifacts.json import Json
from probe.artifacts.manifest import Manifest
from probe.errors import BadInput
from probe.features.measuring.caches import neuron_caches
from probe.features.overview import in_words, neuron_tables
from probe.model.sites import parse_site
from probe.model.sizes import model_size

MEASURE = Block("measure", "measure-units", ("layer", "dictionary", "cache"), "measure", "Measure units")
MOST = 120
"""Tables and dictionaries shown."""


def layout(query: dict[str, str]) -> Parts:
    """Tables, dictionaries without one, and the neurons."""
    stored = library()
    lead = "What each neuron and each dictionary latent fires at, what it does to the logits, and which others are near it."
    return [
        dcc.Store(id="selection", data=selection_from(query)),
        title("Neurons and features", lead=lead),
        _tables(stored),
        _neurons(query.get("m", "")),
        MEASURE.layout("", {}, query),
        *_unmeasured(stored),
    ]


def _tables(stored: Library) -> html.Section:
    found = stored.kinds["features"]
    if not found:
        words = (
            "A feature table holds, for every unit, the text it fires at, how often, and what it does to the logits."
        )
        return panel("Feature tables", empty("No feature tables yet", words, copyable("openwork demo")), export=False)
    warm()
    cards = html.Div([_card(*one) for one in found[:MOST]], className="ow-cards")
    note = "Units measured on stored activations. Open one to browse, sort and search."
    return panel(
        "Feature tables", cards, note=note, foot=of_call("features find", table=found[0][0].name), export=False
    )


def _card(folder: Path, manifest: Manifest) -> dcc.Link:
    model = short_model(manifest.model.name) if manifest.model else ""
    said = [*in_words(folder, manifest), f"{manifest.facts.get('source', '')} · {model}"]
    words = [html.Div(folder.name, className="name", dir="auto"), *(html.Div(one, className="meta") for one in said)]
    return dcc.Link(words, href=links.table_page(folder.name), className="ow-card")


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
    problem = html.Div(id="units-error", className="ow-units-error", role="status")
    note = "Every MLP neuron has a page; with a table of its layer it also shows what it fires at."
    return panel("Neurons", [boxes, problem, drawn.rows("units-layers", 320)], note=note)


def _unmeasured(stored: Library) -> list[html.Section]:
    """Dictionaries without a table; the page of a latent measures them."""
    having = {m.facts.get("source") for _, m in stored.kinds["features"]}
    without = [(folder.name, m) for folder, m in stored.kinds["dictionary"] if folder.name not in having]
    if not without:
        return []
    rows = [
        {
            "dictionary": name,
            "latents": int(m.facts.get("d_dict", 0)),
            "kind": m.facts.get("dictionary_kind", ""),
            "sites": ", ".join(parse_site(s).short for s in m.sites[:4]),
            "href": links.latent_page(name, 0),
        }
        for name, m in without[:MOST]
    ]
    more = f" The newest {MOST} of {len(without)}." if len(without) > MOST else ""
    note = "Open one: its latents have pages by number, and can be measured there, to see what they fire at." + more
    return [
        panel(
            "Dictionaries without a table", drawn.rows({"type": TABLE, "at": "without"}, 320, opening(rows)), note=note
        )
    ]


def opening(rows: list[Json]) -> Drawn:
    """A table whose rows open the page that their `href` names."""
    data = row_data("", [{key: value for key, value in row.items() if key != "href"} for row in rows])
    return {**data, "rows": [{**row, "href": one["href"]} for row, one in zip(data["rows"], rows)], "page": None}


def layer_rows(model: str) -> Drawn:
    """A row for each layer: its table if it has one, or the cache it could be measured on."""
    size, rows = model_size(require_offered(model)), []
    measured = {int(m.facts["layers"][0][1]): name for name, m in reversed(neuron_tables(model))}
    caches = neuron_caches(model)
    for layer in sorted({*measured, *caches}):
        table = measured.get(layer)
        said = f"table {table}" if table else f"can be measured on {caches[layer]}"
        href = links.table_page(table) if table else links.neuron_page(model, layer, 0)
        rows.append({"layer": f"L{layer}", "measured": said, "href": href})
    many = f"{size.layers} layers of {size.d_mlp:,} neurons each. " if size else ""
    whole = size and len(rows) == size.layers
    return {**opening(rows), "note": many + ("" if whole else "The page of a neuron measures its layer.")}


def neuron_address(model: str, layer: object, number: object) -> str:
    """The page of a neuron; BadInput for what the model does not have."""
    if not all(isinstance(x, int) and x >= 0 for x in (layer, number)):
        raise BadInput("Give the layer and the neuron as whole numbers from 0.")
    return unit_at("neuron", str(layer), str(number), {"m": model}).href()


def register(app: Dash) -> None:
    drawn.register_rows(app, "units-layers")

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


PAGE = Page(r"/units", "Neurons and features", layout, register)
