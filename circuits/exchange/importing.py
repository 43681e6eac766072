"""A graph file of another program, stored under a free name that its own suggests: letters, digits and `-_.`."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from circuits.exchange.read import Limits, load_json, read_neuronpedia
from circuits.graph.store import save_graph
from probe.artifacts.folder import place
from probe.artifacts.names import usable_name
from probe.artifacts.stored import free_name
from probe.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from circuits.graph.graph import CircuitGraph

_TRIES = 10


def import_graph(file: Path, called: str, largest: int) -> str:
    """Read a graph file of up to so many bytes and store its graph; returns the name. called: how its sender calls the file."""
    if not file.stat().st_size:
        raise BadInput(
            "The file is empty. Choose a graph written by Neuronpedia, circuit-tracer, attribute or Openwork."
        )
    content = load_json(file, largest)
    if isinstance(content, dict) and "report" in content and "metadata" not in content:
        raise BadInput(
            "This is Openwork's report of a graph, which leaves edges out. Import its Neuronpedia JSON instead; the button "
            "beside the one this came from writes that."
        )
    if not isinstance(content, dict):
        raise BadInput(
            f"The file holds a {type(content).__name__}; a mapping with metadata, nodes and links was wanted."
        )
    return _kept(read_neuronpedia(content, limits=Limits(bytes=largest)), name_of_file(called))


def name_of_file(called: str) -> str:
    """A name for the graph of a file: its own, without folders and ending."""
    bare = called.rpartition("/")[2].rpartition("\\")[2]
    return usable_name(re.sub(r"(\.openwork|\.neuronpedia)?\.json$", "", bare, flags=re.I))


def _kept(graph: "CircuitGraph", wanted: str) -> str:
    """Store it under a free name; where another process takes that first, under the next."""
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
