"""Graphs from other programs' files, sent by the page of circuits.

A file comes as the body of a post to `/import/graph?name=FILE`, is written to disk piece by piece up to `LARGEST`, read as
hostile (`circuits.exchange.read`), and stored under a name made of letters, digits and `-_.` that nothing else has. What is wrong
with it comes back as a sentence. The checks of `app.server.safety` (host, origin, token) are made before any of this.
"""

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from app import links
from probe.artifacts.folder import home, place
from probe.artifacts.names import usable_name
from probe.artifacts.stored import free_name
from probe.errors import BadInput, OpenworkError, Unavailable

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph


LARGEST = 64 << 20
"Bytes of a file that a page may send; the shell takes larger ones."
_PIECE, _TRIES = 1 << 20, 10


def register(server: Flask) -> None:
    """Install `/import/graph`."""

    @server.post("/import/graph")
    def import_graph() -> Response:
        request.max_content_length = LARGEST
        try:
            name = received(request.args.get("name", ""))
        except RequestEntityTooLarge:
            return Response(too_large(), 413, mimetype="text/plain")
        except OpenworkError as error:  # the page shows it; no fault of the request, which browsers would complain of
            return jsonify({"refused": str(error)})
        return jsonify({"name": name, "href": links.circuit_page(name)})


def too_large() -> str:
    """What a file over the limit is answered."""
    return (
        f"This file is larger than {LARGEST >> 20} MB. Prune the graph, or import it with `openwork graph import FILE`."
    )


def received(file_name: str) -> str:
    """Read the body of the request, store its graph, and say under which name."""
    folder = home() / "incoming"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            file = Path(scratch) / "graph.json"
            _write(file)
            return stored(file, file_name)
    except OSError as error:
        raise Unavailable(
            f"The file could not be kept ({error.strerror}). Free some space and send it again."
        ) from error


def _write(file: Path) -> None:
    size = 0
    with file.open("wb") as out:
        while piece := request.stream.read(_PIECE):
            size += len(piece)
            if size > LARGEST:
                raise BadInput(too_large())
            out.write(piece)
    if not size:
        raise BadInput(
            "The file is empty. Choose a graph written by Neuronpedia, circuit-tracer, attribute or Openwork."
        )


def stored(file: Path, file_name: str) -> str:
    """Read a graph file and store its graph under a new name made from the file's; returns the name."""
    from circuits.exchange.read import Limits, load_json, read_neuronpedia

    content = load_json(file, LARGEST)
    if isinstance(content, dict) and "report" in content and "metadata" not in content:
        raise BadInput(
            "This is Openwork's report of a graph, which leaves edges out. Import its Neuronpedia JSON instead; the button "
            "beside the one this came from writes that."
        )
    if not isinstance(content, dict):
        raise BadInput(
            f"The file holds a {type(content).__name__}; a mapping with metadata, nodes and links was wanted."
        )
    return _kept(read_neuronpedia(content, limits=Limits(bytes=LARGEST)), safe_name(file_name))


def _kept(graph: "CircuitGraph", wanted: str) -> str:
    """Store it under a free name; where another process takes that first, under the next."""
    from circuits.graph.store import save_graph

    for _ in range(_TRIES):
        name = free_name("graph", wanted)
        try:
            save_graph(graph, place("graph", name), command=f"imported from {wanted}")
        except BadInput:
            if not place("graph", name).exists():
                raise
        else:
            return name
    raise Unavailable("Others keep taking the names that this graph would get; import it once more.")


def safe_name(file_name: str) -> str:
    """Letters, digits and `-_.` of a file's name, without its ending."""
    bare = re.sub(
        r"(\.openwork|\.neuronpedia)?\.json$", "", file_name.rpartition("/")[2].rpartition("\\")[2], flags=re.I
    )
    return usable_name(bare)
