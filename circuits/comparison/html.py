"""Merged graphs and differences of graphs in a notebook."""

from html import escape

from circuits.comparison.difference import GraphDifference
from circuits.comparison.merge import MergedGraph
from probe.show.beside import shows
from probe.show.html import table_html


@shows
def difference_html(found: GraphDifference) -> str:
    """How many nodes each graph has, the nodes that differ most, what to keep in mind, and the edges."""
    notes = "".join(f"<li>{escape(n)}</li>" for n in found.notes)
    return table_html(found.rows(), found.counted()) + f"<ul>{notes}</ul>" + table_html(found.edge_rows(), "edges")


@shows
def merged_html(merged: MergedGraph) -> str:
    """The strongest nodes with their intervals, and the strongest edges."""
    return table_html(merged.rows(), merged.summary()) + table_html(merged.edge_rows(), "strongest edges")
