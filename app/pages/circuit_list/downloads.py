"""Downloads: stored graphs by their registered name, in Neuronpedia's schema or with everything the page knows."""

import json
from typing import TYPE_CHECKING

import numpy as np
from flask import Flask, Response

from app.library.graphs import stored_graph
from circuits.graph.graph import KINDS
from probe.artifacts.json import Json, finite
from probe.errors import OpenworkError

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph


def register(server: Flask) -> None:
    """Install `/export/graph/NAME/FORMAT.json`."""

    @server.get("/export/graph/<name>/<form>.json")
    def graph_file(name: str, form: str) -> Response:
        try:
            graph = stored_graph(name)
            if form == "neuronpedia":
                from circuits.exchange.write import to_neuronpedia

                return _file(to_neuronpedia(graph, slug=name), f"{name}.neuronpedia.json")
            if form == "openwork":
                return _file(own(graph), f"{name}.openwork.json")
        except OpenworkError as error:
            return Response(str(error), 404, mimetype="text/plain")
        return Response("Formats are neuronpedia.json and openwork.json.", 404, mimetype="text/plain")


def _file(value: object, name: str) -> Response:
    body = json.dumps(value, ensure_ascii=False, allow_nan=False)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    return Response(
        body, mimetype="application/json", headers={"Content-Disposition": f'attachment; filename="{safe}"'}
    )


def own(graph: "CircuitGraph") -> Json:
    """The report, all nodes, and the edges that hold 98 % of the influence of the nodes that hold 80 %."""
    kept = graph.prune()
    n, e = graph.nodes, graph.edges
    nodes = [
        {
            "id": i,
            "name": graph.name(i),
            "kind": KINDS[n.kind[i]],
            "layer": int(n.layer[i]),
            "position": int(n.pos[i]),
            "unit": int(n.unit[i]),
            "value": finite(n.value[i]),
            "activation": finite(n.activation[i]),
            "influence": float(graph.influence[i]),
        }
        for i in range(len(n))
    ]
    edges = [
        {"source": int(e.source[i]), "target": int(e.target[i]), "weight": float(e.weight[i])}
        for i in np.flatnonzero(kept.edges)
    ]
    return {"report": graph.report(), "tokens": graph.tokens, "nodes": nodes, "edges": edges}
