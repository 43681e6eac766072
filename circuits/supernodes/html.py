"""Subgraphs of pinned units and collapsed graphs in a notebook."""

import numpy as np

from circuits.graph.html import links_html
from circuits.supernodes.collapse import Collapsed
from circuits.supernodes.subgraph import Subgraph
from probe.show.beside import shows
from probe.show.html import block, table_html


@shows
def collapsed_html(small: Collapsed) -> str:
    """The groups, and the strongest edges between them."""
    return table_html(small.rows(), small.summary()) + table_html(small.edge_rows(20), "strongest edges")


@shows
def subgraph_html(small: Subgraph) -> str:
    """Its links, its scores beside others of its size, its nodes."""
    every = np.ones(len(small.graph.nodes), bool)
    tables = table_html(small.score_rows()), table_html(small.rows())
    return block(links_html(small.graph, every), *tables, title=small.summary())
