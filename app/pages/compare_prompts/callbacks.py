"""What the page of two prompts does: draws the aligned columns, and moves every panel with the selected one."""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from app.components import drawn
from app.components.parts import stat
from app.components.slot import register_slot
from app.figures.comparison import divergence_figure
from app.jobs import work
from app.pages.compare_prompts import tables
from app.pages.compare_prompts.work import Pair
from app.selection import Selection


def register(app: Dash) -> None:
    register_slot(app, "beside")
    for name in ("beside-lens", "beside-next", "beside-heads", "beside-units"):
        drawn.register_rows(app, name)
    app.clientside_callback(
        ClientsideFunction("openwork", "columns"),
        Output("beside-columns", "data-drawn"),
        Input("beside-columns-data", "data"),
        Input("selection", "data"),
    )
    app.clientside_callback(
        ClientsideFunction("openwork", "columnCell"),
        Output("beside-kl", "data-column"),
        Input("beside-kl", "clickData"),
        State("beside-columns-data", "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        Output("beside-columns-data", "data"),
        Output("beside-kl", "figure"),
        Input("beside-done", "data"),
        State("scheme", "data"),
    )
    def ready(key: str | None, scheme: str):
        pair = work.result(key)
        return (
            (no_update, no_update)
            if pair is None
            else (tables.columns_data(pair), divergence_figure(pair.found, scheme))
        )

    @app.callback(
        Output("beside-facts", "children"),
        Output("beside-lens-data", "data"),
        Output("beside-next-data", "data"),
        Output("beside-heads-data", "data"),
        Output("beside-units-data", "data"),
        Input("beside-done", "data"),
        Input("selection", "data"),
        State("beside-args", "data"),
    )
    def selected(key: str | None, selection: Selection | None, args: dict[str, str]):
        pair = work.result(key)
        return (no_update,) * 5 if pair is None else _panels(pair, pair.column(selection), args)


def _panels(pair: Pair, column: int, args: dict[str, str]) -> tuple[Any, ...]:
    numbers = [stat(*fact) for fact in tables.facts(pair, column)]
    heads, units = tables.head_rows(pair, column, args), tables.unit_rows(pair, column, args)
    return numbers, tables.lens_rows(pair, column), tables.next_rows(pair, column), heads, units
