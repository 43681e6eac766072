"""Downloads: stored graphs by their registered name, in Neuronpedia's schema or with everything the page knows."""

import json

from flask import Flask, Response

from app.library.graphs import stored_graph
from probe.errors import OpenworkError


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
                from circuits.exchange.own import to_openwork

                return _file(to_openwork(graph), f"{name}.openwork.json")
        except OpenworkError as error:
            return Response(str(error), 404, mimetype="text/plain")
        return Response("Formats are neuronpedia.json and openwork.json.", 404, mimetype="text/plain")


def _file(value: object, name: str) -> Response:
    body = json.dumps(value, ensure_ascii=False, allow_nan=False)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(body, mimetype="application/json", headers=headers)
