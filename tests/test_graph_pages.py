"""The circuit's page opens every graph there is: all kinds of nodes, imported, pruned, of unknown conservation."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import plotly
import pytest
from every_kind import LAYOUT, every_kind, exported
from foreign_graphs import attribute, circuit_tracer, neuronpedia

from app import connections, export, linkgraph
from app.main import make_server
from app.pages import circuits, graph, graph_callbacks
from circuits.exchange.read import read_neuronpedia
from circuits.graph import CircuitGraph
from circuits.store import load_graph, save_graph
from probe.artifact import place

GRAPHS = {
    "every kind": every_kind,
    "circuit-tracer": lambda: read_neuronpedia(circuit_tracer("old")),
    "attribute": lambda: read_neuronpedia(attribute()),
    "neuronpedia": lambda: read_neuronpedia(neuronpedia()),
    "pruned": lambda: read_neuronpedia(exported(node_threshold=0.7, edge_threshold=0.8)),
}


def as_json(value: Any) -> str:
    """As the server sends it."""
    return json.dumps(value, cls=plotly.utils.PlotlyJSONEncoder, allow_nan=False)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_has_a_page(name, home):
    found: CircuitGraph = GRAPHS[name]()
    save_graph(found, place("graph", "g"))
    page = as_json(graph.layout("g", {}))
    assert as_json(circuits.layout({})) and as_json(export.own(found))
    shown = linkgraph.arrange(found, 1.0)
    assert found.roots[shown.nodes].sum() == found.roots.sum()
    for node in range(len(found.nodes)):
        as_json(graph_callbacks.node_facts(found, node))
        for way in ("in", "out"):
            as_json(connections.connection_rows(found, node, way))
        assert as_json(linkgraph.graph_figure(found, shown, node))
    as_json(connections.node_rows(found, shown))
    assert ("unknown" in page) == bool(np.isnan(found.residual))


def test_connections_add_up_where_the_parts_are_known():
    """To the node's own value: exactly, and for a pruned file with what was left out as a row of its own."""
    for found, closing in ((every_kind(), 2), (GRAPHS["pruned"](), 3)):
        for node in np.flatnonzero(found.explained):
            rows = connections.connection_rows(found, int(node), "in")["rows"]
            assert rows[-1]["unit"] == "sum = value"
            assert rows[-1]["amount"] == pytest.approx(found.nodes.value[node], abs=1e-5)
            assert sum(r["amount"] for r in rows[:-1]) == pytest.approx(found.nodes.value[node], abs=1e-5)
            assert any(r["unit"] == "edges left out" for r in rows[-closing:]) <= (closing == 3)
    unknown = GRAPHS["circuit-tracer"]()
    rows = connections.connection_rows(unknown, unknown.find("L1F9")[0], "in")["rows"]
    assert rows[-1]["unit"] == "sum of edges" and rows[-1]["amount"] == pytest.approx(4.0)


def test_what_nodes_are_called():
    found = every_kind()
    names = {LAYOUT[i]: linkgraph.short(found, i) for i in range(len(LAYOUT))}
    assert (
        names["head", 0, 1, 2] == "L0H2"
        and names["mlp", 1, 3, -1] == "L1 MLP"
        and names["first", 0, 0, -1] == "L0 first"
    )
    assert names["latent", 1, 3, 5] == "L1F5" and names["direction", 3, 3, 0] == "direction"
    imported = GRAPHS["circuit-tracer"]()
    (node,) = imported.find("L1F9")
    assert linkgraph.titled(imported, node) == "L1F9 · my label" and linkgraph.titled(imported, node, 4).endswith(
        "my …"
    )
    assert all(word in linkgraph.describe(imported, node) for word in ("L1F9", "my·label"))


def test_units_and_slots_are_named():
    assert graph.units(every_kind()) == "neurons, latents, MLPs, heads"
    assert graph.basis(every_kind()) == "layers 2, resid_post.1, neurons elsewhere"
    assert graph.power(float("nan")) == "unknown" and graph.power(4e-7) == "4e−7"


@pytest.mark.parametrize("name", GRAPHS)
def test_the_snippet_opens_what_cannot_be_traced_again(name, home):
    found = GRAPHS[name]()
    save_graph(found, place("graph", "g"))
    python, shell = graph._snippets(found, "g")
    names: dict[str, Any] = {}
    exec(python, names)
    assert names["graph"].prompt == found.prompt and shell is None


def test_hostile_graphs_have_a_page_without_markup(home):
    value = circuit_tracer()
    nasty = "<img src=x onerror=alert(1)>"
    value["metadata"].update(prompt=nasty, prompt_tokens=[nasty, "</script>"], scan="../../etc/passwd", slug=nasty)
    value["metadata"]["generation_settings"] = {nasty: nasty}
    value["nodes"][2]["clerp"], value["qParams"]["supernodes"] = nasty, [[nasty, "1_9_1"]]
    found = read_neuronpedia(value)
    save_graph(replace(found, facts={"imported": "not a mapping"}), place("graph", "g"))
    assert as_json(graph.layout("g", {})) and graph._prompt_link(load_graph(place("graph", "g"))) is None
    shown = linkgraph.arrange(found, 1.0)
    assert "<img" not in as_json(linkgraph.graph_figure(found, shown, 0))


def test_downloads_of_every_graph(home):
    server = make_server(port=0)
    try:
        client = server.app.test_client()
        for name, make in GRAPHS.items():
            save_graph(make(), place("graph", name.replace(" ", "-")))
            for form in ("neuronpedia", "openwork"):
                answer = client.get(
                    f"/export/graph/{name.replace(' ', '-')}/{form}.json", headers={"Host": "127.0.0.1"}
                )
                assert answer.status_code == 200 and answer.get_json()["nodes"], (name, form)
    finally:
        server.server_close()
