"""The stored circuits in which a unit or a head is a node, as a table; a line opens the circuit at that node."""

from dash import html

from app import links
from app.components import drawn
from app.components.plain_rows import TABLE, row_data
from circuits.comparison.appearances import appearances_of
from probe.model.unit_names import UnitName


def appearing(at: str, model: str, unit: UnitName, dictionary: str | None = None) -> html.Div:
    """The table, and what is said where there is none. dictionary: whose latent it is."""
    found = appearances_of(model, unit, dictionary)
    data = row_data("Circuits this unit appears in", found.rows())
    opens = [{**r, "href": links.circuit_page(a.graph, node=a.node)} for r, a in zip(data["rows"], found.found)]
    return html.Div(drawn.rows({"type": TABLE, "at": at}, 320, {**data, "rows": opens, "note": found.summary()}), id=at)
