"""Connections, paths and embeddings in a notebook."""

from circuits.weights.connections import Connections
from circuits.weights.record import TopPaths
from circuits.weights.tokens import Embeddings
from probe.show.beside import shows
from probe.show.html import table_html


@shows
def connections_html(found: Connections) -> str:
    """The strongest of both ends."""
    return table_html(found.rows(20), found.summary())


@shows
def paths_html(found: TopPaths) -> str:
    """The tree, a line a step."""
    return table_html(found.tree.lines(found.tokens), found.summary())


@shows
def embeddings_html(found: Embeddings) -> str:
    """How large they are."""
    return table_html([{"tokens": found.table.shape[0], "width": found.table.shape[1]}], found.name)
