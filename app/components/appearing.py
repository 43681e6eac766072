"""The stored circuits in which a unit or a head is a node, as a table; a line opens the circuit at that node."""

from dash import html

from app import links
from app.components import drawn
from app.components.plain_rows import TABLE, row_data
from app.library.appearances import appearances_of
from probe.model.unit_names import UnitName
from probe.words import counted


def appearing(at: str, model: str, unit: UnitName, dictionary: str | None = None) -> html.Div:
    """The table, and what is said where there is none. dictionary: whose latent it is."""
    found, looked = appearances_of(model, unit, dictionary)
    many = f"{counted(looked, 'stored circuit')} of this model looked at"
    none = f"In none of them: {many}." if looked else "No circuit of this model is stored."
    data = row_data("Circuits this unit appears in", [one.row() for one in found])
    opens = [{**row, "href": links.circuit_page(one.graph, node=one.node)} for row, one in zip(data["rows"], found)]
    shown = {**data, "rows": opens, "note": f"{many}." if found else none}
    return html.Div(drawn.rows({"type": TABLE, "at": at}, 320, shown), id=at)
