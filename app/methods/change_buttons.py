"""Buttons that write the change of one unit into the form of an `edit`: how it is changed, by how much, and where.

    changing("change", "L1N5", HOWS)      above the block at "change", whose form asks for `changes`
    register(app)                         what they do, on every page; the page holds the store `selection`

The unit stands in a store, which the page's callbacks may change: Output({"type": UNIT, "at": "change"}, "data").
"""

from collections.abc import Sequence

from dash import MATCH, Dash, Input, Output, ctx, dcc, html, no_update
from dash.development.base_component import Component

from app.components.inputs import count
from app.components.parts import panel, segmented
from app.methods.form import FIELD
from app.selection import Selection
from probe.interventions.change_text import MEANS, STARTS, written

UNIT, HOW, AMOUNT, WHERE, SAID = "change-unit", "change-how", "change-amount", "change-where", "change-said"
_NO_TOKEN = "No token is selected. Read the text first and click a token of it, or change it at every token."


def changing(at: str, unit: str, hows: Sequence[str]) -> Component:
    """The choices, for the block that stands at `at`."""

    def named(kind: str) -> dict[str, str]:
        return {"type": kind, "at": at}

    how = segmented(named(HOW), [(one, one) for one in hows], hows[0])
    where = segmented(named(WHERE), [("all", "at every token"), ("token", "at the selected token")], "all")
    amount = count(named(AMOUNT), 0, "Amount", step=0.5, w=90, disabled=True, allowDecimal=True)
    said = html.Span(MEANS[hows[0]], id=named(SAID), role="status")
    body = [dcc.Store(id=named(UNIT), data=unit), html.Div([how, amount, where], className="ow-actions")]
    return panel("How it is changed", body, note=said, export=False)


def register(app: Dash) -> None:
    amount = {"type": AMOUNT, "at": MATCH}

    @app.callback(
        Output(amount, "value"),
        Output(amount, "disabled"),
        Input({"type": HOW, "at": MATCH}, "value"),
        prevent_initial_call=True,
    )
    def begin(how: str):
        return STARTS.get(how, 0), how not in STARTS

    @app.callback(
        Output({"type": FIELD, "at": MATCH, "of": "changes", "part": ""}, "value"),
        Output({"type": SAID, "at": MATCH}, "children"),
        Input({"type": HOW, "at": MATCH}, "value"),
        Input(amount, "value"),
        Input({"type": WHERE, "at": MATCH}, "value"),
        Input({"type": UNIT, "at": MATCH}, "data"),
        Input("selection", "data"),
        prevent_initial_call=True,
    )
    def write(how: str, size: object, where: str, unit: str, selection: Selection | None):
        if where != "token" and list(ctx.triggered_prop_ids) == ["selection.data"]:
            return no_update, no_update  # it means nothing here, and what somebody wrote stays
        pos = (selection or {}).get("token")
        if where == "token" and not isinstance(pos, int):
            return no_update, _NO_TOKEN
        return written(how, size, unit, pos if where == "token" else None), MEANS.get(how, "")
