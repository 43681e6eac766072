"""Graphs from other programs' files, sent by the page of circuits; and the trash, into which a deleted graph is moved.

A file comes as the body of a post to `/import/graph?name=FILE`, is written to disk piece by piece up to `LARGEST`, read as
hostile (`circuits.exchange.read`), and stored under a name made of letters, digits and `-_.` that nothing else has. What is wrong
with it comes back as a sentence. The checks of `app.server.safety` (host, origin, token) are made before any of this.
"""

import re
import tempfile
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from app import links
from app.library.artifacts import registered
from probe.artifacts.claims import claim, lock_of
from probe.artifacts.folder import KINDS, home, place
from probe.artifacts.lock import exclusive
from probe.artifacts.names import usable_name
from probe.artifacts.renames import rename_new
from probe.errors import BadInput, OpenworkError, Unavailable

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph


LARGEST = 64 << 20
"Bytes of a file that a page may send; the shell takes larger ones."
_PIECE, _TRIES = 1 << 20, 10
_lock = Lock()


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
    graph = read_neuronpedia(content, limits=Limits(bytes=LARGEST))
    with _lock:
        return _kept(graph, file_name)


def _kept(graph: "CircuitGraph", file_name: str) -> str:
    """Store it under a free name; where another process takes that first, under the next."""
    from circuits.graph.store import save_graph

    for _ in range(_TRIES):
        name = free_name(file_name)
        try:
            save_graph(graph, place("graph", name), command=f"imported from {safe_name(file_name)}")
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


def free_name(file_name: str) -> str:
    """A name that no stored graph has, whatever the state of that graph."""
    base, folder = safe_name(file_name), home() / KINDS["graph"]
    there = {path.name.casefold() for path in folder.glob("*")} if folder.is_dir() else set()
    return next(n for i in range(1, len(there) + 2) if (n := base if i == 1 else f"{base}-{i}").casefold() not in there)


# -- the trash -------------------------------------------------------------------------------------------------------------


def discard(name: str) -> str:
    """Move a stored graph into the trash; returns where, as a path below `home()`."""
    folder = registered("graph", name)
    to = home() / "trash" / "graphs" / f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}"
    while to.exists():
        to = to.with_name(to.name + "-2")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(lock_of(folder), f"the graph {name}"):
            folder.rename(to)
    except OSError as error:
        raise Unavailable(
            f"'{name}' could not be moved to the trash ({error.strerror}). Nothing was changed."
        ) from error
    return str(to.relative_to(home()))


def put_back(discarded: str) -> str:
    """Move a graph out of the trash, under a free name; returns the name."""
    bin_ = home() / "trash" / "graphs"
    for folder in bin_.glob("*") if bin_.is_dir() else []:
        if folder.name == Path(discarded).name and folder.is_dir() and not folder.is_symlink():
            with _lock:
                name = _name_before(folder.name)
                with claim(place("graph", name), free=True):
                    rename_new(folder, place("graph", name))
            return name
    raise BadInput("It is no longer in the trash, so it cannot be put back.")


def _name_before(name: str) -> str:
    bare = re.sub(r"\.\d{8}-\d{6}(-2)*$", "", name)
    return bare if not place("graph", bare).exists() else free_name(bare)
