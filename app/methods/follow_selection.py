"""What is chosen on a page and what follows it: panels of one token, column or layer, and figures of which an option is turned.

A part that follows holds where its panel is found again: the reference of the result and the panel's place among its panels. The
browser asks for it anew when the selection has another place than is shown; all of it is part of the page's address, so what was
looked at is a permalink.
"""

from collections.abc import Sequence
from typing import Any

from dash import MATCH, ClientsideFunction, Dash, Input, Output, State, no_update

from app.components.parts import part_of
from app.methods import drawing, method_jobs, result_links
from app.methods.drawing import FOLLOWS, TURN, Look
from app.selection import Selection
from probe.errors import BadInput
from probe.show.panels import Chosen, Panel


def register(app: Dash) -> None:
    """What follows the selection, of every result of every page."""
    follows, turn = {"type": FOLLOWS, "at": MATCH}, {"type": TURN, "at": MATCH, "option": MATCH}
    app.clientside_callback(
        ClientsideFunction("openwork", "follows"),
        Output(part_of(follows, "wanted"), "data"),
        Input("selection", "data"),
        State(part_of(follows, "of"), "data"),
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "turned"),
        Output(turn, "data-turned"),
        Input(turn, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "optionTurned"),
        Output(turn, "value"),
        Input("selection", "data"),
        State(turn, "value"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output(follows, "children"),
        Output(part_of(follows, "of"), "data"),
        Input(part_of(follows, "wanted"), "data"),
        State(part_of(follows, "of"), "data"),
        State(follows, "id"),
        State("scheme", "data"),
        prevent_initial_call=True,
    )
    def follow(selection: Selection | None, of: dict[str, Any], named: dict[str, str], scheme: str):
        return redrawn(selection, of, named["at"], scheme) if selection and of else (no_update, no_update)


def redrawn(selection: Selection, of: dict[str, Any], at: str, scheme: str) -> tuple[Any, dict[str, Any]]:
    """The parts for what is selected now, and what they are of."""
    one = method_jobs.found(of["reference"])
    panel = panel_at(drawing.in_page_order(one.record), of["path"], selection)
    look = Look(scheme, one.link or result_links.link_of(one.call, selection), of["reference"], selection)
    place = drawing.Place(at, of["side"], tuple(of["path"]))
    return drawing.inside(panel, place, look), drawing.followed(panel, place, look)


def panel_at(panels: Sequence[Panel], path: Sequence[int], selection: Selection) -> Panel:
    """The panel at a place among the panels of a record, and of what is chosen in them."""
    first, *rest = path
    if not 0 <= first < len(panels):
        raise BadInput("This panel is not there any more; load the page again.")
    one = panels[first]
    return panel_at(one.at(selection), rest, selection) if rest and isinstance(one, Chosen) else one
