"""Graphs to and from other programs' files: stored ones downloaded by their registered name, files uploaded and imported.

A file comes as the body of a post to `/import/graph?name=FILE`, is written to disk piece by piece up to `LARGEST`, and is read as
hostile (`circuits.exchange.read_neuronpedia`). What is wrong with it comes back as a sentence. `app.server.request_guard`'s
checks (host, origin, token) are made before any of this.
"""

import json
import shutil
import tempfile
from pathlib import Path

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from app import links
from app.library.graphs import stored_graph
from probe.artifacts.folder import home
from probe.errors import OpenworkError, Unavailable

LARGEST = 64 << 20
"Bytes of a file that a page may send; the shell takes larger ones."


def register(server: Flask) -> None:
    """Install `/import/graph` and `/export/graph/NAME/FORMAT.json`."""

    @server.post("/import/graph")
    def import_graph() -> Response:
        request.max_content_length = LARGEST
        try:
            name = received(request.args.get("name", ""))
        except RequestEntityTooLarge:
            most = f"This file is larger than {LARGEST >> 20} MB."
            said = f"{most} Prune the graph, or import it with `openwork graph import FILE`."
            return Response(said, 413, mimetype="text/plain")
        except OpenworkError as error:  # the page shows it; no fault of the request, which browsers would complain of
            return jsonify({"refused": str(error)})
        return jsonify({"name": name, "href": links.circuit_page(name)})

    @server.get("/export/graph/<name>/<form>.json")
    def graph_file(name: str, form: str) -> Response:
        try:
            if form not in ("neuronpedia", "openwork", "mib"):
                return Response(
                    "Formats are neuronpedia.json, openwork.json and, of circuits of components, mib.json.",
                    404,
                    mimetype="text/plain",
                )
            return _file(written(name, form), f"{name}.{form}.json")
        except OpenworkError as error:
            return Response(str(error), 404, mimetype="text/plain")


def received(file_name: str) -> str:
    """Read the body of the request, store its graph, and say under which name."""
    from circuits.exchange.import_graph import import_as_new

    folder = home() / "incoming"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            file = Path(scratch) / "graph.json"
            with file.open("wb") as out:
                shutil.copyfileobj(request.stream, out)
            return import_as_new(file, file_name, LARGEST)
    except OSError as error:
        raise Unavailable(
            f"The file could not be kept ({error.strerror}). Free some space and send it again."
        ) from error


def written(name: str, form: str) -> object:
    """A stored graph in Neuronpedia's schema, or MIB's, or with everything the page knows."""
    graph = stored_graph(name)
    if form == "mib":
        from circuits.search.as_graph import mib_of_graph

        return mib_of_graph(graph)
    if form == "neuronpedia":
        from circuits.exchange.write_neuronpedia import to_neuronpedia

        return to_neuronpedia(graph, slug=name)
    from circuits.exchange.openwork_json import to_openwork

    return to_openwork(graph)


def _file(value: object, name: str) -> Response:
    answer = Response(json.dumps(value, ensure_ascii=False, allow_nan=False), mimetype="application/json")
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    answer.headers.set("Content-Disposition", "attachment", filename=safe)
    return answer
